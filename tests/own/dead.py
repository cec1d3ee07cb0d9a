"""An initialisation of one's own whose rectified units are dead from the start, but for every second one."""

import torch

from dbn.models.dbn import DBN
from finetune.networks.initialise import He
from finetune.networks.network import Network


class Dead(He):
    """Weights by He; the bias of every second hidden unit is so negative that no image activates the unit."""

    @torch.no_grad()
    def __call__(self, network: Network, seed: int, stack: DBN | None = None) -> None:
        super().__call__(network, seed, stack)
        for layer in network.layers[:-1]:
            layer.bias[::2] = -1000
