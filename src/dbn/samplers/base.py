"""What every sampler answers."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from dbn.rbm import RBM, Phase


class Sampler(ABC):
    """Produces the visible states of the negative phase."""

    @abstractmethod
    def negative_states(self, rbm: RBM, positive: Phase, generator: torch.Generator | None = None) -> Tensor:
        """Visible states that stand for the model, ``(batch, n_visible)``.

        Args:
            rbm: the model.
            positive: the positive phase of the minibatch.
            generator: source of randomness (default: torch's global one).
        """
