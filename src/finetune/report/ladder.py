"""The ladder of the textbook: experiments that each add one thing to the one before."""

from collections.abc import Mapping
from dataclasses import dataclass

from finetune.report.compare import Arm, Section
from finetune.report.statistics import Difference


@dataclass(frozen=True)
class Rung:
    """One step.

    Attributes:
        step: its number.
        what: what it is, or what it adds.
        arm: its runs.
        gain: metric less that of the step before, over common seeds; None for the first, or without a common seed.
    """

    step: int
    what: str
    arm: Arm
    gain: Difference | None


def ladder_of(section: Section) -> tuple[Rung, ...]:
    """The steps among a section's arms, in order; empty where fewer than two arms say which step they are."""
    steps: list[tuple[int, str, Arm]] = []
    for arm in section.arms:
        place = arm.runs[0].config.get("ladder")
        if isinstance(place, Mapping) and isinstance(place.get("step"), int) and arm.values(section.metric):
            steps.append((place["step"], str(place.get("what", "")), arm))
    if len(steps) < 2:
        return ()
    steps.sort(key=lambda one: (one[0], one[2].name))
    rungs = []
    for (step, what, arm), before in zip(steps, [None, *steps[:-1]], strict=True):
        gain = None if before is None else section.difference(arm, before[2])
        rungs.append(Rung(step, what, arm, gain))
    return tuple(rungs)
