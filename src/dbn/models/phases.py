"""The two phases of an RBM's gradient: visible states with hidden fields and means, in reusable buffers."""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from dbn.errors import SettingError
from dbn.models.rbm import RBM
from dbn.models.units import Units
from dbn.random.streams import Noise


class Phase:
    """Visible states with the hidden units' field and means: one phase of the gradient.

    In a group all shapes have the members as first dimension, ``(members, batch, n)``.

    Attributes:
        v: visible states ``(batch, n_visible)``.
        field: hidden field ``(batch, n_hidden)``.
        h: a buffer for hidden states ``(batch, n_hidden)``, for samplers.
    """

    __slots__ = ("_hidden", "_mean", "field", "h", "v")

    def __init__(self, v: Tensor, field: Tensor, mean: Tensor, h: Tensor) -> None:
        self.v = v
        self.field = field
        self.h = h
        self._mean = mean
        self._hidden: Units | None = None

    def condition_on_visible(self, rbm: RBM) -> None:
        """Compute the hidden units' field from the visible states; their means are computed once they are asked for."""
        rbm.hidden_field(self.v, out=self.field)
        self._hidden = rbm.hidden

    @property
    def mean(self) -> Tensor:
        """Hidden means ``(batch, n_hidden)``."""
        if self._hidden is not None:
            self._hidden.mean(self.field, out=self._mean)
            self._hidden = None
        return self._mean

    def sample_hidden(self, rbm: RBM, generator: Noise, out: Tensor | None = None) -> None:
        """Sample hidden states given the visible ones into ``out``, contiguous; None: ``h``."""
        out = self.h if out is None else out
        if self._hidden is None:
            rbm.hidden.sample(self.field, generator, out=out, mean=self._mean)
        else:
            rbm.hidden.mean_and_sample(self.field, generator, self._mean, out)
            self._hidden = None


@dataclass(frozen=True)
class ImageWeights:
    """How much each image of a minibatch counts in the gradient; 1 on average over all training images.

    Attributes:
        values: ``(batch,)``, in a group ``(members, batch)``.
        of_chains: weight of every state of the negative phase, where these are chains of no image: the mean of
            ``values`` over the minibatch of all processes, ``()`` or ``(members, 1)``; None: state ``k`` is the end of
            a chain of image ``k``, and has its weight.
    """

    values: Tensor
    of_chains: Tensor | None = None

    @property
    def of_negative(self) -> Tensor:
        """Weights of the states of the negative phase, of a shape that goes with theirs."""
        return self.values if self.of_chains is None else self.of_chains


class Phases:
    """Both phases of a minibatch, concatenated, in buffers that all steps reuse.

    In a group all shapes are ``(2, members, batch, n)`` instead of ``(2 * batch, n)``.

    Args:
        rbm: gives number of units, number of members in a group, dtype and device.
        batch: states of the positive phase.
        chains: states of the negative phase over all processes; None: ``batch`` in this one.
        processes: processes among which ``chains`` are divided, evenly.

    Raises:
        SettingError: a group, whose phases have different numbers of states.

    Attributes:
        v: visible states ``(batch + chains, n_visible)``.
        field: hidden fields ``(batch + chains, n_hidden)``.
        positive: the first ``batch`` of each.
        negative: the others.
    """

    __slots__ = ("_chains", "_mean", "_of_images", "_weights", "field", "negative", "positive", "v")

    def __init__(self, rbm: RBM, batch: int, chains: int | None = None, processes: int = 1) -> None:
        new, members = partial(torch.empty, dtype=rbm.state_dtype, device=rbm.weight.device), rbm.connection.members
        n = batch if chains is None else chains // processes
        self._chains = chains
        h = new(*members, batch, rbm.n_hidden)
        if members:
            if n != batch:
                raise SettingError(
                    f"sampler.chains={chains}: of seeds that train together each has as many chains as images in "
                    f"every minibatch, here {batch}. Use sampler.chains=null, or n_parallel_seeds=1."
                )
            self.v, self.field, self._mean = new(2, *members, batch, rbm.n_visible), new(2, *h.shape), new(2, *h.shape)
            (v, own_v), (field, own_field), (mean, own_mean) = self.v, self.field, self._mean
        else:
            self.v, self.field, self._mean = (new(batch + n, size) for size in (rbm.n_visible, *2 * (rbm.n_hidden,)))
            (v, own_v), (field, own_field), (mean, own_mean) = (
                x.split([batch, n]) for x in (self.v, self.field, self._mean)
            )
        self.positive = Phase(v, field, mean, h)
        self.negative = Phase(own_v, own_field, own_mean, h if n == batch else new(n, rbm.n_hidden))
        self._weights: dict[tuple[int | None, torch.dtype], Tensor] = {}
        self._of_images: dict[torch.dtype, Tensor] = {}

    def weights(self, count: int | None, dtype: torch.dtype, images: ImageWeights | None = None) -> Tensor:
        """Weight of each state's ``-F(v)`` in the gradient: ``(batch + chains,)``, in a group ``(2, members, batch)``.

        Weights are ``-1/count`` in the positive phase; in the negative one ``1/count``, or one over a given number of
        chains, over all processes. With weights of the images these are multiplied by them, so that those of both
        phases sum to zero over all processes, as without.

        Args:
            count: images in the minibatch over all processes, whose gradients are then added; None: ``batch``.
            dtype: of the weights.
            images: weights of the images; None: all count the same.
        """
        if images is not None:
            return self._weighted(self.weights(count, dtype), images)
        weights = self._weights.get((count, dtype))
        if weights is None:
            number = count or self.positive.v.shape[-2]
            positive = self.v.new_full(self.positive.v.shape[:-1], -1 / number, dtype=dtype)
            negative = self.v.new_full(self.negative.v.shape[:-1], 1 / (self._chains or number), dtype=dtype)
            weights = self._weights[count, dtype] = torch.cat([positive, negative]).view(self.v.shape[:-1])
        return weights

    def _weighted(self, equal: Tensor, images: ImageWeights) -> Tensor:
        """The weights of :meth:`weights` for images that do not count the same, in a buffer that the next call fills.

        Args:
            equal: those for images that do.
            images: weights of the images.
        """
        weighted = self._of_images.get(equal.dtype)
        if weighted is None:
            weighted = self._of_images[equal.dtype] = torch.empty_like(equal)
        if self.field.dim() > 2:
            parts = zip(equal, weighted, strict=True)
        else:
            sizes = [len(self.positive.v), len(self.negative.v)]
            parts = zip(equal.split(sizes), weighted.split(sizes), strict=True)
        for factors, (own, out) in zip((images.values, images.of_negative), parts, strict=True):
            torch.mul(own, factors, out=out)
        return weighted

    def by_phase(
        self, rbm: RBM, count: int | None = None, images: ImageWeights | None = None
    ) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Visible states, hidden means and weights of the positive phase, and of the negative one.

        Returns:
            ``(states, n_visible)``, ``(states, n_hidden)`` and ``(states,)`` of each, in a group with the members
            first; see :meth:`weights`.
        """
        both = (self.v, self.mean, self.weights(count, rbm.weight.dtype, images))
        if self.field.dim() > 2:
            return list(zip(*both, strict=True))
        sizes = [len(self.positive.v), len(self.negative.v)]
        return list(zip(*(own.split(sizes) for own in both), strict=True))

    def write_gradient(self, rbm: RBM, count: int | None = None, images: ImageWeights | None = None) -> None:
        """Write the gradient of a minibatch, see :meth:`dbn.models.rbm.RBM.write_gradient`; overwrites the means."""
        weights = self.weights(count, rbm.weight.dtype, images)
        if rbm.write_gradients_of_units is not None:
            rbm.write_gradient_from_field(self.v, self.field, self._mean, weights)
        else:
            rbm.write_gradient(self.v, self.field, self.mean, weights)

    def condition_on_visible(self, rbm: RBM) -> None:
        """As :meth:`Phase.condition_on_visible` for both phases at once: one product, where there is a single model."""
        if self.field.dim() > 2:
            self.positive.condition_on_visible(rbm)
            self.negative.condition_on_visible(rbm)
        else:
            rbm.hidden_field(self.v, out=self.field)
            self.positive._hidden = self.negative._hidden = rbm.hidden

    @property
    def mean(self) -> Tensor:
        """Hidden means ``(batch + chains, n_hidden)``."""
        positive, negative = self.positive, self.negative
        if positive._hidden is None is negative._hidden:
            return self._mean
        if positive._hidden is not None and negative._hidden is not None:  # both at once
            positive._hidden.mean(self.field, out=self._mean)
            positive._hidden = negative._hidden = None
        for phase in (positive, negative):
            phase.mean  # noqa: B018  # computed where it is not yet known
        return self._mean
