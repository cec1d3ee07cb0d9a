"""What every sampler answers."""

from abc import ABC, abstractmethod

from torch import Tensor

from dbn.rbm import RBM, Phase
from dbn.streams import Noise


class Sampler(ABC):
    """Produces the visible states of the negative phase."""

    @abstractmethod
    def write_negative_states(self, rbm: RBM, positive: Phase, out: Tensor, generator: Noise = None) -> None:
        """Write visible states that stand for the model into ``out``.

        Args:
            rbm: the model.
            positive: the positive phase of the minibatch; its ``h`` may be used as a buffer, the rest stays.
            out: ``(batch, n_visible)``.
            generator: source of randomness (default: torch's global one).
        """
