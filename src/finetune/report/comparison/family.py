"""The family of comparisons that a section's stars, bold differences and headline are decided by."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from finetune.report.comparison.rule import MIN_SEEDS, SIGNIFICANCE_LEVEL
from finetune.report.comparison.statistics.mean_difference import MeanDifference
from finetune.report.comparison.statistics.significance import holm_adjusted


@dataclass(frozen=True)
class Family:
    """Comparisons that are corrected together.

    Attributes:
        adjusted: p value of each pair of arms, adjusted for all of them by Holm's method.
        level: level that an adjusted p value has to be below.
    """

    adjusted: Mapping[frozenset[str], float]
    level: float = SIGNIFICANCE_LEVEL

    @property
    def size(self) -> int:
        """Number of comparisons in the family."""
        return len(self.adjusted)

    def p_value(self, arm: str, other: str) -> float | None:
        """Adjusted p value of two arms; None where there is no test."""
        return self.adjusted.get(frozenset((arm, other)))

    def settles(self, arm: str, other: str, difference: MeanDifference | None) -> bool:
        """Whether a difference is settled: at least five seeds of each arm, and an adjusted p value below the level."""
        if difference is None or min(len(difference.a), len(difference.b)) < MIN_SEEDS:
            return False
        p = self.p_value(arm, other)
        return p is not None and p < self.level


def make_family(pairs: Iterable[tuple[str, str, MeanDifference | None]], level: float = SIGNIFICANCE_LEVEL) -> Family:
    """The family of some pairs of arms, each named once."""
    tested = [(frozenset((a, b)), one.p_value) for a, b, one in pairs if one is not None and one.p_value is not None]
    adjusted = holm_adjusted([p for _, p in tested])
    return Family(dict(zip((pair for pair, _ in tested), adjusted, strict=True)), level)
