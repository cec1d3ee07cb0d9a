"""An arm compared with a reference: difference, tests and effect size."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from finetune.report.comparison.arm import Arm
from finetune.report.comparison.family import Family
from finetune.report.comparison.statistics.mean_difference import MeanDifference
from finetune.report.comparison.statistics.seeds_needed import SeedsNeeded, seeds_to_settle
from finetune.report.comparison.statistics.sign_flip import sign_flip_test
from finetune.report.comparison.statistics.significance import (
    McNemarTest,
    Probability,
    interquartile_mean,
    mcnemar_test,
    probability_of_lower,
)
from finetune.report.comparison.statistics.wilcoxon import signed_rank_test


@dataclass(frozen=True)
class ArmComparison:
    """An arm compared with the reference.

    Attributes:
        difference: arm minus reference.
        family: all comparisons that are corrected together.
    """

    arm: Arm
    reference: Arm
    difference: MeanDifference
    family: Family

    @property
    def name(self) -> str:
        """Name of the arm."""
        return self.arm.name

    @property
    def settled(self) -> bool:
        """Whether the difference is settled, after correction for the family."""
        return self.family.settles(self.arm.name, self.reference.name, self.difference)

    @property
    def holm_p(self) -> float | None:
        """P value of the t test, adjusted for the family; None where there is no test."""
        return self.family.p_value(self.arm.name, self.reference.name)

    @cached_property
    def probability(self) -> Probability:
        """Probability that the arm's value is the lower one."""
        return probability_of_lower(self.difference)

    @cached_property
    def sign_flip_p(self) -> float | None:
        """P value of the sign-flip test; None where seeds are not paired or all differences are zero."""
        return sign_flip_test(self.difference.values)

    @cached_property
    def wilcoxon_p(self) -> float | None:
        """P value of the signed-rank test; None as for :attr:`sign_flip_p`."""
        return signed_rank_test(self.difference.values)

    @cached_property
    def mcnemar(self) -> tuple[int, McNemarTest] | None:
        """Seed and outcome of McNemar's test, arm first; None without predictions."""
        return mcnemar_of_arms(self.arm, self.reference)

    @property
    def interquartile(self) -> float:
        """Interquartile mean of the arm."""
        return interquartile_mean(self.difference.a)

    @cached_property
    def seeds_needed(self) -> SeedsNeeded | None:
        """Seeds that would settle a difference that is not; None where it is settled or cannot be said."""
        return None if self.settled else seeds_to_settle(self.difference, self.family.level / max(self.family.size, 1))


def mcnemar_of_arms(arm: Arm, other: Arm) -> tuple[int, McNemarTest] | None:
    """McNemar's test on the first common seed of which both arms kept predictions, and that seed.

    None where there is no such seed, or where the two runs have different test images.
    """
    for seed in sorted(arm.errors.wrong.keys() & other.errors.wrong.keys()):
        if not np.array_equal(arm.errors.labels[seed], other.errors.labels[seed]):
            return None
        return seed, mcnemar_test(arm.errors.wrong[seed], other.errors.wrong[seed])
    return None
