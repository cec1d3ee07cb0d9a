"""What the planned runs of a study that are not done yet will take, from those that are."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import median

from finetune.report.results.planned_runs import PlannedRun
from finetune.report.results.run_result import RunResult


class Durations:
    """Expected seconds of runs.

    A run takes as long per epoch and labelled image as runs of its arm, or of all arms where its arm has none that is
    done (the median over runs). Without the plan's word on epochs and labels, it takes as long as a run.

    Args:
        done: runs that have a result.
    """

    def __init__(self, done: Sequence[RunResult]) -> None:
        seconds, rates = defaultdict[str, list[float]](list), defaultdict[str, list[float]](list)
        for run in done:
            if run.seconds is not None:
                for arm in (run.arm, ""):
                    seconds[arm].append(run.seconds)
                    rates[arm].append(run.seconds / _work(run.epochs, run.labels))
        self.seconds = {arm: median(values) for arm, values in seconds.items()}
        self.rates = {arm: median(values) for arm, values in rates.items()}

    def seconds_of(self, run: PlannedRun) -> float | None:
        """Seconds of a planned run's fine-tuning in one process; None where no run is done."""
        if not self.seconds:
            return None
        arm = run.arm if run.arm in self.seconds else ""
        if run.epochs is None or not run.labels:
            return self.seconds[arm]
        return self.rates[arm] * _work(run.epochs, run.labels)


def seconds_left(
    planned: Sequence[PlannedRun], done: Sequence[RunResult], shares: Mapping[str, float] | None = None
) -> float | None:
    """Seconds of fine-tuning that the missing runs will take in one process, pretraining not counted.

    Args:
        planned: runs that the study should have.
        done: runs that have a result.
        shares: by the name of its directory, the share of a run that is done already, from 0 to 1.

    Returns:
        The seconds; None where no run is missing, or none is done.
    """
    finished = {run.directory.name for run in done}
    missing = [run for run in planned if run.folder not in finished]
    durations = Durations(done)
    expected = [durations.seconds_of(run) for run in missing]
    known = [
        seconds * (1.0 - (shares or {}).get(run.folder, 0.0))
        for run, seconds in zip(missing, expected, strict=True)
        if seconds is not None
    ]
    return sum(known) if known else None


def _work(epochs: int | None, labels: str) -> float:
    """Epochs times labelled images."""
    return (epochs or 1) * (float(labels) if labels.isdigit() else ALL)


ALL = 50_000.0
"""Labelled images where all are: only ratios to runs with a number of labels depend on it."""
