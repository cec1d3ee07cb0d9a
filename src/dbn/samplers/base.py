"""The interface of samplers."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from dbn.models.phases import Phase, Phases
from dbn.models.rbm import RBM
from dbn.random.streams import Noise


class Sampler(ABC):
    """Produces the visible states of the negative phase."""

    persistent: ClassVar[bool] = False
    """Whether its chains continue from minibatch to minibatch."""
    starts_at_data: ClassVar[bool] = True
    """Whether it needs the positive phase's hidden field. Without it, the fields of both phases are one product."""

    @property
    @abstractmethod
    def products(self) -> int:
        """Products with the weights that the sampler takes per image, for :mod:`dbn.models.flops`."""

    @abstractmethod
    def write_negative_states(self, rbm: RBM, positive: Phase, out: Tensor, generator: Noise = None) -> None:
        """Write visible states of the negative phase into ``out``.

        Args:
            rbm: the model.
            positive: the positive phase of the minibatch; only its buffer ``h`` may be overwritten. Its hidden field is
                there only for a sampler that :attr:`starts_at_data`.
            out: ``(batch, n_visible)``.
            generator: source of randomness (default: torch's global one).
        """

    def continue_chains(self, rbm: RBM, phases: Phases, generator: Noise = None) -> None:  # noqa: B027
        """Prepare the next minibatch, once the negative phase has its hidden field and before the update.

        Args:
            rbm: the model.
            phases: both phases of the minibatch; their buffer ``h`` may be overwritten.
            generator: source of randomness (default: torch's global one).
        """

    def state_dict(self) -> dict[str, Tensor]:
        """State for checkpoints, so that resumed training is bit-equal; empty unless chains persist."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Tensor], device: torch.device) -> None:  # noqa: B027
        """Restore the state of :meth:`state_dict`."""
