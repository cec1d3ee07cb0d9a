"""The interface of samplers."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from dbn.errors import SettingError
from dbn.models.phases import Phase, Phases
from dbn.models.rbm import RBM
from dbn.random.streams import Noise


class Sampler(ABC):
    """Produces the visible states of the negative phase."""

    starts_at_data: ClassVar[bool] = True
    """Whether it needs the positive phase's hidden field. Without it, the fields of both phases are one product."""

    chains_of_images: ClassVar[bool] = False
    """Whether state ``k`` of the negative phase is the end of a chain of image ``k`` of the minibatch."""

    n_chains: int | None = None
    """Number of chains over all processes, each a state of the negative phase; None: one for each image."""
    processes: int = 1
    """Processes that have chains of their own; a given number is divided among them."""

    @property
    @abstractmethod
    def products(self) -> int:
        """Products with the weights that the sampler takes per negative state, for :mod:`dbn.models.flops`."""

    def divide(self, processes: int) -> None:
        """Be the sampler of one of several processes, each of which has chains of its own.

        Args:
            processes: their number.

        Raises:
            SettingError: a given number of chains cannot be divided by it.
        """
        check_division("sampler.chains", self.n_chains, processes)
        self.processes = processes

    def begin(self, rbm: RBM) -> None:  # noqa: B027
        """Know the model, or the group, with its weights before the first step; called before a state is restored.

        Raises:
            SettingError: the sampler cannot be used with it.
        """

    def begin_epoch(self, epoch: int) -> bool:
        """Set up what depends on the epoch, from 0; called before every block, so also when training resumes.

        Returns:
            Whether steps are other ones from now on, so that recorded ones are of no use.
        """
        return False

    def end_epoch(self, rbm: RBM) -> Sequence[Mapping[str, float]]:
        """Adapt to what was seen in an epoch; the host may wait for the device.

        Args:
            rbm: the model, or a group.

        Returns:
            Metrics of the epoch by name, of each member; empty: none.
        """
        return ()

    @abstractmethod
    def write_negative_states(self, rbm: RBM, positive: Phase, out: Tensor, generator: Noise = None) -> None:
        """Write visible states of the negative phase into ``out``.

        Args:
            rbm: the model.
            positive: the positive phase of the minibatch; only its buffer ``h`` may be overwritten. Its hidden field is
                there only for a sampler that :attr:`starts_at_data`.
            out: ``(states, n_visible)``, one for each image, or for each of :attr:`n_chains`.
            generator: source of randomness (default: torch's global one).
        """

    def continue_chains(self, rbm: RBM, phases: Phases, generator: Noise = None) -> None:  # noqa: B027
        """Prepare the next minibatch, once the negative phase has its hidden field and before the update.

        Args:
            rbm: the model.
            phases: both phases of the minibatch; their buffer ``h`` may be overwritten.
            generator: source of randomness (default: torch's global one).
        """

    def follow_gradient(self, rbm: RBM) -> None:  # noqa: B027
        """Learn from the gradient that the update will take: ``grad`` of the parameters, over all processes."""

    def state_dict(self) -> dict[str, Tensor]:
        """State for checkpoints, so that resumed training is bit-equal; empty unless chains persist."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Tensor], device: torch.device) -> None:  # noqa: B027
        """Restore the state of :meth:`state_dict`."""


def check_division(key: str, chains: int | None, processes: int) -> None:
    """Raise :class:`SettingError` if a given number of chains, ``key``, cannot be divided among the processes."""
    if chains is not None and chains % processes:
        even = max(1, chains // processes) * processes
        raise SettingError(
            f"{key}={chains}: they cannot be divided evenly among {processes} processes. Use {key}={even}, or null."
        )
