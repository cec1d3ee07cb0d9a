"""Floating-point operations of training: those of its matrix products, of which nearly all of them are."""

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


def backpropagation(sizes: Sequence[int]) -> int:
    """Operations per image of one pass of a network's training: forward, gradient of inputs, gradient of weights.

    Two operations per weight for each of the three; the first layer's inputs need no gradient.

    Args:
        sizes: units per layer, inputs first.
    """
    weights = [below * above for below, above in pairwise(sizes)]
    return 6 * sum(weights) - 2 * weights[0]
