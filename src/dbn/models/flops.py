"""Floating-point operations of training: those of its products with weights, of which nearly all of them are.

What is done to watch it, validation and the monitored images, is not counted. A layer says how many multiplications a
product of one state with its weights takes (a dense one: inputs x outputs); each comes with an addition.
"""

from collections.abc import Sequence


def contrastive_divergence(multiplications: int, products: int = 1) -> int:
    """Operations per image of one pass of an RBM's training.

    One product for the hidden field in each phase, ``products`` for the negative phase's sampler, two for the
    statistics. CD-1 has five, CD-k 2k + 3.

    Args:
        multiplications: in a product.
        products: those of the sampler per image, see :attr:`dbn.samplers.Sampler.products`.
    """
    return 2 * multiplications * (4 + products)


def forward(multiplications: Sequence[int]) -> int:
    """Operations per image on its way through layers.

    Args:
        multiplications: in a product with the weights of each layer.
    """
    return 2 * sum(multiplications)


def backpropagation(multiplications: Sequence[int], learning: int | None = None) -> int:
    """Operations per image of one pass of a network's training: forward, gradient of inputs, gradient of weights.

    The gradient of the weights is for layers that learn; that of a layer's inputs, for those that learn above another
    that does.

    Args:
        multiplications: in a product with the weights of each layer, inputs first.
        learning: how many layers of weights learn, counted from the output; None for all of them.
    """
    learning = len(multiplications) if learning is None else learning
    changed = multiplications[len(multiplications) - learning :]
    return forward(multiplications) + 2 * sum(changed) + 2 * sum(changed[1:])
