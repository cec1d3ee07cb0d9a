"""An arm of a comparison: the runs that share a name."""

from dataclasses import dataclass

from finetune.report.comparison.statistics.intervals import Estimate, estimate_mean
from finetune.report.results.run_result import Kind, RunResult


@dataclass(frozen=True)
class Arm:
    """All runs of one name in one section."""

    name: str
    kind: Kind
    runs: tuple[RunResult, ...]

    def values(self, metric: str) -> dict[int, float]:
        """``metric`` by seed, for the seeds that have it."""
        return {run.seed: run.metrics[metric] for run in self.runs if metric in run.metrics}

    def estimate(self, metric: str) -> Estimate | None:
        """Mean over seeds; None where no run has the metric."""
        values = list(self.values(metric).values())
        return estimate_mean(values) if values else None

    def mean_of(self, attribute: str) -> float | None:
        """Mean over seeds of a numeric attribute of the runs, such as ``seconds``; None where no run states it."""
        values = [value for run in self.runs if (value := getattr(run, attribute)) is not None]
        return sum(values) / len(values) if values else None
