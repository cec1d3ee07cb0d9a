"""How rows of ``X`` become states of visible units: as they are, scaled to [0, 1], or standardised."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dbn.data.allowed_values import UNIT, lies_in
from dbn.data.given_images import BATCH
from dbn.data.images import Images, StoredImages
from dbn.data.scaling import Scaling
from dbn.data.sparse_images import SparseImages
from dbn.data.split.hold_out import standardisation
from dbn.errors import DataError

SCALINGS = ("auto", "none", "range", "standard")
ACCEPTED = (np.float64, np.float32, np.uint8)
"""Types of ``X`` that are kept; scikit-learn converts others to the first."""


def rows_of(X: Any) -> Images | SparseImages:
    """The rows of a validated ``X`` ``(n, n_features)``, dense or sparse, without scaling; bytes stay bytes.

    Raises:
        DataError: a value is too large for float32.
    """
    if not isinstance(X, np.ndarray):
        images: Images | SparseImages = SparseImages.of(X)
    elif X.dtype == np.uint8:
        return Images.of(torch.from_numpy(np.require(X, None, ["C", "W"])), None)
    else:
        with np.errstate(over="ignore"):
            images = Images.of(torch.from_numpy(np.require(X, np.float32, ["C", "W"])), None)
    for chunk in images.chunks():
        if not bool(torch.isfinite(chunk).all()):
            raise DataError("X holds values too large for float32, in which training computes. Scale it first.")
    return images


@dataclass(frozen=True, eq=False)
class Inputs:
    """Scaling of inputs, determined from training rows.

    Attributes:
        kind: ``none``: values are states in [0, 1] themselves; ``range``: the smallest value of all becomes 0, the
            largest 1; ``standard``: every column has mean 0 and standard deviation 1.
        scaling: ``feature = (value - offset) * factor``.
    """

    kind: str
    scaling: Scaling

    @classmethod
    def of(cls, X: Any, wanted: str) -> "Inputs":
        """Determine the scaling of a validated ``X``.

        ``auto`` is ``none`` if all values lie in [0, 1]; ``range`` if they look like the intensities of pictures: whole
        numbers, none of them negative, of one scale, such that half of the columns that vary at all reach half of the
        largest value; otherwise ``standard``.

        Raises:
            DataError: ``none``, but a value lies outside [0, 1].
        """
        rows = rows_of(X)
        statistics = Statistics.of(rows)
        kind = statistics.kind if wanted == "auto" else wanted
        offset, factor = torch.tensor(0.0), torch.tensor(1.0)
        if kind == "none":
            _check_unit(statistics.low, statistics.high, 'Use scaling="auto", or scale X to [0, 1] before.')
        elif kind == "range":
            offset = torch.tensor(statistics.low)
            factor = torch.tensor(1 / (statistics.high - statistics.low) if statistics.high > statistics.low else 1.0)
        else:
            offset, factor = standardisation(rows, None)
        return cls(kind, Scaling((1, 1, rows.n_features), offset, factor))

    @property
    def visible(self) -> str:
        """Kind of the visible units: ``gaussian`` for standardised columns, otherwise ``bernoulli``."""
        return "gaussian" if self.kind == "standard" else "bernoulli"

    @property
    def rate_factor(self) -> float:
        """Factor of the learning rate of a layer on these inputs: real visible units need a hundredth of it.

        Hinton (2012), section 13.2, advises one or two orders of magnitude.
        """
        return 0.01 if self.visible == "gaussian" else 1.0

    def images(self, X: Any, labels: Tensor | None = None, weights: Tensor | None = None) -> Images | SparseImages:
        """Images of a validated ``X`` ``(n, n_features)``, with labels or targets ``(n, ...)``, weights ``(n,)``."""
        offset, factor = self.scaling.offset, self.scaling.factor
        return replace(rows_of(X), labels=labels, offset=offset, factor=factor, weights=weights)

    def check_range(self, X: Any) -> None:
        """Refuse rows that go beyond [0, 1] once scaled, where the visible units are binary.

        Raises:
            DataError: they do.
        """
        if self.visible == "bernoulli":
            images = self.images(X)
            low = min(float(chunk.min()) for chunk in images.chunks())
            high = max(float(chunk.max()) for chunk in images.chunks())
            _check_unit(low, high, "The first rows have set the scaling: scale X before, so that it always lies there.")

    def batches(self, X: Any) -> Iterator[tuple[slice, Tensor]]:
        """Rows of a validated ``X`` in order, with features ``(m, n_features)`` in the type of :func:`dtype_of`."""
        dtype = dtype_of(X)
        offset, factor = (x.numpy().astype(dtype) for x in (self.scaling.offset, self.scaling.factor))
        for start in range(0, X.shape[0], BATCH):
            part = slice(start, start + BATCH)
            rows = X[part] if isinstance(X, np.ndarray) else X[part].toarray()
            yield part, torch.from_numpy((rows.astype(dtype) - offset) * factor)

    def stored(self, features: Tensor) -> NDArray:
        """Values in the units of ``X`` of ``features`` ``(m, n_features)``; same shape and type."""
        found: NDArray = self.scaling.stored(features).to(features.dtype).numpy()
        return found


def dtype_of(X: Any) -> Any:
    """Type in which a model is applied to ``X``: float64 if that has it, otherwise float32."""
    return np.float64 if X.dtype == np.float64 else np.float32


@dataclass(frozen=True)
class Statistics:
    """What decides about the scaling.

    Attributes:
        low: smallest value.
        high: largest value.
        whole: all values are whole numbers.
        one_scale: half of the columns that vary reach half of the largest value.
    """

    low: float
    high: float
    whole: bool
    one_scale: bool

    @classmethod
    def of(cls, rows: StoredImages) -> "Statistics":
        """Of rows without scaling."""
        whole, lows, highs = True, [], []
        for chunk in rows.chunks():
            lows.append(chunk.amin(0))
            highs.append(chunk.amax(0))
            whole = whole and bool((chunk == chunk.round()).all())
        low, high = torch.stack(lows).amin(0), torch.stack(highs).amax(0)
        reached = (high[high > low] >= 0.5 * high.max()).float()
        return cls(float(low.min()), float(high.max()), whole, len(reached) > 0 and float(reached.mean()) >= 0.5)

    @property
    def kind(self) -> str:
        """The scaling that ``auto`` stands for."""
        if lies_in(self.low, self.high, UNIT):
            return "none"
        return "range" if self.low >= 0 and self.whole and self.one_scale else "standard"


def _check_unit(low: float, high: float, cure: str) -> None:
    if not lies_in(low, high, UNIT):
        raise DataError(f"X holds values from {low:g} to {high:g}, but binary visible units need [0, 1]. {cure}")
