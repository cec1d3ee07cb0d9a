"""Metrics, counts, durations and operations as text: labels, units and decimals."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

PERCENT = frozenset({"error", "balanced_error", "calibration_error", "accuracy"})
NON_NEGATIVE = frozenset({"nll", "squared_error", "squared_loss", "cross_entropy", "rmse", "mae"})
MINUS = "\N{MINUS SIGN}"
_ACRONYMS = {"nll": "NLL", "rmse": "RMSE", "mae": "MAE", "r2": "R²"}


def is_percent(metric: str) -> bool:
    """Whether ``metric`` is stored as a fraction and shown in percent."""
    return metric.rpartition("/")[2] in PERCENT


def is_negative_impossible(metric: str) -> bool:
    """Whether ``metric`` cannot be below zero, so that no interval of its mean begins there."""
    return is_percent(metric) or metric.rpartition("/")[2] in NON_NEGATIVE


def metric_label(metric: str) -> str:
    """``test/squared_error`` -> ``test squared error``."""
    words = metric.replace("/", " ").replace("_", " ").split()
    return " ".join(_ACRONYMS.get(word, word) for word in words)


def axis_label(metric: str) -> str:
    """The label with its unit, for an axis or the head of a column."""
    return metric_label(metric) + (" (%)" if is_percent(metric) else "")


@dataclass(frozen=True)
class Format:
    """Formats values of one metric with the same number of decimals, so that a column of them is aligned."""

    percent: bool
    decimals: int

    @property
    def factor(self) -> float:
        """Factor from stored to shown values."""
        return 100.0 if self.percent else 1.0

    @property
    def unit(self) -> str:
        """Unit of a value with a no-break space before it; empty for a metric without unit."""
        return "\N{NO-BREAK SPACE}%" if self.percent else ""

    @property
    def difference_unit(self) -> str:
        """Unit of a difference: percentage points, because percent would be read as relative."""
        return " percentage points" if self.percent else ""

    def number(self, value: float) -> str:
        """``0.0231`` -> ``2.31``; a nonzero value that would round to zero gets up to three more decimals."""
        value = value * self.factor
        decimals = self.decimals
        while value and decimals < self.decimals + 3 and float(f"{value:.{decimals}f}") == 0:
            decimals += 1
        text = f"{value:.{decimals}f}"
        if float(text) == 0:  # zero up to rounding errors
            text = f"{0:.{self.decimals}f}"
        return text.replace("-", MINUS)

    def signed(self, value: float) -> str:
        """``0.0231`` -> ``+2.31``."""
        text = self.number(value)
        return text if text.startswith(MINUS) or float(text) == 0 else f"+{text}"


def choose_format(metric: str, values: Iterable[float]) -> Format:
    """Two decimals for a metric in percent, else as many as give the largest of ``values`` four significant digits."""
    if is_percent(metric):
        return Format(percent=True, decimals=2)
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    decimals = 3 if largest == 0 else 3 - math.floor(math.log10(largest))
    return Format(percent=False, decimals=min(max(decimals, 0), 8))


def label_count_text(labels: str) -> str:
    """``"100"`` -> ``100 labels``, ``"all"`` -> ``all labels``; empty for an unknown number."""
    return f"{labels} labels" if labels else ""


def count_text(n: int, noun: str) -> str:
    """``1 seed``, ``3 seeds``."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def join_words(words: Sequence[str]) -> str:
    """``["a", "b", "c"]`` -> ``a, b and c``."""
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else words[0]


def seconds_text(seconds: float) -> str:
    """A duration in a unit that suits it: ``0.4 s``, ``46 s``, ``3.2 min``, ``1.5 h``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 300:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"


def operations_text(operations: float) -> str:
    """A number of floating-point operations: ``4.94 TFLOP``."""
    for unit, size in (("PFLOP", 1e15), ("TFLOP", 1e12), ("GFLOP", 1e9), ("MFLOP", 1e6)):
        if operations >= size:
            return f"{operations / size:.2f} {unit}"
    return f"{operations:.0f} FLOP"
