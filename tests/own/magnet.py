"""A unit type of one's own, with an option: what somebody outside of the package would write."""

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from dbn.models.activations import Activation
from dbn.models.gradients import write_weighted_sum
from dbn.models.units import Units
from dbn.random.noise import uniform


class Magnet(Units):
    """Units with two states, ``-value`` and ``value``, and energy ``-b . x``."""

    kind: ClassVar[str] = "magnet"
    options: ClassVar[tuple[str, ...]] = ("value",)

    def __init__(self, shape: Any, value: float = 1.0) -> None:
        super().__init__(shape)
        self.value = value

    @property
    def interval(self) -> tuple[float, float]:  # type: ignore[override]
        return (-self.value, self.value)

    @property
    def activation(self) -> Any:  # type: ignore[override]
        return {"kind": "magnet", "value": self.value}

    def energy(self, x: Tensor) -> Tensor:
        return -(x @ self.bias)

    def log_partition(self, field: Tensor) -> Tensor:
        a = self.value * (field + self.bias)  # log(2 cosh a)
        return (a.abs() + F.softplus(-2 * a.abs())).sum(-1)

    def mean(self, field: Tensor, out: Tensor | None = None) -> Tensor:
        return torch.add(field, self.bias, out=out).mul_(self.value).tanh_().mul_(self.value)

    def sample(self, field: Tensor, generator: Any = None, out: Any = None, mean: Any = None) -> Tensor:
        mean = self.mean(field) if mean is None else mean
        up = uniform(mean, generator) < (mean / self.value + 1) / 2
        states = torch.where(up, self.value, -self.value).to(mean.dtype)
        return states if out is None else out.copy_(states)

    def write_minus_energy_gradient(self, x: Tensor, weights: Tensor) -> None:
        write_weighted_sum(self.bias, x, weights)

    def write_log_partition_gradient(self, field: Tensor, mean: Tensor, weights: Tensor) -> None:
        write_weighted_sum(self.bias, mean, weights)

    @torch.no_grad()
    def initialise_bias(self, data_mean: Tensor) -> None:
        self.bias.copy_(torch.atanh((data_mean / self.value).clamp(-0.999, 0.999)) / self.value)

    def states(self) -> Tensor:
        bits = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * self.size).view(-1, self.size)
        return (self.value * bits).to(self.bias)


class MagnetActivation(Activation):
    """Their mean in a network."""

    kind: ClassVar[str] = "magnet"
    options: ClassVar[tuple[str, ...]] = ("value",)

    def __init__(self, value: float = 1.0) -> None:
        self.value = value

    def __call__(self, x: Tensor) -> Tensor:
        return self.value * torch.tanh(self.value * x)
