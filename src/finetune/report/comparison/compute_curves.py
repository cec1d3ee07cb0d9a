"""Compute as an axis: an arm trained for several numbers of epochs, its metric against all operations it took.

Two comparisons follow from the curves: arms at their plateau, where more training gains nothing, and arms at equal
operations, pretraining included, see :func:`finetune.report.comparison.study_sections.study_sections`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from statistics import fmean

from finetune.report.comparison.metric_choice import choose_metric
from finetune.report.results.run_result import Kind, RunResult

PLATEAU_GAIN = 0.0005
"""An arm is at its plateau if a step of its curve, such as three times the epochs, gains less: 0.05 points of error."""
EQUAL = 1.25
"""Runs that differ by less than this factor have spent about the same operations."""


@dataclass(frozen=True)
class Rung:
    """The runs of an arm with one number of epochs.

    Attributes:
        operations: floating-point operations of a run, pretraining included, mean over the runs.
        validation: validation metric, mean over the runs; None where a run has none.
        progress: the same on validation images that take part in no choice, where there are any: few validation labels
            do not tell whether an arm still gains.
    """

    epochs: int
    runs: tuple[RunResult, ...]
    operations: float
    validation: float | None
    progress: float | None


@dataclass(frozen=True)
class ComputeCurve:
    """An arm at several numbers of epochs, fewest first.

    Attributes:
        name: of the arm.
        metric: that arms are compared by.
    """

    name: str
    kind: Kind
    data: str
    task: str
    labels: str
    metric: str
    rungs: tuple[Rung, ...]

    @property
    def ends(self) -> bool:
        """Whether more training gains nothing any more: the last step gained less than :data:`PLATEAU_GAIN`."""
        return ladder_ends([rung.progress for rung in self.rungs])

    @property
    def chosen(self) -> Rung:
        """The rung with the lowest validation metric, the shortest of equal ones; without validation the last."""
        return _lowest(self.rungs)

    def within(self, operations: float) -> Rung | None:
        """The rung with the lowest validation metric of those that take at most ``operations``; None without any."""
        affordable = [rung for rung in self.rungs if rung.operations <= operations * (1 + 1e-9)]
        return _lowest(affordable) if affordable else None


def ladder_ends(values: Sequence[float | None], gain: float = PLATEAU_GAIN) -> bool:
    """Whether the last of these validation values, one for each rung, is lower than all before by less than ``gain``.

    False for fewer than two values, and where one is None.
    """
    known = [value for value in values if value is not None]
    return len(known) == len(values) > 1 and min(known[:-1]) - known[-1] < gain


def compute_curves(runs: Sequence[RunResult]) -> list[ComputeCurve]:
    """Curves of the arms that a study trained for several numbers of epochs, their other settings chosen anew or not.

    Args:
        runs: fine-tuned runs that are compared, without trials of a search.
    """
    groups: dict[tuple[str, ...], dict[int, list[RunResult]]] = {}
    for run in runs:
        if run.stage == "finetune" and run.epochs is not None and run.total_flops is not None:
            key = run.data, run.content, run.task, run.labels, str(run.hidden), run.arm
            groups.setdefault(key, {}).setdefault(planned_epochs(run), []).append(run)
    return [_curve(own) for own in groups.values() if len(own) > 1 and all(map(_one_run_per_seed, own.values()))]


def runs_of_rungs(
    runs: Sequence[RunResult], curves: Sequence[ComputeCurve], rungs: Sequence[Rung | None]
) -> list[RunResult]:
    """Of each curve the runs of one of its rungs, or none; runs on no curve stay."""
    on_curves = {run.directory for curve in curves for rung in curve.rungs for run in rung.runs}
    kept = {run.directory for rung in rungs if rung is not None for run in rung.runs}
    return [run for run in runs if run.directory in kept or run.directory not in on_curves]


def common_budget(curves: Sequence[ComputeCurve]) -> float | None:
    """The most operations that runs of both sides have spent, within :data:`EQUAL` of each other: the larger number.

    None where no two have: a verdict at a budget that one side has used half of would not be one at equal operations.
    """
    pretrained, random = (
        [rung.operations for curve in curves if curve.kind == kind for rung in curve.rungs]
        for kind in ("pretrained", "random")
    )
    spent = [(max(pair), min(pair)) for pair in product(pretrained, random)]
    return max((most for most, least in spent if most <= EQUAL * least), default=None)


def mean_of(runs: Sequence[RunResult], metric: str) -> float | None:
    """Mean of a metric over runs; None where a run does not have it."""
    values = [run.metrics[metric] for run in runs if metric in run.metrics]
    return fmean(values) if values and len(values) == len(runs) else None


def progress_of(runs: Sequence[RunResult], metric: str) -> float | None:
    """The metric on spare validation images, on validation images where there are none, mean over runs."""
    quantity = metric.rpartition("/")[2]
    spare = mean_of(runs, f"spare/{quantity}")
    return mean_of(runs, f"validation/{quantity}") if spare is None else spare


def planned_epochs(run: RunResult) -> int:
    """Epochs of a run's configuration; those it was trained for where that is not stated."""
    training = run.config.get("training")
    planned = training.get("epochs") if isinstance(training, dict) else None
    return planned if isinstance(planned, int) else run.epochs or 0


def are_of_a_climb(trials: Sequence[RunResult]) -> bool:
    """Whether a trial was repeated with other lengths of training by another search than successive halving.

    In ``sweep=compute`` each length has a choice of its own, so that there is none for the study.
    """
    lengths: dict[tuple[object, ...], set[int]] = {}
    for run in trials:
        if run.trial is not None and run.rung is None:
            lengths.setdefault((run.arm, run.data, run.labels, run.trial), set()).add(planned_epochs(run))
    return any(len(own) > 1 for own in lengths.values())


def _one_run_per_seed(runs: Sequence[RunResult]) -> bool:
    """Whether runs are one setting of an arm; a study that also varies something else has no compute curves."""
    return len({run.seed for run in runs}) == len(runs)


def _curve(by_epochs: dict[int, list[RunResult]]) -> ComputeCurve:
    runs = [run for own in by_epochs.values() for run in own]
    first, metric = runs[0], choose_metric(runs, runs[0].task, None)
    validation = f"validation/{metric.rpartition('/')[2]}"
    rungs = []
    for epochs in sorted(by_epochs):
        own = tuple(sorted(by_epochs[epochs], key=lambda run: run.seed))
        operations = fmean(run.total_flops or 0.0 for run in own)
        rungs.append(Rung(epochs, own, operations, mean_of(own, validation), progress_of(own, metric)))
    return ComputeCurve(first.arm, first.kind, first.data, first.task, first.labels, metric, tuple(rungs))


def _lowest(rungs: Sequence[Rung]) -> Rung:
    if any(rung.validation is None for rung in rungs):
        return rungs[-1]
    return min(rungs, key=lambda rung: rung.validation or 0.0)  # the first of equal ones: fewest epochs
