"""Binary units of feature maps of which at most one in a block is on: probabilistic max-pooling."""

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dbn.errors import SettingError
from dbn.models.gradients import write_weighted_sum
from dbn.models.maps import checked_maps
from dbn.models.pooling import ProbabilisticMaxPooling, blocks, log_sum_exp
from dbn.models.units.base import Units
from dbn.models.units.bernoulli import MAX_ENUMERABLE
from dbn.models.units.per_map import evenly
from dbn.random.noise import uniform
from dbn.random.streams import Noise

BLOCK = (-4, -2)
"""Dimensions of states by block, see :func:`dbn.models.pooling.blocks`, that run over the units of a block."""


class MaxPooled(Units):
    r"""Binary units :math:`x \in \{0, 1\}^n` of maps, of each block at most one on: :math:`E(x) = -\sum_i b_i x_i`.

    Given a field :math:`f`, the blocks are independent: unit :math:`i` of a block :math:`B` is on with probability
    :math:`e^{b_i + f_i} / (1 + \sum_{j \in B} e^{b_j + f_j})`, and none is with the rest. What the layer above sees of
    a block is its pooling unit, which is on if one of its units is. The bias is that of the map.

    Biases start such that, without a field, a pooling unit is on half of the time.

    Downwards, a pooling unit that is on turns on one unit of its block, each with the same probability: without a field
    from below they have the same bias.

    Args:
        shape: (height, width, maps).
        pool: side of a block.

    Raises:
        SettingError: the shape has no maps, or blocks do not fill them.

    Example:
        >>> import torch
        >>> from dbn.models.units import MaxPooled
        >>> MaxPooled((2, 2, 1), pool=2).mean(torch.zeros(1, 4))
        tensor([[0.1250, 0.1250, 0.1250, 0.1250]], grad_fn=<ViewBackward0>)

    References:
        Lee, Grosse, Ranganath & Ng (2009), *Convolutional deep belief networks for scalable unsupervised learning of
        hierarchical representations*, ICML, section 3.3.
    """

    kind: ClassVar[str] = "max_pooled"
    has_one_bias: ClassVar[bool] = False
    options: ClassVar[tuple[str, ...]] = ("pool",)
    activation = "sigmoid"
    interval: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __init__(self, shape: int | Sequence[int], pool: int = 2) -> None:
        sizes = checked_maps("max_pooled", shape, maps_first=False)
        nn.Module.__init__(self)  # not that of Units: there is a bias for each map
        self.shape = sizes
        self.size = torch.Size(sizes).numel()
        self.positions = sizes[0] * sizes[1]
        self.pool = pool
        self.pooling = ProbabilisticMaxPooling(sizes, pool)
        self.bias = nn.Parameter(torch.full((sizes[-1],), -2 * math.log(pool)))

    @property
    def value_type(self) -> str:
        """Binary, for the layer above."""
        return "bernoulli"

    def _with_bias(self, field: Tensor) -> Tensor:
        """Fields with biases, by place in the block: ``(pool^2, ..., height / pool, width / pool, maps)``."""
        by_place = self._by_place(field)
        bias = self.bias if self.bias.dim() == 1 else self.bias[:, :, None, None]  # in a group (members, 1, maps)
        if torch.is_grad_enabled():
            return (by_place + bias).flatten(0, 1)
        own = torch.empty(by_place.shape, dtype=field.dtype, device=field.device)
        return torch.add(by_place, bias, out=own).flatten(0, 1)

    def _by_place(self, x: Tensor) -> Tensor:
        """A view of states ``(..., n)``, ``(pool, pool, ..., height / pool, width / pool, maps)``."""
        return blocks(x, self.shape, self.pool).movedim(BLOCK, (0, 1))

    def energy(self, x: Tensor) -> Tensor:
        """Energy of states ``x`` ``(batch, n)``; returns ``(batch,)`` in nats."""
        on: Tensor = x.unflatten(-1, (-1, self.shape[-1])).sum(-2)
        return -(on * self.bias).sum(-1)

    def log_partition(self, field: Tensor) -> Tensor:
        """``log sum_x exp(-E(x) + field . x)``; ``field`` ``(batch, n)`` -> ``(batch,)`` in nats."""
        return F.softplus(log_sum_exp(self._with_bias(field).unbind())).flatten(-3).sum(-1)

    def _means(self, field: Tensor) -> Tensor:
        """Means by place in the block, see :meth:`_with_bias`; in memory of their own."""
        fields = self._with_bias(field)
        largest = fields.detach().amax(0).clamp_(min=0)
        none_on = (-largest).exp()
        if fields.requires_grad:
            exponentials = (fields - largest).exp()
            return exponentials / (exponentials.sum(0) + none_on)
        fields.sub_(largest).exp_()  # new memory takes as long as the arithmetic
        return fields.div_(fields.sum(0).add_(none_on))

    def mean(self, field: Tensor, out: Tensor | None = None) -> Tensor:
        """``E[x | field]``, ``(batch, n)``."""
        return self._from_places(self._means(field), torch.empty_like(field) if out is None else out)

    def sample(
        self, field: Tensor, generator: Noise = None, out: Tensor | None = None, mean: Tensor | None = None
    ) -> Tensor:
        """Zeros and ones, at most a one in a block, ``(batch, n)``, by the inverse of each block's distribution."""
        if mean is None:
            means = self._means(field).detach()
        else:
            by_place = self._by_place(mean)
            means = torch.empty(by_place.shape, dtype=mean.dtype, device=mean.device).copy_(by_place).flatten(0, 1)
        return self._draw(means, generator, torch.empty_like(field) if out is None else out)

    def mean_and_sample(self, field: Tensor, generator: Noise, mean: Tensor, out: Tensor) -> None:
        """Write ``mean(field)`` into ``mean`` and a sample of ``x | field`` into ``out``, both ``(batch, n)``."""
        means = self._means(field)
        self._from_places(means, mean)
        self._draw(means, generator, out)

    def _draw(self, means: Tensor, generator: Noise, out: Tensor) -> Tensor:
        """Write states into ``out``; ``means`` are overwritten."""
        point = uniform(means[0], generator)
        reached = torch.lt(point, torch.cumsum(means, 0, out=means), out=means)  # ones from the one that is on
        for place in range(len(reached) - 1, 0, -1):
            reached[place].sub_(reached[place - 1])
        return self._from_places(reached, out)

    def _from_places(self, values: Tensor, out: Tensor) -> Tensor:
        """Write values by place in the block into states ``out`` ``(..., n)``; returns those."""
        by_place = self._by_place(out)
        if values.requires_grad:
            return _states(values.unflatten(0, by_place.shape[:2]))
        by_place.copy_(values.view(by_place.shape))
        return out

    def write_minus_energy_gradient(self, x: Tensor, weights: Tensor) -> None:
        """``-dE/db``: the sum over a map's units."""
        self._write_sums(x, weights)

    def write_log_partition_gradient(self, field: Tensor, mean: Tensor, weights: Tensor) -> None:
        """``dlog_partition/db``: the sum over the means of a map's units."""
        self._write_sums(mean, weights)

    def _write_sums(self, x: Tensor, weights: Tensor) -> None:
        write_weighted_sum(self.bias, x.unflatten(-1, (-1, self.shape[-1])).sum(-2), weights)

    @torch.no_grad()
    def initialise_bias(self, data_mean: Tensor) -> None:
        """``b = log(m / (1 - pool^2 m))``, ``m`` the mean of a map's units, at most 0.999 of a block together."""
        mean = data_mean.view(-1, self.shape[-1]).mean(0).clamp(1e-3 / self.pool**2, 0.999 / self.pool**2)
        self.bias.copy_((mean / (1 - self.pool**2 * mean)).log())

    def outputs(self, field: Tensor) -> Tensor:
        """Probability that each pooling unit is on, ``(batch, n_outputs)``."""
        return torch.sigmoid(log_sum_exp(self._with_bias(field).unbind()).flatten(-3))

    def spread(self, outputs: Tensor) -> Tensor:
        """Means of the units: a pooling unit's, evenly over its block, ``(batch, n_outputs)`` -> ``(batch, n)``."""
        return evenly(outputs, self.shape, self.pool)

    def states_above(self, x: Tensor) -> Tensor:
        """Whether a unit of each block is on, ``(batch, n)`` -> ``(batch, n_outputs)``."""
        return blocks(x, self.shape, self.pool).sum(BLOCK).flatten(-3)

    def states_below(self, outputs: Tensor, generator: Noise = None) -> Tensor:
        """States of the units: one of each block whose pooling unit is on, ``(batch, n_outputs)`` -> ``(batch, n)``."""
        return self.sample(outputs.new_empty(*outputs.shape[:-1], self.size), generator, mean=self.spread(outputs))

    def states(self) -> Tensor:
        """All states, blocks in counting order.

        Raises:
            SettingError: more than 2^20 states.
        """
        per_block, count = self.pool**2 + 1, self.size // self.pool**2
        if per_block**count > 2**MAX_ENUMERABLE:
            raise SettingError(
                f"{count} blocks of {self.pool**2} units have {per_block}^{count} states: enumeration stops at 2^20."
            )
        device = self.bias.device
        chosen = torch.cartesian_prod(*[torch.arange(per_block, device=device)] * count).view(-1, count)
        one_hot = F.one_hot(chosen, per_block)[..., 1:].to(self.bias.dtype)  # (states, blocks, units of a block)
        height, width, maps = self.shape
        rows, columns = height // self.pool, width // self.pool
        by_block = one_hot.view(-1, rows, columns, maps, self.pool, self.pool)
        return by_block.permute(0, 1, 4, 2, 5, 3).flatten(1)


def _states(by_place: Tensor) -> Tensor:
    """``(pool, pool, ..., height / pool, width / pool, maps)`` -> states ``(..., n)``, through which gradients pass."""
    return by_place.movedim((0, 1), BLOCK).flatten(-5)
