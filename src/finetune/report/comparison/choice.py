"""Which arm stands for each side: the one with the lowest validation value, on other seeds where a study has them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from finetune.report.comparison.arm import Arm
from finetune.report.comparison.tuning import group_trials
from finetune.report.results.run_result import Kind, RunResult

CONTENDERS: tuple[Kind, ...] = ("pretrained", "random")
"""Kinds of arm between which the headline decides; all others are shown beside them."""
ChosenOn = Literal["tuning", "validation", "compared"]


@dataclass(frozen=True)
class Choice:
    """The best arm of each side.

    Attributes:
        best: arm by kind; a kind without arms is absent.
        tied: for each kind the names of all arms with the lowest value, where there are several.
        metric: what they were chosen by.
        on: ``tuning``: other seeds than those compared, the trials of a search; ``validation``: validation images of
            the seeds compared; ``compared``: the compared values themselves, where a run has no validation value.
    """

    best: Mapping[Kind, Arm]
    tied: Mapping[Kind, tuple[str, ...]]
    metric: str
    on: ChosenOn

    @property
    def independent(self) -> bool:
        """Whether the choice has not seen the seeds that are compared."""
        return self.on == "tuning"


def choose_best(arms: Sequence[Arm], metric: str, trials: Sequence[RunResult]) -> Choice:
    """Choose the best arm of each side.

    Args:
        arms: all arms of a section.
        metric: metric that they are compared by.
        trials: trials of random searches, whose seeds are others than those compared.
    """
    contenders = [arm for arm in arms if arm.kind in CONTENDERS and arm.values(metric)]
    validation = f"validation/{metric.rpartition('/')[2]}"
    values, on = _tuned_values(contenders, trials), "tuning"
    chosen_by = validation
    if values is None:
        measured = [run for arm in contenders for run in arm.runs if metric in run.metrics]
        validated = bool(measured) and all(validation in run.metrics for run in measured)
        chosen_by, on = (validation, "validation") if validated else (metric, "compared")
        values = {arm.name: _mean(arm, chosen_by) for arm in contenders}
    best: dict[Kind, Arm] = {}
    tied: dict[Kind, tuple[str, ...]] = {}
    for kind in CONTENDERS:
        own = [arm for arm in contenders if arm.kind == kind]
        if own:
            lowest = min(values[arm.name] for arm in own)
            equal = sorted((arm for arm in own if _equal(values[arm.name], lowest)), key=lambda arm: arm.name)
            best[kind] = equal[0]
            if len(equal) > 1:
                tied[kind] = tuple(arm.name for arm in equal)
    return Choice(best, tied, chosen_by, on)  # type: ignore[arg-type]


def _tuned_values(contenders: Sequence[Arm], trials: Sequence[RunResult]) -> dict[str, float] | None:
    """Validation value of each contender's chosen trial; None unless all have one, on seeds that are not compared."""
    if not contenders:
        return None
    first = contenders[0].runs[0]
    own = [run for run in trials if (run.data, run.task, run.labels) == (first.data, first.task, first.labels)]
    names = [arm.runs[0].arm for arm in contenders]
    if len(set(names)) < len(names) or {run.seed for run in own} & {run.seed for arm in contenders for run in arm.runs}:
        return None
    tuned = {arm.name: arm.chosen.value for tuning in group_trials(own) for arm in tuning.arms}
    if not all(name in tuned for name in names):
        return None
    return {arm.name: tuned[name] for arm, name in zip(contenders, names, strict=True)}


def _mean(arm: Arm, metric: str) -> float:
    values = list(arm.values(metric).values())
    return sum(values) / len(values) if values else float("inf")


def _equal(value: float, lowest: float) -> bool:
    """Whether two means of error rates tie: rounding does not decide between arms."""
    return value <= lowest + 1e-12 * abs(lowest)
