"""A family of comparisons: every arm of a section beside one reference, with all that says how sure each is."""

from collections.abc import Sequence
from dataclasses import dataclass

from finetune.report.signed_ranks import signed_rank_test
from finetune.report.statistics import (
    Difference,
    McNemar,
    Probability,
    holm,
    interquartile_mean,
    probability_of_lower,
    seeds_to_settle,
)

LEVEL = 0.05


@dataclass(frozen=True)
class Comparison:
    """An arm beside the reference.

    Attributes:
        name: of the arm.
        difference: arm less reference.
        probability: that the arm's value is the lower one.
        wilcoxon: p value of the signed-rank test; None where seeds are not paired, or all differences are zero.
        adjusted: p value of the t test, adjusted by Holm over the family; None where there is no test.
        mcnemar: of the first common seed, arm first; None where predictions are not at hand.
        trimmed: interquartile mean of the arm.
        needed: seeds that would settle a difference that is not settled; None where it is settled, or out of reach.
    """

    name: str
    difference: Difference
    probability: Probability
    wilcoxon: float | None
    adjusted: float | None
    mcnemar: McNemar | None
    trimmed: float
    needed: int | None

    @property
    def holds(self) -> bool:
        """Whether the difference is settled by itself and within its family, too."""
        return self.difference.settled and self.adjusted is not None and self.adjusted < LEVEL


def compare_family(arms: Sequence[tuple[str, Difference, McNemar | None]]) -> tuple[Comparison, ...]:
    """Comparisons of arms to one reference, given their names, differences and McNemar's tests."""
    tested = [difference.p_value for _, difference, _ in arms if difference.p_value is not None]
    adjusted = iter(holm(tested))
    return tuple(
        Comparison(
            name=name,
            difference=difference,
            probability=probability_of_lower(difference),
            wilcoxon=signed_rank_test(difference.values) if difference.paired else None,
            adjusted=None if difference.p_value is None else next(adjusted),
            mcnemar=test,
            trimmed=interquartile_mean(difference.a),
            needed=seeds_to_settle(difference),
        )
        for name, difference, test in arms
    )
