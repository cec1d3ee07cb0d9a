"""Random searches: the setting chosen for each arm, the expected best value of k trials, and the costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from finetune.report.comparison.metric_choice import DEFAULT_METRIC
from finetune.report.comparison.statistics.expected_best import expected_best, expected_best_intervals
from finetune.report.comparison.statistics.intervals import ConfidenceInterval
from finetune.report.results.formatting import label_count_text
from finetune.report.results.run_result import Kind, RunResult


@dataclass(frozen=True)
class Trial:
    """One sampled setting of an arm; ``value`` is its validation metric, mean over seeds."""

    number: int
    settings: dict[str, Any]
    value: float
    runs: tuple[RunResult, ...]


@dataclass(frozen=True)
class TunedArm:
    """All trials of an arm.

    Attributes:
        trials: trials with a finite value, in the order of their numbers.
        failed: number of trials without one, because training diverged.
        expected: expected lowest value of 1, 2, ... trials.
        intervals: 95 % interval of each; None where the trials do not tell.
    """

    name: str
    kind: Kind
    trials: tuple[Trial, ...]
    failed: int
    expected: tuple[float, ...]
    intervals: tuple[ConfidenceInterval | None, ...]

    @property
    def chosen(self) -> Trial:
        """The trial with the lowest value, the first of them if several share it."""
        return min(self.trials, key=lambda trial: (trial.value, trial.number))

    def cost(self, attribute: str) -> float | None:
        """Mean over all runs of a numeric attribute, such as ``seconds``; None where no run states it."""
        values = [
            value for trial in self.trials for run in trial.runs if (value := getattr(run, attribute)) is not None
        ]
        return fmean(values) if values else None


@dataclass(frozen=True)
class Tuning:
    """The arms of one data set, task and number of labels; trials are chosen by the validation ``metric``."""

    data: str
    task: str
    labels: str
    metric: str
    arms: tuple[TunedArm, ...]

    @property
    def title(self) -> str:
        """For example ``mnist, classifier, 1000 labels``."""
        return ", ".join(part for part in (self.data, self.task, label_count_text(self.labels)) if part)


def group_trials(runs: Sequence[RunResult]) -> list[Tuning]:
    """Group trials by data set, task and number of labels, and by arm; arms with the lowest value first."""
    groups: dict[tuple[str, str, str], list[RunResult]] = {}
    for run in runs:
        if run.trial is not None:
            groups.setdefault((run.data, run.task, run.labels), []).append(run)
    return [tuning for key in sorted(groups) if (tuning := _tuning(key, groups[key])).arms]


def _tuning(key: tuple[str, str, str], runs: list[RunResult]) -> Tuning:
    data, task, labels = key
    metric = "validation/" + DEFAULT_METRIC.get(task, "test/error").rpartition("/")[2]
    arms = []
    for name in sorted({run.arm for run in runs}):
        own = [run for run in runs if run.arm == name]
        numbers = sorted({run.trial for run in own if run.trial is not None})
        trials = []
        for number in numbers:
            these = tuple(run for run in own if run.trial == number)
            if all(metric in run.metrics for run in these):
                value = fmean(run.metrics[metric] for run in these)
                trials.append(Trial(number, these[0].settings, value, these))
        if trials:
            values = [trial.value for trial in trials]
            expected, intervals = tuple(expected_best(values)), tuple(expected_best_intervals(values))
            arms.append(TunedArm(name, own[0].kind, tuple(trials), len(numbers) - len(trials), expected, intervals))
    return Tuning(data, task, labels, metric, tuple(sorted(arms, key=lambda arm: (arm.chosen.value, arm.name))))


def chosen_settings(tunings: Sequence[Tuning]) -> dict[str, Mapping[str, Any]] | None:
    """Content of ``chosen.json``; None without trials, and for trials of several data sets or numbers of labels."""
    if len(tunings) != 1:
        return None
    (tuning,) = tunings
    return {
        arm.name: {
            "settings": arm.chosen.settings,
            "trial": arm.chosen.number,
            tuning.metric: arm.chosen.value,
            "seeds": [run.seed for run in arm.chosen.runs],
            "trials": len(arm.trials) + arm.failed,
        }
        for arm in sorted(tuning.arms, key=lambda arm: arm.name)
    }
