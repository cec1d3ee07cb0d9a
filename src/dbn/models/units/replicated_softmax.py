"""Word counts of documents of any length: softmax units that share their parameters, one for each word."""

import math
from collections.abc import Mapping, Sequence
from copy import copy
from itertools import combinations_with_replacement
from typing import Any, ClassVar

import torch
from torch import Tensor

from dbn.errors import SettingError
from dbn.models.gradients import write_weighted_sum
from dbn.models.units.base import Units
from dbn.models.units.bernoulli import MAX_ENUMERABLE
from dbn.random.device_noise import DeviceNoise
from dbn.random.noise import uniform
from dbn.random.streams import Noise
from dbn.settings import check_number

LEAST_SHARE = 1e-7
"""Smallest share of a word that biases start from."""


class ReplicatedSoftmax(Units):
    r"""Counts :math:`x \in \{0, 1, \dots\}^n` of the ``n`` words of a vocabulary in a document.

    A document of :math:`D = \sum_i x_i` words has the energy :math:`E(x) = -\sum_i b_i x_i - \log (D! / \prod_i x_i!)`:
    its words are ``D`` softmax units with the same bias and weights, of which only the counts are kept, and the last
    term is the number of their orders. Given a field :math:`f`, the counts are multinomial: ``D`` words drawn with
    probabilities :math:`\propto e^{b_i + f_i}`.

    The document's length multiplies the hidden units' bias, :meth:`hidden_bias_scale`: as many words speak through the
    weights, :math:`\sum_i x_i W_{ij}`, and a fixed bias would decide for short documents and be nothing for long ones.
    There is a distribution for every length, and none over lengths: means, samples and log partitions are those of
    documents of a given length, see :meth:`of_length` and :meth:`given`.

    Args:
        shape: number of words ``n``.

    Example:
        >>> import torch
        >>> from dbn import RBM, Bernoulli
        >>> from dbn.models.units import ReplicatedSoftmax
        >>> rbm = RBM(ReplicatedSoftmax(6), Bernoulli(3))
        >>> documents = torch.tensor([[2., 0., 1., 0., 0., 0.], [0., 0., 3., 4., 0., 1.]])
        >>> rbm.gibbs(documents, steps=10).sum(1)
        tensor([3., 8.])

    References:
        Salakhutdinov & Hinton (2009), *Replicated softmax: an undirected topic model*, NIPS 22, section 2.
    """

    kind: ClassVar[str] = "replicated_softmax"
    interval: ClassVar[tuple[float, float]] = (0.0, math.inf)
    scales_hidden_bias: ClassVar[bool] = True

    length: int | Tensor | None = None
    """Words of a document, a number or ``(batch, 1)``; None: not known."""

    def __init__(self, shape: int | Sequence[int]) -> None:
        super().__init__(shape)
        self.activation: Mapping[str, Any] = {"kind": "softmax", "categories": self.size}

    def of_length(self, length: int) -> "ReplicatedSoftmax":
        """Units with the same parameters, for documents of ``length`` words.

        Raises:
            SettingError: ``length`` is not a whole number from 1.
        """
        check_number("length", length, low=1, whole=True)
        other = copy(self)
        other.length = length
        return other

    def given(self, x: Tensor) -> "ReplicatedSoftmax":
        """Units with the same parameters, for documents as long as those of ``x`` ``(batch, n)``."""
        other = copy(self)
        other.length = x.sum(-1, keepdim=True)
        return other

    def hidden_bias_scale(self, x: Tensor | None = None) -> Tensor:
        """Length of the documents ``x`` ``(batch, n)``, ``(batch, 1)``; without ``x`` the length that is given."""
        return torch.as_tensor(self._length()).to(self.bias) if x is None else x.sum(-1, keepdim=True)

    def _length(self) -> int | Tensor:
        """The length that is given.

        Raises:
            SettingError: none is.
        """
        if self.length is None:
            raise SettingError(
                "replicated_softmax units have a distribution for each length of a document, and none is given. Use "
                "rbm.given(documents) for documents as long as those, or RBM(rbm.visible.of_length(100), rbm.hidden, "
                "rbm.connection)."
            )
        return self.length

    def energy(self, x: Tensor) -> Tensor:
        """Energy of counts, or of their means, ``x`` ``(batch, n)``; returns ``(batch,)`` in nats."""
        return -(x @ self.bias) - log_orders(x)

    def log_partition(self, field: Tensor) -> Tensor:
        """``log sum_x exp(-E(x) + field . x)`` over documents of the given length; ``(batch, n)`` -> ``(batch,)``."""
        of_word, length = (field + self.bias).logsumexp(-1), self._length()
        return of_word * (length.squeeze(-1) if isinstance(length, Tensor) else length)

    def mean(self, field: Tensor, out: Tensor | None = None) -> Tensor:
        """``E[x | field]``, ``(batch, n)``: the length times the probability of each word."""
        length = self._length()
        return torch.mul((field + self.bias).softmax(-1), length, out=out)

    def sample(
        self, field: Tensor, generator: Noise = None, out: Tensor | None = None, mean: Tensor | None = None
    ) -> Tensor:
        """Counts ``(batch, n)`` of as many words as the given length, by the inverse of the distribution function."""
        mean = self.mean(field) if mean is None else mean
        length = torch.as_tensor(self._length()).to(mean).expand(*mean.shape[:-1], 1)
        if isinstance(generator, Sequence) and not isinstance(generator, DeviceNoise):
            drawn = torch.stack([counts_of(*own) for own in zip(mean, length, generator, strict=True)])
        else:
            drawn = counts_of(mean, length, generator)
        return drawn if out is None else out.copy_(drawn)

    def write_minus_energy_gradient(self, x: Tensor, weights: Tensor) -> None:
        """``-dE/db = x``."""
        write_weighted_sum(self.bias, x, weights)

    def write_log_partition_gradient(self, field: Tensor, mean: Tensor, weights: Tensor) -> None:
        """``dlog_partition/db = mean``."""
        write_weighted_sum(self.bias, mean, weights)

    def states(self) -> Tensor:
        """All counts of documents of the given length, ``(C(D + n - 1, D), n)``.

        Raises:
            SettingError: no length, or one for each state, is given, or there are more than 2^20 states.
        """
        length = self._length()
        if isinstance(length, Tensor):
            raise SettingError(
                "replicated_softmax units given documents have states of several lengths. Use of_length, one length."
            )
        number = math.comb(length + self.size - 1, length)
        if number > 2**MAX_ENUMERABLE:
            raise SettingError(
                f"Documents of {length} of {self.size} words have {number:.3g} states: enumeration stops at "
                f"2^{MAX_ENUMERABLE}."
            )
        words = torch.tensor(list(combinations_with_replacement(range(self.size), length)))
        return torch.zeros(number, self.size).scatter_add_(1, words, torch.ones(words.shape)).to(self.bias)

    @torch.no_grad()
    def initialise_bias(self, data_mean: Tensor) -> None:
        """``b``: log of each word's share of all words, from 1e-7 so that biases are finite."""
        self.bias.copy_((data_mean / data_mean.sum()).clamp(min=LEAST_SHARE).log())


def log_orders(x: Tensor) -> Tensor:
    """``log (D! / prod_i x_i!)``, the log of the number of orders of a document's words; ``(..., n)`` -> ``(...)``."""
    return torch.lgamma(x.sum(-1) + 1) - torch.lgamma(x + 1).sum(-1)


def counts_of(mean: Tensor, length: Tensor, generator: Noise) -> Tensor:
    """Counts of ``length`` ``(..., 1)`` words drawn with probabilities proportional to ``mean`` ``(..., n)``."""
    up_to, whole = mean.cumsum(-1), length.round()
    most = int(whole.max())
    points = uniform(mean.new_empty(*mean.shape[:-1], most), generator).mul_(up_to[..., -1:])
    words = torch.searchsorted(up_to, points, right=True).clamp_(max=mean.shape[-1] - 1)
    counted = (torch.arange(most, device=mean.device) < whole).to(mean.dtype)
    return torch.zeros_like(mean).scatter_add_(-1, words, counted)
