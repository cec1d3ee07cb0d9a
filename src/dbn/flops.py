"""Floating-point operations of training: those of its matrix products, of which nearly all of them are.

What is done to watch it, validation and the monitored images, is not counted.
"""

from collections.abc import Sequence
from itertools import pairwise


def contrastive_divergence(n_visible: int, n_hidden: int, products: int = 1) -> int:
    """Operations per image of one pass of an RBM's training.

    A product of an image with the weights takes ``2 * n_visible * n_hidden`` operations: one for the hidden field in
    each phase, ``products`` for the negative phase's sampler, two for the statistics. CD-1 has five, CD-k 2k + 3.

    Args:
        n_visible: visible units.
        n_hidden: hidden units.
        products: those of the sampler per image, see :attr:`dbn.samplers.Sampler.products`.
    """
    return 2 * n_visible * n_hidden * (4 + products)


def up(sizes: Sequence[int]) -> int:
    """Operations per image on its way up through the trained layers between ``sizes``, the data first."""
    return 2 * sum(below * above for below, above in pairwise(sizes))


def backpropagation(sizes: Sequence[int], learning: int | None = None) -> int:
    """Operations per image of one pass of a network's training: forward, gradient of inputs, gradient of weights.

    Two operations per weight for each of the three. The gradient of the weights is for layers that learn; that of a
    layer's inputs, for those that learn above another that does.

    Args:
        sizes: units per layer, inputs first.
        learning: how many layers of weights learn, counted from the output; None for all of them.
    """
    weights = [below * above for below, above in pairwise(sizes)]
    learning = len(weights) if learning is None else learning
    changed = weights[len(weights) - learning :]
    return 2 * sum(weights) + 2 * sum(changed) + 2 * sum(changed[1:])
