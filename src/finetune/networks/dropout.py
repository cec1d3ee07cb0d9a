"""Dropout as it was published."""

import torch
from torch import Tensor, nn

from dbn.random.device_noise import DeviceNoise
from dbn.random.noise import uniform
from dbn.random.streams import Noise


class Dropout(nn.Module):
    r"""Dropout as published: units are kept with probability ``keep`` in training, and scaled by it in evaluation.

    (Torch's own divides by ``keep`` in training instead.) Published learning rates and max-norms refer to this form.
    With initial weights divided by ``keep``, the network in evaluation mode is the initialised one (section 5.2 of the
    paper).

    Args:
        probability: of dropping a unit, in [0, 1).

    References:
        Srivastava et al. (2014), *Dropout: a simple way to prevent neural networks from overfitting*, JMLR 15:1929.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability
        self.generator: Noise = None

    @property
    def keep(self) -> float:
        """Probability of keeping a unit."""
        return 1.0 - self.probability

    def forward(self, x: Tensor) -> Tensor:
        """Randomly dropped units in training, expectations in evaluation; same shape as ``x``."""
        if self.probability == 0:
            return x
        if not self.training:
            return x * self.keep
        if isinstance(self.generator, DeviceNoise):
            from dbn.machine.kernels.dropout import KernelDropout  # imports Triton

            dropped: Tensor = KernelDropout.apply(x, self.keep, self.generator)
            return dropped
        noise = uniform(x.detach(), self.generator)
        return x * torch.lt(noise, self.keep, out=noise)  # zeros and ones of x's type: to multiply by bools is slow

    def extra_repr(self) -> str:
        """The probability, for ``print(network)``."""
        return f"{self.probability:g}"
