"""Chains of an RBM at several inverse temperatures, which exchange their states."""

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor

from dbn.errors import SettingError
from dbn.models.rbm import RBM
from dbn.models.units import Units
from dbn.random.streams import Noise
from dbn.samplers.swaps import Swaps, exchanged


class TemperedChains:
    r"""Rows of chains of an RBM, one at each inverse temperature :math:`\beta` from 0 to 1, with swaps between them.

    At :math:`\beta` the energy is :math:`E_v(v) + E_h(h) - \beta\,v^T W h - (1 - \beta)(r \cdot v + s \cdot h)`. So at
    0 all units are independent, in outer fields :math:`r` and :math:`s` by which their means are those of data. Without
    these fields the units of a trained model are far from the data as soon as its weights are gone, and chains do not
    mix on the way. Neighbours swap visible states, with the hidden units summed out.

    In a group of RBMs every shape has the members first, and each member has a ladder of its own.

    Args:
        rbm: the model, or a group.
        v: where the chains start at every temperature, ``(rows, n_visible)``; copied.
        betas: inverse temperatures, rising from 0 to 1.

    Attributes:
        v: visible states ``(temperatures * rows, n_visible)``, those of one temperature together.
        betas: ``(temperatures,)``.
        visible_reference: :math:`r`, ``(1, n_visible)``; zeros at first: the units' own distribution.
        hidden_reference: :math:`s`, ``(1, n_hidden)``; zeros at first.
        swaps: what decides on swaps, with its record.

    Raises:
        SettingError: units have no likelihood.
    """

    def __init__(self, rbm: RBM, v: Tensor, betas: Sequence[float]) -> None:
        check_exchangeable(rbm)
        members = tuple(v.shape[:-2])
        with torch.inference_mode(False):  # chains outlive training
            self.v = v.repeat(*(1 for _ in members), len(betas), 1)
            self.betas = v.new_tensor(betas, dtype=rbm.weight.dtype).expand(*members, -1).clone()
            self.visible_reference = v.new_zeros(*members, 1, rbm.n_visible, dtype=rbm.weight.dtype)
            self.hidden_reference = v.new_zeros(*members, 1, rbm.n_hidden, dtype=rbm.weight.dtype)
            self.swaps = Swaps(len(betas), v.shape[-2], members, self.betas)

    @property
    def top(self) -> Tensor:
        """Visible states of the model itself, ``(rows, n_visible)``, a view."""
        own: Tensor = self.by_temperature(self.v)[..., -1, :, :]
        return own

    def by_temperature(self, x: Tensor) -> Tensor:
        """A view ``(temperatures, rows, n)`` of states ``(temperatures * rows, n)``."""
        rows = x.shape[-2] // self.betas.shape[-1]
        return x.view(*x.shape[:-2], -1, rows, x.shape[-1])

    def move(self, rbm: RBM, steps: int, generator: Noise = None) -> None:
        """Take ``steps`` rounds: swaps, then a step of Gibbs sampling at every temperature."""
        h = self.v.new_empty(*self.v.shape[:-1], rbm.n_hidden)
        beta = self.betas[..., None, None]
        of_visible = (1 - beta) * self.visible_reference.unsqueeze(-3)
        of_hidden = (1 - beta) * self.hidden_reference.unsqueeze(-3)
        for _ in range(steps):
            rbm.hidden_field(self.v, out=h)
            self.swap(rbm, h, generator)
            self.by_temperature(h).mul_(beta).add_(of_hidden)
            rbm.hidden.sample(h, generator, out=h)
            rbm.visible_field(h, out=self.v)
            self.by_temperature(self.v).mul_(beta).add_(of_visible)
            rbm.visible.sample(self.v, generator, out=self.v)

    def swap(self, rbm: RBM, field: Tensor, generator: Noise = None) -> None:
        """Exchange states between temperatures, and rows of their hidden ``field`` as well.

        Args:
            rbm: the model.
            field: hidden fields at temperature 1, ``(temperatures * rows, n_hidden)``.
            generator: source of randomness.
        """
        index = self.swaps.draw(self.log_ratio(rbm, field), generator)
        for x in (self.v, field):
            own = self.by_temperature(x)
            own.copy_(exchanged(own, index))

    def log_ratio(self, rbm: RBM, field: Tensor) -> Tensor:
        r"""Log of the ratio by which a swap of neighbours changes the density of both, ``(temperatures - 1, rows)``.

        :math:`F_i(v_i) + F_j(v_j) - F_i(v_j) - F_j(v_i)`, of which the visible units' own energies cancel.

        Args:
            rbm: the model.
            field: hidden fields of the states at temperature 1, ``(temperatures * rows, n_hidden)``.
        """
        betas, fields = self.betas[..., None, None], self.by_temperature(field)
        lower, upper = betas[..., :-1, :, :], betas[..., 1:, :, :]
        below, above = fields[..., :-1, :, :], fields[..., 1:, :, :]

        def log_partition(beta: Tensor, own: Tensor) -> Tensor:
            at_beta = beta * own + (1 - beta) * self.hidden_reference.unsqueeze(-3)
            return rbm.hidden.log_partition(at_beta.flatten(-3, -2)).view(own.shape[:-1])

        after = log_partition(lower, above) + log_partition(upper, below)
        ratio = after - log_partition(lower, below) - log_partition(upper, above)
        pull = (self.by_temperature(self.v) * self.visible_reference.unsqueeze(-3)).sum(-1)
        return ratio + self.betas.diff(dim=-1).unsqueeze(-1) * pull.diff(dim=-2)

    @torch.no_grad()
    def refer_to(self, members: Sequence[RBM], visible: Tensor, hidden: Tensor) -> None:
        """Give independent units the means of data.

        Args:
            members: the model, or the members of the group.
            visible: means of the visible units, ``(1, n_visible)``.
            hidden: means of the hidden units given the data, ``(1, n_hidden)``.
        """
        layers = ([rbm.visible for rbm in members], [rbm.hidden for rbm in members])
        references = (self.visible_reference, self.hidden_reference)
        for layer, mean, reference in zip(layers, (visible, hidden), references, strict=True):
            n = reference.shape[-1]
            for units, own_mean, own in zip(layer, mean.view(-1, n), reference.view(-1, n), strict=True):
                own.copy_(field_between(units, own_mean))

    def state(self) -> dict[str, Tensor]:
        """Everything that changes, by name."""
        return {
            "v": self.v, "betas": self.betas, "visible_reference": self.visible_reference,
            "hidden_reference": self.hidden_reference, **self.swaps.state(),
        }  # fmt: skip

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Restore it."""
        for name, own in self.state().items():
            own.copy_(state[name])


def check_exchangeable(rbm: RBM) -> None:
    """Raise :class:`SettingError` unless states can be exchanged: that is decided by likelihoods."""
    for units in (rbm.visible, rbm.hidden):
        if not units.normalised:
            raise SettingError(
                f"{units.kind} units have no likelihood, by which states of two temperatures are exchanged. Use "
                "sampler=pcd or sampler=fpcd, or units such as bernoulli."
            )


@torch.no_grad()
def field_between(units: Units, mean: Tensor) -> Tensor:
    """The field in which units have the distribution of other biases, those that :meth:`Units.initialise_bias` sets.

    Args:
        units: units of any type, no group.
        mean: from which those biases are computed, ``(n,)``.

    Returns:
        ``(n,)``: how much their energy rises, more than with those biases, when a unit goes from 0 to 1.
    """
    other = deepcopy(units)
    other.initialise_bias(mean)
    zero = units.bias.new_zeros(1, units.size)
    rises = []
    for places in torch.arange(units.size, device=zero.device).split(UNITS_AT_ONCE):
        ones = zero.new_zeros(len(places), units.size).scatter_(1, places.unsqueeze(1), 1.0)
        own, others = (each.energy(ones) - each.energy(zero) for each in (units, other))
        rises.append(own - others)
    return torch.cat(rises)


UNITS_AT_ONCE = 1024
"""Units of which :func:`field_between` takes the energies together."""
