"""What every sampler answers."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from dbn.models.phases import Phase
from dbn.models.rbm import RBM
from dbn.random.streams import Noise


class Sampler(ABC):
    """Produces the visible states of the negative phase."""

    persistent: ClassVar[bool] = False
    """Whether it has chains that go on from minibatch to minibatch."""

    @property
    @abstractmethod
    def products(self) -> int:
        """Products of an image with the weights that the negative phase takes, for :mod:`dbn.models.flops`."""

    @abstractmethod
    def write_negative_states(self, rbm: RBM, positive: Phase, out: Tensor, generator: Noise = None) -> None:
        """Write visible states that stand for the model into ``out``.

        Args:
            rbm: the model.
            positive: the positive phase of the minibatch; its ``h`` may be used as a buffer, the rest stays.
            out: ``(batch, n_visible)``.
            generator: source of randomness (default: torch's global one).
        """

    def state_dict(self) -> dict[str, Tensor]:
        """What a checkpoint must keep for training to go on with the same bits: nothing, unless chains persist."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Tensor], device: torch.device) -> None:  # noqa: B027
        """Go on from what :meth:`state_dict` gave."""
