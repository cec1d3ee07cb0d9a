"""Categorical units: groups of binary units of which one is on."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from math import prod
from typing import Any, ClassVar

import torch
from torch import Tensor

from dbn.errors import SettingError
from dbn.models.categories import by_group, check_categories, joined, softmax
from dbn.models.gradients import write_weighted_sum
from dbn.models.units.base import Units
from dbn.models.units.bernoulli import MAX_ENUMERABLE
from dbn.random.noise import uniform
from dbn.random.streams import Noise


class Softmax(Units):
    r"""Groups of units :math:`x \in \{0, 1\}^n`, one of each group on, with energy :math:`E(x) = -\sum_i b_i x_i`.

    Given a field :math:`f`, the groups are independent, and unit :math:`i` is the one of its group ``g`` that is on
    with probability :math:`e^{b_i + f_i} / \sum_{j \in g} e^{b_j + f_j}`. A group of ``k`` units is a categorical
    variable of ``k`` values.

    Args:
        shape: number of units ``n``, or their shape.
        categories: number of units in every group, or a list with that of each; None: all units are one group.

    Raises:
        SettingError: groups of fewer than two units, or that are not ``n`` units together.

    Example:
        >>> import torch
        >>> from dbn.models.units import Softmax
        >>> Softmax(7, categories=[3, 4]).mean(torch.zeros(1, 7))
        tensor([[0.3333, 0.3333, 0.3333, 0.2500, 0.2500, 0.2500, 0.2500]],
               grad_fn=<CatBackward0>)

    References:
        Hinton (2012), *A Practical Guide to Training Restricted Boltzmann Machines*, section 13.1; Salakhutdinov, Mnih
        & Hinton (2007), *Restricted Boltzmann machines for collaborative filtering*, ICML.
    """

    kind: ClassVar[str] = "softmax"
    options: ClassVar[tuple[str, ...]] = ("categories",)
    interval: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __init__(self, shape: int | Sequence[int], categories: int | Sequence[int] | None = None) -> None:
        super().__init__(shape)
        categories = [self.size] if categories is None else categories
        self.sizes = check_categories("categories", categories, self.size)
        self.categories = categories if isinstance(categories, int) else list(categories)
        self.activation: Mapping[str, Any] = {"kind": "softmax", "categories": self.categories}

    def energy(self, x: Tensor) -> Tensor:
        """Energy of one-hot states, or of means, ``x`` ``(batch, n)``; returns ``(batch,)`` in nats."""
        return -(x @ self.bias)

    def log_partition(self, field: Tensor) -> Tensor:
        """``log sum_x exp(-E(x) + field . x)`` over one-hot states; ``(batch, n)`` -> ``(batch,)`` in nats."""
        of_groups = [part.logsumexp(-1).sum(-1) for part in by_group(field + self.bias, self.sizes)]
        return torch.stack(of_groups).sum(0)

    def mean(self, field: Tensor, out: Tensor | None = None) -> Tensor:
        """``E[x | field]``, ``(batch, n)``: the probability of every category."""
        return softmax(field + self.bias, self.sizes, out)

    def sample(
        self, field: Tensor, generator: Noise = None, out: Tensor | None = None, mean: Tensor | None = None
    ) -> Tensor:
        """One-hot draws of every group, ``(batch, n)``, by the inverse of its distribution function."""
        mean = self.mean(field) if mean is None else mean
        drawn = []
        for part in by_group(mean, self.sizes):
            up_to = part.cumsum(-1)
            point = uniform(up_to[..., :1], generator).mul_(up_to[..., -1:])  # the sum may differ from 1 by rounding
            chosen = (up_to <= point).sum(-1, keepdim=True).clamp_(max=part.shape[-1] - 1)
            drawn.append(torch.zeros_like(part).scatter_(-1, chosen, 1.0))
        return joined(drawn, out)

    def write_minus_energy_gradient(self, x: Tensor, weights: Tensor) -> None:
        """``-dE/db = x``."""
        write_weighted_sum(self.bias, x, weights)

    def write_log_partition_gradient(self, field: Tensor, mean: Tensor, weights: Tensor) -> None:
        """``dlog_partition/db = mean``."""
        write_weighted_sum(self.bias, mean, weights)

    def states(self) -> Tensor:
        """All states, one for each combination of categories, in counting order (the first group moves last).

        Raises:
            SettingError: more than 2^20 states.
        """
        if prod(self.sizes) > 2**MAX_ENUMERABLE:
            raise SettingError(
                f"{len(self.sizes)} groups of categories have {prod(self.sizes):.3g} states: enumeration stops at "
                f"2^{MAX_ENUMERABLE}."
            )
        chosen = torch.cartesian_prod(*(torch.arange(size) for size in self.sizes)).view(-1, len(self.sizes))
        starts = torch.tensor([0, *accumulate(self.sizes[:-1])])
        states = torch.zeros(len(chosen), self.size).scatter_(1, chosen + starts, 1.0)
        return states.to(self.bias)

    @torch.no_grad()
    def initialise_bias(self, data_mean: Tensor) -> None:
        """``b = log(data_mean)``, with means from 1/1000 so that biases are finite."""
        self.bias.copy_(data_mean.clamp(min=1e-3).log())
