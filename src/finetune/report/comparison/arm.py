"""An arm of a comparison: the runs that share a name."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from finetune.report.comparison.image_errors import (
    METRIC,
    ImageErrors,
    ReadPredictions,
    predictions_of_run,
    read_image_errors,
    same_images,
)
from finetune.report.comparison.statistics.crossed import crossed_mean
from finetune.report.comparison.statistics.intervals import Estimate, estimate_mean
from finetune.report.comparison.statistics.mean_difference import MeanDifference, estimate_difference
from finetune.report.results.formatting import is_negative_impossible
from finetune.report.results.run_result import Kind, RunResult


@dataclass(frozen=True)
class Arm:
    """All runs of one name in one section; ``read`` reads the predictions of a run."""

    name: str
    kind: Kind
    runs: tuple[RunResult, ...]
    read: ReadPredictions = field(default=predictions_of_run, compare=False, repr=False)

    def values(self, metric: str) -> dict[int, float]:
        """``metric`` by seed, for the seeds that have it."""
        return {run.seed: run.metrics[metric] for run in self.runs if metric in run.metrics}

    def estimate(self, metric: str) -> Estimate | None:
        """Mean over seeds, with an interval for new seeds and new test images where the images are known.

        Intervals of what cannot be negative end at zero. None where no run has the metric.
        """
        values = self.values(metric)
        if not values:
            return None
        seeds = sorted(values)
        if metric == METRIC and len(seeds) > 1 and same_images([self.errors], seeds):
            estimate = crossed_mean(np.stack([self.errors.wrong[seed] for seed in seeds])).estimate
        else:
            estimate = estimate_mean([values[seed] for seed in seeds])
        return estimate.not_below_zero() if is_negative_impossible(metric) else estimate

    @cached_property
    def errors(self) -> ImageErrors:
        """Which test images each run misclassifies, of the runs that kept predictions."""
        return read_image_errors(self.runs, self.read)

    def mean_of(self, attribute: str) -> float | None:
        """Mean over seeds of a numeric attribute of the runs, such as ``seconds``; None where no run states it."""
        values = [value for run in self.runs if (value := getattr(run, attribute)) is not None]
        return sum(values) / len(values) if values else None


def difference_of_arms(arm: Arm, other: Arm, metric: str) -> MeanDifference | None:
    """Mean of ``arm - other``, over common seeds where there are any; None where it is not defined."""
    a, b = arm.values(metric), other.values(metric)
    seeds = sorted(a.keys() & b.keys())
    if metric == METRIC and same_images([arm.errors, other.errors], seeds):
        return estimate_difference(a, b, (arm.errors.wrong, other.errors.wrong))
    return estimate_difference(a, b)
