"""Networks of one shape that train together."""

from collections.abc import Sequence

from finetune.networks.network import Network, NetworkBlock


class NetworkGroup(Network):
    """Networks of the same layers, activations and dropout, the members: one product multiplies those of all of them.

    Inputs and outputs are ``(members, batch, n)``. Members do not touch each other: with the noise of its own generator
    each is trained as it would be by itself, up to the order in which products add up.

    Args:
        networks: the members; their parameters are copied, and given back by :meth:`hand_back`.

    Raises:
        SettingError: a layer of theirs cannot be trained so.
    """

    def __init__(self, networks: Sequence[Network]) -> None:
        blocks = []
        for column in zip(*(network.blocks for network in networks), strict=True):
            layer = type(column[0].layer).group([block.layer for block in column])
            blocks.append(NetworkBlock(layer, column[0].activation, column[0].dropout.probability))
        super().__init__(blocks, networks[0].code)
        self.networks = list(networks)  # a list: no part of this module

    def hand_back(self) -> None:
        """Copy the trained parameters into the networks that the members came from."""
        for number, network in enumerate(self.networks):
            for own, layer in zip(network.layers, self.layers, strict=True):
                layer.copy_member(number, own)


def together(networks: Sequence[Network]) -> Network:
    """Networks as one that trains them together; a single one, itself."""
    return networks[0] if len(networks) == 1 else NetworkGroup(networks)
