"""The autoencoder of one hidden layer whose decoder has the transposed weights of its encoder."""

from typing import ClassVar

from torch import Tensor

from dbn.models.unit_pair import UnitPair


class TiedAutoencoder(UnitPair):
    r"""Encoder :math:`h = m_h(x W)` and decoder :math:`y = m_v(h W^T)`, with the units' means :math:`m` and biases.

    The units' types say what the activations are: sigmoid for Bernoulli units, the rectifier for ReLU units, none for
    Gaussian ones.

    Example:
        >>> import torch
        >>> from dbn.models.autoencoder import TiedAutoencoder
        >>> from dbn.models.connections import Dense
        >>> from dbn.models.units import Bernoulli, ReLU
        >>> layer = TiedAutoencoder(Bernoulli(64), ReLU(20), Dense((64,), 20))
        >>> layer.down(layer.up(torch.rand(3, 64))).shape
        torch.Size([3, 64])

    References:
        Vincent, Larochelle, Lajoie, Bengio & Manzagol (2010), *Stacked denoising autoencoders*, JMLR 11:3371.
    """

    kind: ClassVar[str] = "autoencoder"

    def loss(self, x: Tensor, field: Tensor) -> Tensor:
        r"""Loss of each reconstruction, :math:`-\log p(x \mid f)` of the visible units: ``(batch,)`` in nats.

        For Bernoulli units the cross-entropy, for Gaussian ones half the squared error and a constant. For ReLU units
        half the squared error, plus :math:`x_i |a_i|` where a pre-activation :math:`a_i` is negative: without that term
        a silent output of a unit that should be active would have no gradient. For all of them the gradient with
        respect to the field is the mean minus ``x``.

        Args:
            x: what is to be reconstructed, ``(batch, n_visible)``.
            field: of the visible units, ``(batch, n_visible)``.
        """
        return self.visible.energy(x) - (field * x).sum(-1) + self.visible.log_partition(field)
