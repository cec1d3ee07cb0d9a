"""What the planned runs of a study that are not done yet will take, from those that are."""

from collections.abc import Sequence
from statistics import median

from finetune.report.results.planned_runs import PlannedRun
from finetune.report.results.run_result import RunResult


def seconds_left(planned: Sequence[PlannedRun], done: Sequence[RunResult]) -> float | None:
    """Seconds of fine-tuning that the missing runs will take in one process, pretraining not counted.

    A run takes as long per epoch and labelled image as runs of its arm, or of all arms where its arm has none that is
    done (the median over runs). Without the plan's word on epochs and labels, it takes as long as a run.

    Args:
        planned: runs that the study should have.
        done: runs that have a result.

    Returns:
        The seconds; None where no run is missing, or none is done.
    """
    finished = {run.directory.name for run in done}
    missing = [run for run in planned if run.folder not in finished]
    timed = [run for run in done if run.seconds is not None]
    if not missing or not timed:
        return None
    return sum(_seconds_of(run, [own for own in timed if own.arm == run.arm] or timed) for run in missing)


def _seconds_of(run: PlannedRun, like: Sequence[RunResult]) -> float:
    if run.epochs is None or not run.labels:
        return median(own.seconds or 0.0 for own in like)
    rate = median((own.seconds or 0.0) / _work(own.epochs, own.labels) for own in like)
    return rate * _work(run.epochs, run.labels)


def _work(epochs: int | None, labels: str) -> float:
    """Epochs times labelled images."""
    return (epochs or 1) * (float(labels) if labels.isdigit() else ALL)


ALL = 50_000.0
"""Labelled images where all are: only ratios to runs with a number of labels depend on it."""
