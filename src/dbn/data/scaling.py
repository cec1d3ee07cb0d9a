"""Conversion between stored pixels and features, kept in model files so that the training data are not needed."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from dbn.data.tables.columns import Columns


@dataclass(frozen=True, eq=False)  # eq: comparing tensors field by field has no single truth value
class Scaling:
    """``feature = (pixel - offset) * factor``, for images of one shape.

    Attributes:
        shape: channels, height, width.
        offset: float32, ``()`` or ``(n_features,)``, in stored units: mean of the training images if features are
            standardised, otherwise 0.
        factor: float32 of the same shape, features per stored unit: 1 / standard deviation, or 1 / ``maximum``.
        maximum: stored value that stands for 1.0; None: ``1 / factor``, for images without standardisation.
        columns: of a table, whose rows are the "images"; None: these are images.
    """

    shape: tuple[int, int, int]
    offset: Tensor
    factor: Tensor
    maximum: float | None = None
    columns: Columns | None = None

    @property
    def n_features(self) -> int:
        """Number of features of an image: channels x height x width."""
        return math.prod(self.shape)

    @property
    def is_standardised(self) -> bool:
        """Whether features have mean 0 over the training images, rather than being fractions of a largest value.

        Always of a table, whose columns have no common largest value.
        """
        return self.columns is not None or bool(self.offset.count_nonzero())

    @property
    def keeps_counts(self) -> bool:
        """Whether features are the stored values themselves, of any size: counts."""
        as_stored = not self.is_standardised and bool((self.factor == 1).all())
        return as_stored and self.maximum is not None and self.maximum > 1

    @property
    def value_of_one(self) -> float:
        """Stored value that stands for 1.0, for images without standardisation."""
        return float(1 / self.factor.max()) if self.maximum is None else self.maximum

    def features(self, pixels: Tensor) -> Tensor:
        """Features ``(n, n_features)`` float32 of stored images ``(n, ...)``."""
        flat = pixels.reshape(len(pixels), -1)
        return (flat - self.offset.to(flat.device)) * self.factor.to(flat.device)

    def stored(self, features: Tensor) -> Tensor:
        """Stored values of ``features`` ``(n, n_features)``; inverse of :meth:`features`, same shape."""
        return features / self.factor.to(features.device) + self.offset.to(features.device)

    def to_pixels(self, features: Tensor) -> Tensor:
        """Pictures ``(n, channels, height, width)`` in [0, 1] of ``features`` ``(n, n_features)``.

        Undoes standardisation and clips to [0, 1], which samples of Gaussian units may exceed.
        """
        return self.intensities(features).clamp(0, 1).reshape(-1, *self.shape)

    def intensities(self, features: Tensor) -> Tensor:
        """Stored values of ``features`` ``(n, n_features)`` as fractions of what stands for 1; same shape."""
        stored = self.stored(features)
        return stored * self.factor.to(features.device) if self.maximum is None else stored / self.maximum

    def of_intensities(self, intensities: Tensor) -> Tensor:
        """Features of intensities ``(n, n_features)``; inverse of :meth:`intensities`, same shape."""
        offset, factor = self.offset.to(intensities.device), self.factor.to(intensities.device)
        stored = intensities / factor if self.maximum is None else intensities * self.maximum
        return (stored - offset) * factor

    def to(self, device: torch.device | str) -> "Scaling":
        """The same scaling, with tensors on ``device``: otherwise every conversion there would wait for a copy."""
        return replace(self, offset=self.offset.to(device), factor=self.factor.to(device))

    def header(self) -> dict[str, Any]:
        """Entry in a model file's header; offset, factor and what fills in missing values are tensors of the file."""
        header = {"shape": list(self.shape), "maximum": self.maximum, "standardised": self.is_standardised}
        return header if self.columns is None else {**header, **self.columns.header()}

    def tensors(self) -> dict[str, Tensor]:
        """Tensors by their names in a model file."""
        tensors = {"inputs.offset": self.offset, "inputs.factor": self.factor}
        if self.columns is not None and self.columns.fill is not None:
            tensors["inputs.fill"] = self.columns.fill
        return tensors

    @classmethod
    def from_file(cls, header: Mapping[str, Any], tensors: dict[str, Tensor]) -> "Scaling":
        """Inverse of :meth:`header` and :meth:`tensors`; removes its entries from ``tensors``."""
        channels, height, width = header["shape"]
        offset, factor = tensors.pop("inputs.offset"), tensors.pop("inputs.factor")
        columns = None
        if header.get("columns") is not None:
            columns = Columns.from_file(header, tensors.pop("inputs.fill").to(torch.float32))
        offset, factor = offset.to(torch.float32), factor.to(torch.float32)
        return cls((channels, height, width), offset, factor, header["maximum"], columns)
