"""Floating-point operations of training, as far as they are products with weights (nearly all of them).

Validation and monitoring are not counted. A layer's ``operations`` are the multiplications of one state with its
weights (in a dense layer, inputs x outputs); each counts as two operations, with an addition.
"""

from collections.abc import Sequence


def contrastive_divergence(multiplications: int, products: int = 1, states: float = 1.0) -> int:
    """Operations per image of one pass of an RBM's training.

    One product for the hidden field in each phase, ``products`` for the negative phase's sampler, one in each phase for
    the statistics. CD-1 has five, CD-k 2k + 3.

    Args:
        multiplications: in a product.
        products: products of the sampler per state, see :attr:`dbn.samplers.Sampler.products`.
        states: of the negative phase, per image.
    """
    return round(2 * multiplications * (2 + states * (2 + products)))


def forward(multiplications: Sequence[int]) -> int:
    """Operations per image of a forward pass.

    Args:
        multiplications: in a product with the weights of each layer.
    """
    return 2 * sum(multiplications)


def backpropagation(multiplications: Sequence[int], learning: int | None = None) -> int:
    """Operations per image of one training pass of a network: forward, gradients of weights, gradients of inputs.

    Gradients of weights are needed in trainable layers, gradients of inputs in all of these but the first.

    Args:
        multiplications: in a product with the weights of each layer, inputs first.
        learning: number of trainable layers, counted from the output; None: all.
    """
    learning = len(multiplications) if learning is None else learning
    changed = multiplications[len(multiplications) - learning :]
    return forward(multiplications) + 2 * sum(changed) + 2 * sum(changed[1:])


def tied_autoencoder(multiplications: Sequence[int]) -> int:
    """Operations per image of one pass of the training of an autoencoder with tied weights.

    Each layer has five products: encoding, decoding, the error back through the decoder, and two statistics. Layers
    above the first pass the error back through their encoders as well.

    Args:
        multiplications: in a product with the weights of each layer, the data's first.
    """
    return 2 * (5 * sum(multiplications) + sum(multiplications[1:]))


def principal_components(n_images: int, n_features: int) -> int:
    """Operations of a principal component analysis: the covariance, and nine times the cube for its eigenvectors.

    References:
        Golub & Van Loan (2013), *Matrix Computations*, section 8.3: 9 n^3 for all eigenvectors of a symmetric matrix.
    """
    return 2 * n_images * n_features**2 + 9 * n_features**3
