"""The restricted Boltzmann machine: two layers of units and the weights between them."""

from typing import Any

import torch
from torch import Tensor, nn

from dbn.errors import SettingError
from dbn.products import matmul
from dbn.settings import check_number
from dbn.streams import Noise
from dbn.tensors import as_states
from dbn.units import Units
from dbn.units.base import gradient_of


class RBM(nn.Module):
    r"""Restricted Boltzmann machine with energy :math:`E(v, h) = E_v(v) + E_h(h) - v^T W h`.

    It holds mathematics only: no optimiser, no data, no logging. Weights start as draws from N(0, ``weight_std``^2),
    biases at zero.

    Args:
        visible: visible units, ``n_visible`` of them.
        hidden: hidden units, ``n_hidden`` of them.
        weight_std: standard deviation of the initial weights; 0.1 in Hinton & Salakhutdinov's released code (2006).
        generator: source of the initial weights (default: torch's global one).

    States that are given to its methods are tensors or numpy arrays ``(batch, n)``: floating-point numbers of any type,
    booleans, or zeros and ones; see :func:`dbn.tensors.as_states`. Results are tensors of the type of the weights.

    Raises:
        SettingError: an argument is not of its kind.

    Example:
        >>> rbm = RBM(Bernoulli(784), Bernoulli(500))
        >>> rbm.free_energy(torch.rand(100, 784)).shape
        torch.Size([100])

    References:
        Smolensky (1986); Hinton (2002), *Training products of experts by minimizing contrastive divergence*.
    """

    def __init__(
        self, visible: Units, hidden: Units, *, weight_std: float = 0.1, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        for name, units in (("visible", visible), ("hidden", hidden)):
            if not isinstance(units, Units):
                raise SettingError(f"{name}={units!r}: an RBM is made of units, such as {name}=Bernoulli(100).")
        if visible is hidden:
            raise SettingError(f"hidden={hidden!r} are the visible units themselves. Make hidden units of their own.")
        check_number("weight_std", weight_std, low=0)
        if generator is not None and not isinstance(generator, torch.Generator):
            raise SettingError(f"generator={generator!r}: give a generator, such as dbn.streams.stream(0, 'init').")
        self.visible = visible
        self.hidden = hidden
        self.weight = nn.Parameter(torch.randn(visible.size, hidden.size, generator=generator) * weight_std)

    @property
    def n_visible(self) -> int:
        """Number of visible units."""
        return self.visible.size

    @property
    def n_hidden(self) -> int:
        """Number of hidden units."""
        return self.hidden.size

    def visible_states(self, v: Any) -> Tensor:
        """States of the visible units from what a person hands in, see :func:`dbn.tensors.as_states`."""
        return as_states(v, self.weight, self.n_visible, "visible")

    def hidden_states(self, h: Any) -> Tensor:
        """States of the hidden units, likewise."""
        return as_states(h, self.weight, self.n_hidden, "hidden")

    def hidden_field(self, v: Tensor, out: Tensor | None = None) -> Tensor:
        """What the hidden units receive: ``v @ W``, ``(batch, n_visible)`` -> ``(batch, n_hidden)``.

        Raises:
            DataError: ``v`` cannot be states of the visible units. Training, which gives ``out``, is not checked.
        """
        if out is None:
            v = self.visible_states(v)
        return matmul(v, self.weight, out)

    def visible_field(self, h: Tensor, out: Tensor | None = None) -> Tensor:
        """What the visible units receive: ``h @ W^T``, ``(batch, n_hidden)`` -> ``(batch, n_visible)``.

        Raises:
            DataError: ``h`` cannot be states of the hidden units. Training, which gives ``out``, is not checked.
        """
        if out is None:
            h = self.hidden_states(h)
        return matmul(h, self.weight.mT, out)

    def statistics(self, v: Tensor, h: Tensor, out: Tensor | None = None) -> Tensor:
        """``v^T h`` summed over states ``(states, n)``, hidden ones weighted -> the shape of ``W``."""
        return matmul(v.T, h, out)

    def energy(self, v: Tensor, h: Tensor) -> Tensor:
        """``E(v, h)`` of pairs of states ``(batch, n_visible)``, ``(batch, n_hidden)``; ``(batch,)`` in nats."""
        v, h = self.visible_states(v), self.hidden_states(h)
        return self.visible.energy(v) + self.hidden.energy(h) - (self.hidden_field(v) * h).sum(-1)

    def free_energy(self, v: Tensor) -> Tensor:
        """``F(v) = -log sum_h exp(-E(v, h))`` of ``v`` ``(batch, n_visible)``; returns ``(batch,)`` in nats."""
        v = self.visible_states(v)
        return self.visible.energy(v) - self.hidden.log_partition(self.hidden_field(v))

    def free_energy_hidden(self, h: Tensor) -> Tensor:
        """``-log sum_v exp(-E(v, h))`` of ``h`` ``(batch, n_hidden)``; returns ``(batch,)`` in nats."""
        h = self.hidden_states(h)
        return self.hidden.energy(h) - self.visible.log_partition(self.visible_field(h))

    def mean_hidden(self, v: Tensor) -> Tensor:
        """``E[h | v]``, ``(batch, n_hidden)``."""
        return self.hidden.mean(self.hidden_field(v))

    def sample_hidden(self, v: Tensor, generator: Noise = None) -> Tensor:
        """A draw of ``h | v``, ``(batch, n_hidden)``."""
        return self.hidden.sample(self.hidden_field(v), generator)

    def mean_visible(self, h: Tensor) -> Tensor:
        """``E[v | h]``, ``(batch, n_visible)``."""
        return self.visible.mean(self.visible_field(h))

    def sample_visible(self, h: Tensor, generator: Noise = None) -> Tensor:
        """A draw of ``v | h``, ``(batch, n_visible)``."""
        return self.visible.sample(self.visible_field(h), generator)

    @torch.no_grad()
    def gibbs(self, v: Tensor, steps: int, generator: Noise = None) -> Tensor:
        """``steps`` steps of block Gibbs sampling from visible states ``v`` ``(batch, n_visible)``; same shape."""
        check_number("steps", steps, low=0, whole=True)
        v = self.visible_states(v)
        for _ in range(steps):
            v = self.sample_visible(self.sample_hidden(v, generator), generator)
        return v

    def write_gradient(self, phases: "Phases", count: int | None = None) -> None:
        r"""Write the gradient of :math:`\langle F(v)\rangle_{data} - \langle F(v)\rangle_{model}` into every ``grad``.

        Sufficient statistics with the hidden units summed out in both phases, without autograd:
        :math:`\partial F/\partial W = -v\,E[h|v]^T`, and the units' own gradients for their parameters. One product
        takes the statistics of both phases; the hidden means serve as its buffer and are used up.

        Args:
            phases: positive and negative phase.
            count: what to divide the sums by; default the size of the minibatch. Several processes that share a
                minibatch give its whole size and then add their gradients up.

        References:
            Hinton (2002), equation 5 onward; notes on summing out the hidden units: Marlin et al. (2010).
        """
        weights = phases.weights(count)
        self.visible.write_minus_energy_gradient(phases.v, weights)
        self.hidden.write_log_partition_gradient(phases.field, phases.mean, weights)
        phases.mean.mul_(weights.unsqueeze(-1))
        self.statistics(phases.v, phases.mean, out=gradient_of(self.weight))


class Phase:
    """Visible states with what the hidden units make of them: one phase of the gradient.

    In a group of models that train together every shape has the members first, ``(members, batch, n)``.

    Attributes:
        v: visible states ``(batch, n_visible)``.
        field: hidden field ``(batch, n_hidden)``.
        mean: hidden means ``(batch, n_hidden)``.
        h: room for hidden states ``(batch, n_hidden)``, for samplers.
    """

    __slots__ = ("field", "h", "mean", "v")

    def __init__(self, v: Tensor, field: Tensor, mean: Tensor, h: Tensor) -> None:
        self.v = v
        self.field = field
        self.mean = mean
        self.h = h

    def look(self, rbm: RBM) -> None:
        """Fill in the field and the means of the hidden units, from the visible states."""
        rbm.hidden_field(self.v, out=self.field)
        rbm.hidden.mean(self.field, out=self.mean)


class Phases:
    """Both phases of a minibatch, one above the other in buffers that every step of a fit writes to again.

    In a group of models that train together every shape is ``(2, members, batch, n)`` in place of ``(2 * batch, n)``.

    Args:
        rbm: for the sizes of its layers, its members if it is a group, its dtype and device.
        batch: states per phase.

    Attributes:
        v: visible states ``(2 * batch, n_visible)``.
        field: hidden fields ``(2 * batch, n_hidden)``.
        mean: hidden means ``(2 * batch, n_hidden)``.
        positive: the first half of each.
        negative: the second half.
    """

    __slots__ = ("field", "mean", "negative", "positive", "v", "weights_by_count")

    def __init__(self, rbm: RBM, batch: int) -> None:
        new = rbm.weight.detach().new_empty
        members = rbm.weight.shape[:-2]
        v, h = new(2, *members, batch, rbm.n_visible), new(*members, batch, rbm.n_hidden)
        field, mean = new(2, *h.shape), new(2, *h.shape)
        self.positive = Phase(v[0], field[0], mean[0], h)
        self.negative = Phase(v[1], field[1], mean[1], h)
        self.v, self.field, self.mean = (x if members else x.flatten(0, 1) for x in (v, field, mean))
        self.weights_by_count: dict[int | None, Tensor] = {}

    def weights(self, count: int | None = None) -> Tensor:
        """Of each state's minus free energy in the gradient: ``(2 * batch,)``, of a group ``(2, members, batch)``.

        They are ``-1/count`` in the positive phase and ``1/count`` in the negative; ``count`` is by default ``batch``.
        """
        weights = self.weights_by_count.get(count)
        if weights is None:
            scale = 1 / (count or self.positive.v.shape[-2])
            positive = self.v.new_full(self.positive.v.shape[:-1], scale)
            weights = self.weights_by_count[count] = torch.stack([-positive, positive]).view(self.v.shape[:-1])
        return weights
