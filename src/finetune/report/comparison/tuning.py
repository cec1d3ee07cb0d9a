"""Searches: the setting chosen for each arm, the expected best value of k trials, and the costs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from finetune.report.comparison.statistics.expected_best import expected_best, expected_best_intervals
from finetune.report.comparison.statistics.importance import importance
from finetune.report.comparison.statistics.intervals import ConfidenceInterval
from finetune.report.results.formatting import label_count_text
from finetune.report.results.run_result import Kind, RunResult
from finetune.runs.objective import objectives_of, tuning_metric
from finetune.runs.search_space import edges, widened

TIE_BREAKER = "validation/nll"
"""Metric that decides between trials of one value: a few validation images allow few values."""


@dataclass(frozen=True)
class Trial:
    """One sampled setting of an arm on one rung; ``value`` is its validation metric, mean over seeds.

    Attributes:
        tie: mean of :data:`TIE_BREAKER`, infinity where it is not known.
    """

    number: int
    rung: int
    settings: dict[str, Any]
    value: float
    tie: float
    runs: tuple[RunResult, ...]

    @property
    def pruned(self) -> bool:
        """Whether it was stopped before its end, and has the value that it had reached."""
        return any(run.pruned for run in self.runs)

    @property
    def order(self) -> tuple[float, float, int]:
        """Trials are better the lower this is; of equal ones the first."""
        return self.value, self.tie, self.number


@dataclass(frozen=True)
class TunedArm:
    """All trials of an arm.

    Attributes:
        trials: trials of the first rung with a finite value, in the order of their numbers.
        rungs: trials of every rung with a finite value, from the first.
        failed: number of trials without one, because training diverged.
        expected: expected lowest value of 1, 2, ... trials on the first rung.
        intervals: 95 % interval of each; None where the trials do not tell.
    """

    name: str
    kind: Kind
    trials: tuple[Trial, ...]
    rungs: tuple[tuple[Trial, ...], ...]
    failed: int
    expected: tuple[float, ...]
    intervals: tuple[ConfidenceInterval | None, ...]

    @property
    def chosen(self) -> Trial:
        """The best trial of the last rung, see :attr:`Trial.order`, that was trained to its end."""
        ended = [trial for trial in self.rungs[-1] if not trial.pruned]
        return min(ended or self.rungs[-1], key=lambda trial: trial.order)

    @property
    def n_pruned(self) -> int:
        """Number of trials that were stopped before their end."""
        return sum(trial.pruned for trial in self.trials)

    @property
    def importance(self) -> dict[str, float] | None:
        """Share of each setting in the variance over trials of the first rung, see :func:`importance`."""
        space = self.trials[0].runs[0].config.get("space") or {}
        return importance([trial.settings for trial in self.trials], [trial.value for trial in self.trials], space)

    @property
    def on_edge(self) -> list[str]:
        """Keys whose chosen value lies on an edge of its range, as it was at last."""
        run = self.chosen.runs[0]
        search, space = run.config.get("search", {}), run.config.get("space", {})
        wider = widened(space, search.get("above") or (), search.get("below") or ())
        above, below = edges(wider, self.chosen.settings)
        return [*above, *below]

    @property
    def was_widened(self) -> list[str]:
        """Keys whose range was widened for trials of a second batch."""
        searches = [run.config.get("search", {}) for trial in self.trials for run in trial.runs]
        keys = [key for own in searches for side in ("above", "below") for key in own.get(side) or ()]
        return list(dict.fromkeys(keys))

    def cost(self, attribute: str) -> float | None:
        """Mean over all runs of a numeric attribute, such as ``seconds``; None where no run states it."""
        values = [value for run in self.runs if (value := getattr(run, attribute)) is not None]
        return fmean(values) if values else None

    @property
    def runs(self) -> list[RunResult]:
        """All runs of all rungs."""
        return [run for rung in self.rungs for trial in rung for run in trial.runs]

    @property
    def operations(self) -> float | None:
        """Floating-point operations of the whole search; a trial pretrains once for all rungs. None where unknown."""
        fine_tuning = sum(run.flops.get("fine_tuning", 0) for run in self.runs)
        pretraining = {(run.trial, run.seed): run.flops.get("pretraining", 0) for run in self.runs}
        return fine_tuning + sum(pretraining.values()) or None


@dataclass(frozen=True)
class Tuning:
    """The arms of one data set, task and number of labels; trials are chosen by the validation ``metric``.

    Attributes:
        n_validation: numbers of validation images of the runs.
    """

    data: str
    task: str
    labels: str
    metric: str
    arms: tuple[TunedArm, ...]
    n_validation: tuple[int, ...] = ()

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
    return [tuning for key in sorted(groups, key=_label_order) if (tuning := _tuning(key, groups[key])).arms]


def _label_order(key: tuple[str, str, str]) -> tuple[str, str, float]:
    data, task, labels = key
    return data, task, float(labels) if labels.isdigit() else float("inf")


def trials_of(runs: Iterable[RunResult], metric: str) -> list[Trial]:
    """The trials of one arm by rung and number; only those of which every run has the metric."""
    groups: dict[tuple[int, int], list[RunResult]] = {}
    for run in runs:
        if run.trial is not None:
            groups.setdefault((run.rung or 0, run.trial), []).append(run)
    return [
        Trial(
            number, rung, own[0].settings, fmean(run.metrics[metric] for run in own),
            fmean(run.metrics.get(TIE_BREAKER, float("inf")) for run in own), tuple(own),
        )
        for (rung, number), own in sorted(groups.items())
        if all(metric in run.metrics for run in own)
    ]  # fmt: skip


def _tuning(key: tuple[str, str, str], runs: list[RunResult]) -> Tuning:
    data, task, labels = key
    asked = {objectives_of(run.config)[0] for run in runs if run.config.get("objective")}
    metric = asked.pop() if len(asked) == 1 else tuning_metric(task)
    arms = []
    for name in sorted({run.arm for run in runs}):
        own = [run for run in runs if run.arm == name]
        trials = trials_of(own, metric)
        if not trials:
            continue
        rungs = [tuple(t for t in trials if t.rung == rung) for rung in sorted({trial.rung for trial in trials})]
        known = {run.trial for run in own if run.trial is not None}
        in_order = any((run.config.get("search") or {}).get("settings") is not None for run in own)
        # With a second rung all of the first have been tried; numbers that were asked for one by one have no gaps.
        n_tried = max(known) + 1 if len(rungs) > 1 or in_order else len(known)
        values = [trial.value for trial in rungs[0]]
        arms.append(
            TunedArm(
                name, own[0].kind, rungs[0], tuple(rungs), n_tried - len(rungs[0]),
                tuple(expected_best(values)), tuple(expected_best_intervals(values)),
            )
        )  # fmt: skip
    ordered = tuple(sorted(arms, key=lambda arm: (arm.chosen.value, arm.name)))
    numbers = tuple(sorted({run.n_validation for run in runs if run.n_validation is not None}))
    return Tuning(data, task, labels, metric, ordered, numbers)


def chosen_settings(tunings: Sequence[Tuning]) -> dict[str, dict[str, Mapping[str, Any]]] | None:
    """Content of ``chosen.json``: what was chosen, by data set, number of labels and arm.

    None without trials, and for trials of several tasks with the same data and number of labels.
    """
    chosen: dict[str, dict[str, Mapping[str, Any]]] = {}
    for tuning in tunings:
        numbers = chosen.setdefault(tuning.data, {})
        if tuning.labels in numbers:
            return None
        numbers[tuning.labels] = {
            arm.name: {
                "settings": arm.chosen.settings,
                "trial": arm.chosen.number,
                tuning.metric: arm.chosen.value,
                "seeds": [run.seed for run in arm.chosen.runs],
                "trials": len(arm.trials) + arm.failed,
                "on_edge": arm.on_edge,
                "operations": arm.operations,
            }
            for arm in sorted(tuning.arms, key=lambda arm: arm.name)
        }
    return chosen or None
