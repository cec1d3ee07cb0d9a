"""The values that a network predicts: names, and conversion between their own units and standardised ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

SMALLEST_DEVIATION = 1e-6
"""Standard deviation, in units of the largest absolute value, below which a target is constant up to rounding."""


@dataclass(frozen=True, eq=False)
class Targets:
    """Values to predict, standardised: ``output = (value - mean) / deviation``.

    Attributes:
        names: of the targets.
        mean: of each over the labelled training rows, ``(n_targets,)`` float32.
        deviation: standard deviation of each, ``(n_targets,)`` float32; 1 for a constant target.
    """

    names: tuple[str, ...]
    mean: Tensor
    deviation: Tensor

    @classmethod
    def of(cls, names: Sequence[str], values: Tensor) -> "Targets":
        """Those of training rows with ``values`` ``(n, n_targets)``."""
        mean = values.double().mean(0)
        deviation = (values.double() - mean).square().mean(0).sqrt()
        constant = deviation <= SMALLEST_DEVIATION * values.double().abs().amax(0)
        return cls(tuple(names), mean.float(), torch.where(constant, 1.0, deviation).float())

    def standardised(self, values: Tensor) -> Tensor:
        """Values ``(..., n_targets)`` in their own units as outputs of a network; same shape."""
        return (values - self.mean.to(values)) / self.deviation.to(values)

    def values(self, outputs: Tensor) -> Tensor:
        """Inverse of :meth:`standardised`."""
        return outputs * self.deviation.to(outputs) + self.mean.to(outputs)

    def header(self) -> list[dict[str, Any]]:
        """Entry in a network file's header; a float32 number is written with all its digits."""
        each = zip(self.names, self.mean.tolist(), self.deviation.tolist(), strict=True)
        return [{"name": name, "mean": mean, "deviation": deviation} for name, mean, deviation in each]

    @classmethod
    def from_header(cls, header: Sequence[Mapping[str, Any]]) -> "Targets":
        """Inverse of :meth:`header`."""
        mean, deviation = (torch.tensor([own[key] for own in header]) for key in ("mean", "deviation"))
        return cls(tuple(own["name"] for own in header), mean, deviation)
