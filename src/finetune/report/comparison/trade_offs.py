"""Searches by several objectives: the trials of which no other is as good in all and better in one."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from finetune.report.comparison.tuning import Trial, TunedArm, Tuning
from finetune.report.results.run_result import RunResult
from finetune.runs.objective import COSTS, objectives_of


@dataclass(frozen=True)
class TradeOffs:
    """The undominated trials of one arm; they were trained to their end.

    Attributes:
        objectives: what is minimised.
        trials: these trials with their values, lowest first objective first.
        n_trials: among how many.
    """

    arm: TunedArm
    objectives: tuple[str, ...]
    trials: tuple[tuple[Trial, tuple[float, ...]], ...]
    n_trials: int


def trade_offs(tuning: Tuning) -> list[TradeOffs]:
    """Of each arm of a search by several objectives; empty where there is one."""
    found = []
    for arm in tuning.arms:
        asked = {objectives_of(run.config) for run in arm.runs if run.config.get("objective")}
        objectives = asked.pop() if len(asked) == 1 else ()
        if len(objectives) < 2:
            continue
        valued = [
            (trial, values)
            for trial in arm.rungs[-1]
            if not trial.pruned and (values := values_of(trial.runs, objectives)) is not None
        ]
        best = undominated([values for _, values in valued])
        ordered = sorted((valued[place] for place in best), key=lambda one: (one[1], one[0].number))
        if ordered:
            found.append(TradeOffs(arm, objectives, tuple(ordered), len(valued)))
    return found


def values_of(runs: Sequence[RunResult], objectives: Sequence[str]) -> tuple[float, ...] | None:
    """Means over the runs of a trial; None where a run does not have one of them."""
    values = []
    for name in objectives:
        own = [_value(run, name) for run in runs]
        found = [value for value in own if value is not None]
        if len(found) < len(own):
            return None
        values.append(fmean(found))
    return tuple(values)


def _value(run: RunResult, name: str) -> float | None:
    if name not in COSTS:
        return run.metrics.get(name)
    return run.total_flops if name == "operations" else run.n_parameters


def undominated(values: Sequence[Sequence[float]]) -> list[int]:
    """Places of the points of which no other is as low in every coordinate and lower in one."""
    return [
        place
        for place, own in enumerate(values)
        if not any(
            all(a <= b for a, b in zip(other, own, strict=True)) and any(a < b for a, b in zip(other, own, strict=True))
            for other in values
        )
    ]
