"""Check that what a network computes for several images at once fits into memory."""

import math
from collections.abc import Sequence

from dbn.machine.model_memory import check_memory
from finetune.networks.block import in_words
from finetune.networks.network import Network

EVALUATED_AT_ONCE = 1000
"""Images of a minibatch in validation and evaluation."""


def check_network_memory(networks: Sequence[Network], batch_size: int) -> None:
    """Refuse networks whose training does not fit into this machine's memory.

    Counted are the parameters, and what is larger of the fields and outputs of all blocks for a training minibatch,
    which backpropagation needs, and those of the block that has most for the images that are evaluated at once.

    Args:
        networks: of one shape, which train together.
        batch_size: images of a training minibatch.

    Raises:
        SettingError: it does not fit.
    """
    network, n = networks[0], len(networks)
    held = [math.prod(block.layer.shape_out) + block.out_features for block in network.blocks]
    evaluated = max(size + block.layer.in_features for size, block in zip(held, network.blocks, strict=True))
    training = batch_size * (network.sizes[0] + sum(held))
    check_memory(
        "training.batch_size",
        f"networks of {'-'.join(map(in_words, network.shapes))} units",
        sum(parameter.numel() for parameter in network.parameters()),
        n * max(training, EVALUATED_AT_ONCE * evaluated),
        n_together=n,
        advice=(
            "Take a smaller minibatch."
            if training > EVALUATED_AT_ONCE * evaluated
            else f"{EVALUATED_AT_ONCE} images are evaluated at once: take fewer units or maps, or smaller images."
        ),
    )
