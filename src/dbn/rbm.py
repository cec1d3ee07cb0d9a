"""The restricted Boltzmann machine: two layers of units and the weights between them."""

import torch
from torch import Tensor, nn

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

    def hidden_field(self, v: Tensor) -> Tensor:
        """What the hidden units receive: ``v @ W``, ``(batch, n_visible)`` -> ``(batch, n_hidden)``."""
        return v @ self.weight

    def visible_field(self, h: Tensor) -> Tensor:
        """What the visible units receive: ``h @ W^T``, ``(batch, n_hidden)`` -> ``(batch, n_visible)``."""
        return h @ self.weight.T

    def energy(self, v: Tensor, h: Tensor) -> Tensor:
        """``E(v, h)`` of pairs of states ``(batch, n_visible)``, ``(batch, n_hidden)``; ``(batch,)`` in nats."""
        return self.visible.energy(v) + self.hidden.energy(h) - (self.hidden_field(v) * h).sum(-1)

    def free_energy(self, v: Tensor) -> Tensor:
        """``F(v) = -log sum_h exp(-E(v, h))`` of ``v`` ``(batch, n_visible)``; returns ``(batch,)`` in nats."""
        return self.visible.energy(v) - self.hidden.log_partition(self.hidden_field(v))

    def free_energy_hidden(self, h: Tensor) -> Tensor:
        """``-log sum_v exp(-E(v, h))`` of ``h`` ``(batch, n_hidden)``; returns ``(batch,)`` in nats."""
        return self.hidden.energy(h) - self.visible.log_partition(self.visible_field(h))

    def mean_hidden(self, v: Tensor) -> Tensor:
        """``E[h | v]``, ``(batch, n_hidden)``."""
        return self.hidden.mean(self.hidden_field(v))

    def sample_hidden(self, v: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """A draw of ``h | v``, ``(batch, n_hidden)``."""
        return self.hidden.sample(self.hidden_field(v), generator)

    def mean_visible(self, h: Tensor) -> Tensor:
        """``E[v | h]``, ``(batch, n_visible)``."""
        return self.visible.mean(self.visible_field(h))

    def sample_visible(self, h: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """A draw of ``v | h``, ``(batch, n_visible)``."""
        return self.visible.sample(self.visible_field(h), generator)

    @torch.no_grad()
    def gibbs(self, v: Tensor, steps: int, generator: torch.Generator | None = None) -> Tensor:
        """``steps`` steps of block Gibbs sampling from visible states ``v`` ``(batch, n_visible)``; same shape."""
        for _ in range(steps):
            v = self.sample_visible(self.sample_hidden(v, generator), generator)
        return v

    @torch.no_grad()
    def write_gradient(self, data: "Phase", model: "Phase", count: int | None = None) -> None:
        r"""Write the gradient of :math:`\langle F(v)\rangle_{data} - \langle F(v)\rangle_{model}` into every ``grad``.

        Sufficient statistics with the hidden units summed out in both phases, without autograd:
        :math:`\partial F/\partial W = -v\,E[h|v]^T`, and the units' own gradients for their parameters.

        Args:
            data: positive phase.
            model: negative phase, of as many states.
            count: what to divide the sums by; default the number of states. Several processes that share a minibatch
                give its whole size and then add their gradients up.

        References:
            Hinton (2002), equation 5 onward; notes on summing out the hidden units: Marlin et al. (2010).
        """
        scale = 1.0 / (count or len(data.v))
        for parameter in (*self.visible.parameters(), *self.hidden.parameters()):
            gradient_of(parameter).zero_()
        weight_gradient = gradient_of(self.weight)
        torch.mm(model.v.T, model.mean, out=weight_gradient)
        torch.addmm(weight_gradient, data.v.T, data.mean, beta=scale, alpha=-scale, out=weight_gradient)
        for phase, sign in ((data, 1.0), (model, -1.0)):
            self.visible.add_energy_gradient(phase.v, sign * scale)
            self.hidden.add_log_partition_gradient(phase.field, phase.mean, -sign * scale)


class Phase:
    """Visible states with what the hidden units make of them: one phase of the gradient.

    Attributes:
        v: visible states ``(batch, n_visible)``.
        field: hidden field ``(batch, n_hidden)``.
        mean: hidden means ``(batch, n_hidden)``.
    """

    __slots__ = ("field", "mean", "v")

    def __init__(self, rbm: RBM, v: Tensor) -> None:
        self.v = v
        self.field = rbm.hidden_field(v)
        self.mean = rbm.hidden.mean(self.field)
