"""How stored images become features, and back: what a model must know to be used without its training data."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)  # eq: comparing tensors field by field has no single truth value
class Scaling:
    """``feature = (pixel - offset) * factor``, for images of one shape.

    Attributes:
        shape: channels, height, width.
        offset: float32, ``()`` or ``(n_features,)``, in stored units: the training images' mean of standardised
            features, otherwise 0.
        factor: likewise, features per stored unit: one over the standard deviation, or over ``maximum``.
        maximum: stored value that stands for 1.0; None: ``1 / factor``, right for images that were only scaled.
    """

    shape: tuple[int, int, int]
    offset: Tensor
    factor: Tensor
    maximum: float | None = None

    @property
    def n_features(self) -> int:
        """Number of features of an image: channels x height x width."""
        return math.prod(self.shape)

    def features(self, pixels: Tensor) -> Tensor:
        """Features ``(n, n_features)`` float32 of images as they are stored, ``(n, ...)``."""
        flat = pixels.reshape(len(pixels), -1)
        return (flat - self.offset.to(flat.device)) * self.factor.to(flat.device)

    def to_pixels(self, features: Tensor) -> Tensor:
        """Pictures ``(n, channels, height, width)`` in [0, 1] of ``features`` ``(n, n_features)``.

        Undoes standardisation and clips: samples of Gaussian units may lie outside what a picture can show.
        """
        offset, factor = self.offset.to(features.device), self.factor.to(features.device)
        stored = features / factor + offset
        unit = stored * factor if self.maximum is None else stored / self.maximum
        return unit.clamp(0, 1).reshape(-1, *self.shape)

    def header(self) -> dict[str, Any]:
        """What a model file's header says of it; offset and factor are tensors in the file."""
        return {"shape": list(self.shape), "maximum": self.maximum, "standardised": bool(self.offset.count_nonzero())}

    def tensors(self) -> dict[str, Tensor]:
        """Offset and factor, by their names in a model file."""
        return {"inputs.offset": self.offset, "inputs.factor": self.factor}

    @classmethod
    def from_file(cls, header: Mapping[str, Any], tensors: dict[str, Tensor]) -> "Scaling":
        """What :meth:`header` and :meth:`tensors` were made of; the tensors are taken out of ``tensors``."""
        channels, height, width = header["shape"]
        offset, factor = tensors.pop("inputs.offset"), tensors.pop("inputs.factor")
        return cls((channels, height, width), offset.to(torch.float32), factor.to(torch.float32), header["maximum"])
