"""Binary units of feature maps of which at most one in a block is on: probabilistic max-pooling."""

import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dbn.errors import SettingError
from dbn.machine.cache import cached_parts
from dbn.models.block_states import fields_to_means, means_to_states
from dbn.models.gradients import write_weighted_sum
from dbn.models.maps import checked_maps
from dbn.models.pooling import ProbabilisticMaxPooling, blocks
from dbn.models.units.base import Units
from dbn.models.units.bernoulli import MAX_ENUMERABLE
from dbn.models.units.per_map import evenly
from dbn.random.noise import uniform_in_rows
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
    pooling: ProbabilisticMaxPooling

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
        """Fields with biases ``(..., n)``."""
        own: Tensor = field.unflatten(-1, (-1, self.shape[-1])) + self._of_positions()
        return own.flatten(-2)

    def _of_positions(self) -> Tensor:
        """Biases beside fields ``(..., positions, maps)``: ``(maps,)``, in a group ``(members, 1, 1, maps)``."""
        return self.bias if self.bias.dim() == 1 else self.bias.unsqueeze(-2)

    def energy(self, x: Tensor) -> Tensor:
        """Energy of states ``x`` ``(batch, n)``; returns ``(batch,)`` in nats."""
        on: Tensor = x.unflatten(-1, (-1, self.shape[-1])).sum(-2)
        return -(on * self.bias).sum(-1)

    def log_partition(self, field: Tensor) -> Tensor:
        """``log sum_x exp(-E(x) + field . x)``; ``field`` ``(batch, n)`` -> ``(batch,)`` in nats."""
        return F.softplus(self.pooling(self._with_bias(field))).sum(-1)

    def mean(self, field: Tensor, out: Tensor | None = None) -> Tensor:
        """``E[x | field]``, ``(batch, n)``."""
        if torch.is_grad_enabled():
            return self._differentiable_mean(field, out)
        out = torch.empty_like(field, memory_format=torch.contiguous_format) if out is None else out
        for bias, _, parts in self._pieces(None, field, out):
            self._write_mean(bias, *parts)
        return out

    def sample(
        self, field: Tensor, generator: Noise = None, out: Tensor | None = None, mean: Tensor | None = None
    ) -> Tensor:
        """Zeros and ones, at most a one in a block, ``(batch, n)``, by the inverse of each block's distribution."""
        out = torch.empty_like(field, memory_format=torch.contiguous_format) if out is None else out
        with torch.no_grad():
            for bias, noise, (given, own) in self._pieces(generator, field if mean is None else mean, out):
                if mean is None:
                    self._write_mean(bias, given, own)
                else:
                    own.copy_(given)
                self._draw(own, noise)
        return out

    def mean_and_sample(self, field: Tensor, generator: Noise, mean: Tensor, out: Tensor) -> None:
        """Write ``mean(field)`` into ``mean`` and a sample of ``x | field`` into ``out``, both ``(batch, n)``."""
        for bias, noise, (own_field, own_mean, own) in self._pieces(generator, field, mean, out):
            self._write_mean(bias, own_field, own_mean)
            own.copy_(own_mean)
            self._draw(own, noise)

    def _pieces(self, generator: Noise, *states: Tensor) -> Iterator[tuple[Tensor, Noise, tuple[Tensor, ...]]]:
        """Biases, noise and states, of one member of a group and some rows at a time: as much as stays in a cache.

        On a GPU everything at once.
        """
        first = states[0]
        if first.device.type != "cpu" or first.dim() == 1:
            yield self._of_positions(), generator, states
        elif first.dim() == 2:
            for rows in cached_parts(*states):
                yield self.bias, generator, rows
        else:
            for place in product(*map(range, first.shape[:-2])):
                bias = self.bias if self.bias.dim() == 1 else self.bias[place[-1], 0]
                own = generator[place[-1]] if isinstance(generator, Sequence) else generator
                for rows in cached_parts(*(x[place] for x in states)):
                    yield bias, own, rows

    def _write_mean(self, bias: Tensor, field: Tensor, out: Tensor) -> None:
        """Write means of units with these biases into ``out``, which may be ``field``."""
        by_map = (-1, self.shape[-1])
        torch.add(field.unflatten(-1, by_map), bias, out=out.unflatten(-1, by_map))
        fields_to_means(out, self.shape, self.pool)

    def _draw(self, x: Tensor, generator: Noise) -> None:
        """Turn means into states."""
        size = x.shape[-1] // self.pool**2
        point = uniform_in_rows(x[..., :size], generator).unflatten(-1, self.pooling.output_shape)
        means_to_states(x, point, self.shape, self.pool)

    def _differentiable_mean(self, field: Tensor, out: Tensor | None) -> Tensor:
        by_block = blocks(self._with_bias(field), self.shape, self.pool)
        largest = by_block.detach().amax(BLOCK, keepdim=True).clamp_(min=0)
        exponentials = (by_block - largest).exp()
        means: Tensor = (exponentials / (exponentials.sum(BLOCK, keepdim=True) + (-largest).exp())).flatten(-5)
        return means if out is None else out.copy_(means)

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
        return torch.sigmoid(self.pooling(self._with_bias(field)))

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
