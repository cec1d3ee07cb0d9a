"""Groups of networks that train together."""

from collections.abc import Sequence

from finetune.networks.block import NetworkBlock
from finetune.networks.network import Network


class NetworkGroup(Network):
    """Networks with equal layers, activations, dropout and normalisation; products are computed as batched products.

    Inputs and outputs are ``(members, batch, n)``. Members are independent: each trains as it would alone, up to the
    order of summation in products.

    Args:
        networks: the members; their parameters are copied, and copied back by :meth:`copy_to_members`.

    Raises:
        SettingError: a layer does not support groups.
    """

    def __init__(self, networks: Sequence[Network]) -> None:
        blocks = []
        for column in zip(*(network.blocks for network in networks), strict=True):
            layer = type(column[0].layer).group([block.layer for block in column])
            first = column[0].normalisation
            normalisation = None if first is None else type(first).group([block.normalisation for block in column])
            like = column[0]
            blocks.append(NetworkBlock(layer, like.activation, like.dropout.probability, normalisation, like.pooling))
        super().__init__(blocks, networks[0].code)
        self.networks = list(networks)  # a plain list: not registered as submodules

    def copy_to_members(self) -> None:
        """Copy what was trained, running averages of normalisation included, into the original networks."""
        for number, network in enumerate(self.networks):
            for own, block in zip(network.blocks, self.blocks, strict=True):
                block.layer.copy_member(number, own.layer)
                if block.normalisation is not None and own.normalisation is not None:
                    block.normalisation.copy_member(number, own.normalisation)


def group_networks(networks: Sequence[Network]) -> Network:
    """One network for several members; a single network itself."""
    return networks[0] if len(networks) == 1 else NetworkGroup(networks)
