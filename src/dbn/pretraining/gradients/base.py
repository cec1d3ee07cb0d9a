"""The interface of update directions: what becomes of an RBM's gradient before the optimiser takes it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from dbn.models.rbm import RBM
from dbn.models.registry import Registered

PhaseStates = Sequence[tuple[Tensor, Tensor, Tensor]]
"""Visible states, hidden means and weights of each phase, see :meth:`dbn.models.phases.Phases.by_phase`."""


class Gradient(Registered, ABC):
    """The direction of an RBM's updates: the gradient of its likelihood, or what that is transformed to.

    A user-defined type subclasses this class and sets ``kind``, see :class:`dbn.models.registry.Registered`. One
    instance belongs to one fit of one RBM, or of one group of RBMs.
    """

    registry: ClassVar[dict[str, type[Any]]] = {}

    weighted: bool = False
    """Whether images have weights: those of all images of a minibatch may be zero. Set by the step that uses it."""

    def check(self, rbm: RBM) -> None:
        """Check that there is such a direction for an RBM.

        Raises:
            SettingError: there is none for its units or connection.
        """

    @abstractmethod
    def start(self, rbm: RBM) -> None:
        """Prepare for training ``rbm``, unless a state was restored."""

    @abstractmethod
    def statistics(self, phases: PhaseStates) -> Sequence[Tensor]:
        """What :meth:`transform` needs of a minibatch, so that sums over processes are those of all states.

        Args:
            phases: of the positive phase, then of the negative one, visible states ``(states, n_visible)``, hidden
                means ``(states, n_hidden)``, and weights of the states ``(states,)``, negative ones in the positive
                phase; in a group with the members first.
        """

    @abstractmethod
    def transform(self, rbm: RBM, statistics: Sequence[Tensor]) -> None:
        """Replace the gradients, which are summed over all processes, as are the ``statistics``."""

    def state_dict(self) -> dict[str, Tensor]:
        """State for checkpoints, so that resumed training is bit-equal."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Tensor], device: torch.device) -> None:
        """Restore the state of :meth:`state_dict`."""


class Plain(Gradient):
    """The gradient as it is; steps leave it out, see :attr:`dbn.pretraining.settings.LayerSettings.direction`."""

    kind: ClassVar[str] = "plain"

    def start(self, rbm: RBM) -> None:
        """Nothing to prepare."""

    def statistics(self, phases: PhaseStates) -> Sequence[Tensor]:
        """None."""
        return ()

    def transform(self, rbm: RBM, statistics: Sequence[Tensor]) -> None:
        """Leave it."""
