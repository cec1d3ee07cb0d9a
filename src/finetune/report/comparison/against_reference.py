"""Arms compared with a reference: difference, tests and effect size of each, corrected for the family."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from finetune.report.comparison.arm import Arm
from finetune.report.comparison.statistics.mean_difference import MeanDifference
from finetune.report.comparison.statistics.seeds_needed import seeds_to_settle
from finetune.report.comparison.statistics.significance import (
    McNemarTest,
    Probability,
    holm_adjusted,
    interquartile_mean,
    mcnemar_test,
    probability_of_lower,
)
from finetune.report.comparison.statistics.wilcoxon import signed_rank_test
from finetune.tasks.predictions import read_predictions

SIGNIFICANCE_LEVEL = 0.05


@dataclass(frozen=True)
class ArmComparison:
    """An arm compared with the reference.

    Attributes:
        difference: arm minus reference.
        probability: probability that the arm's value is the lower one.
        wilcoxon_p: p value of the signed-rank test; None where seeds are not paired or all differences are zero.
        holm_p: p value of the t test, adjusted for the family by Holm's method; None where there is no test.
        mcnemar_test: test on the first common seed, arm first; None without predictions.
        interquartile: interquartile mean of the arm.
        n_seeds_needed: seeds that would settle a difference that is not; None where it is settled or out of reach.
    """

    name: str
    difference: MeanDifference
    probability: Probability
    wilcoxon_p: float | None
    holm_p: float | None
    mcnemar_test: McNemarTest | None
    interquartile: float
    n_seeds_needed: int | None

    @property
    def settled_in_family(self) -> bool:
        """Whether the difference is settled, also after correction for the family."""
        return self.difference.settled and self.holm_p is not None and self.holm_p < SIGNIFICANCE_LEVEL


def compare_with_reference(arms: Sequence[tuple[str, MeanDifference, McNemarTest | None]]) -> tuple[ArmComparison, ...]:
    """Compare a family of arms with one reference.

    Args:
        arms: name, difference to the reference and McNemar's test of each.
    """
    tested = [difference.p_value for _, difference, _ in arms if difference.p_value is not None]
    holm_p = iter(holm_adjusted(tested))
    return tuple(
        ArmComparison(
            name=name,
            difference=difference,
            probability=probability_of_lower(difference),
            wilcoxon_p=signed_rank_test(difference.values) if difference.paired else None,
            holm_p=None if difference.p_value is None else next(holm_p),
            mcnemar_test=test,
            interquartile=interquartile_mean(difference.a),
            n_seeds_needed=seeds_to_settle(difference),
        )
        for name, difference, test in arms
    )


def mcnemar_of_arms(arm: Arm, other: Arm) -> McNemarTest | None:
    """McNemar's test on the first common seed of which both arms kept predictions.

    None where there is no such seed, or where the two runs have different test images.
    """
    theirs = {run.seed: run for run in other.runs}
    for run in arm.runs:
        if run.seed not in theirs:
            continue
        a, b = read_predictions(run.directory), read_predictions(theirs[run.seed].directory)
        if a is None or b is None:
            continue
        if not np.array_equal(a.label, b.label):
            return None
        return mcnemar_test(a.predicted != a.label, b.predicted != b.label)
    return None
