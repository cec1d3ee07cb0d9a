"""Mean-field inference in a deep Boltzmann machine."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from dbn.settings import check_number


class Machine(Protocol):
    """What is asked of a deep Boltzmann machine, see :class:`dbn.models.dbm.DBM`."""

    def __len__(self) -> int:
        """Number of layers of units."""

    def __getitem__(self, index: int) -> Any:
        """The units of a layer."""

    def connection(self, layer: int) -> Any:
        """The connection of a layer with the one below."""

    def field(self, layer: int, states: Sequence[Tensor | None], *, doubled: bool = False) -> Tensor:
        """Field of a layer from the states of its neighbours."""

    def interaction(self, states: Sequence[Tensor]) -> Tensor:
        """Sum of the products of neighbours' states with the weights."""


STEPS, TOLERANCE = 100, 1e-5
"""Most steps, and the change of a mean below which an image's means count as converged."""


@dataclass(frozen=True, eq=False)
class MeanField:
    r"""A factorial distribution ``q`` of the hidden units for each of some visible states.

    Attributes:
        fields: variational parameters of each hidden layer, ``(batch, n_l)``: ``q`` is that of units with this field.
        means: means under ``q`` of each hidden layer, ``(batch, n_l)``.
        change: largest change of a mean in the last step that each image took, ``(batch,)``.
        steps: steps that the slowest image took.
    """

    fields: list[Tensor]
    means: list[Tensor]
    change: Tensor
    steps: int

    def converged(self, tolerance: float = TOLERANCE) -> Tensor:
        """Which images changed by no more than ``tolerance`` in their last step, ``(batch,)`` of booleans."""
        return self.change <= tolerance


@torch.no_grad()
def mean_field(
    dbm: Machine, v: Tensor, *, steps: int = STEPS, tolerance: float = TOLERANCE, damping: float = 0.0
) -> MeanField:
    r"""Find the factorial distribution of the hidden units that is nearest to their posterior, by fixed-point steps.

    It starts with a pass upwards with doubled fields. A step goes through the hidden layers from below and sets

    .. math:: f_l \leftarrow \delta f_l + (1 - \delta)(q_{l-1} W_l + W_{l+1} q_{l+1}), \quad q_l = E[x_l \mid f_l]

    with :math:`q_0 = v`. Each of these raises the variational bound or leaves it, also when damped: given its
    neighbours, a layer's bound is highest at the undamped field, and rises all the way from the old one to it.

    An image is done when none of its means has changed by more than ``tolerance`` in a step, or after ``steps``; it
    then stays as it is, so that its result does not depend on the others of a batch, up to rounding in products.

    Args:
        dbm: the machine, or a group.
        v: visible states ``(batch, n_visible)``, in a group ``(members, batch, n_visible)``.
        steps: most steps, from 1.
        tolerance: largest change that counts as none; 0: take all steps.
        damping: :math:`\delta`, from 0 to below 1; for machines whose images take long to settle.

    Raises:
        SettingError: an argument is out of range.

    References:
        Salakhutdinov & Hinton (2009), equations 6 to 8.
    """
    check_number("mean_field_steps", steps, low=1, whole=True)
    check_number("mean_field_tolerance", tolerance, low=0)
    check_number("damping", damping, low=0, high=1, below=True)
    states: list[Tensor | None] = [v, *[None] * (len(dbm) - 1)]
    fields: list[Tensor] = []
    for k in range(1, len(dbm)):
        fields.append(dbm.field(k, states, doubled=True))
        states[k] = dbm[k].mean(fields[-1])
    change = v.new_full(v.shape[:-1], float("inf"))
    from_image = dbm.connection(1).hidden_field(v)
    taken = 0
    for _ in range(steps):
        active = (change > tolerance).unsqueeze(-1)
        if tolerance and not bool(active.any()):
            break
        moved = torch.zeros_like(change)
        for k in range(1, len(dbm)):
            field = from_image + dbm.connection(2).visible_field(states[2]) if k == 1 else dbm.field(k, states)
            if damping:
                field = fields[k - 1].lerp(field, 1 - damping)
            old = states[k]
            fields[k - 1] = torch.where(active, field, fields[k - 1])
            new = states[k] = dbm[k].mean(fields[k - 1])
            moved = torch.maximum(moved, (new - old).abs().amax(-1))
        change = torch.where(active.squeeze(-1), moved, change)
        taken += 1
    return MeanField(fields, [x for x in states[1:] if x is not None], change, taken)


@torch.no_grad()
def bound(dbm: Machine, v: Tensor, found: MeanField, log_z: float | Tensor = 0.0) -> Tensor:
    r"""Variational lower bound of ``log p(v)``, ``(batch,)`` in nats; without ``log_z`` that of ``log p(v) + log Z``.

    .. math:: -E_0(v) + \sum_l E_q[x_{l-1}]^T W_l E_q[x_l] + \sum_{l \ge 1} (\log Z_l(f_l) - f_l^T E_q[x_l]) - \log Z

    The last sum but one is that of entropies less expected energies, for any type of units.

    Args:
        dbm: a single machine.
        v: visible states ``(batch, n_visible)``.
        found: any factorial distribution, such as by :func:`mean_field`.
        log_z: log partition function of the machine.

    References:
        Salakhutdinov & Hinton (2009), equation 5.
    """
    states: Sequence[Tensor] = [v, *found.means]
    of_units = [
        dbm[k].log_partition(field) - (field * states[k]).sum(-1) for k, field in enumerate(found.fields, start=1)
    ]
    total: Tensor = torch.stack(of_units).sum(0) + dbm.interaction(states) - dbm[0].energy(v) - log_z
    return total
