"""The ladder: arms that each change one thing relative to the one before, from the perceptron to today's network."""

from collections.abc import Mapping
from dataclasses import dataclass

from finetune.report.comparison.arm import Arm
from finetune.report.comparison.family import make_family
from finetune.report.comparison.sections import Section
from finetune.report.comparison.statistics.mean_difference import MeanDifference


@dataclass(frozen=True)
class LadderStep:
    """One step of the ladder.

    Attributes:
        what: description of the step.
        gain: metric minus that of the step before; None for the first step, or where it is not defined.
        settled: whether the gain is settled in the family of all steps.
    """

    step: int
    what: str
    arm: Arm
    gain: MeanDifference | None
    settled: bool


def find_ladder(section: Section) -> tuple[LadderStep, ...]:
    """The steps of a section in order; empty where fewer than two arms state a step in their configuration."""
    steps: list[tuple[int, str, Arm]] = []
    for arm in section.arms:
        stated = arm.runs[0].config.get("ladder")
        if isinstance(stated, Mapping) and isinstance(stated.get("step"), int) and arm.values(section.metric):
            steps.append((stated["step"], str(stated.get("what", "")), arm))
    if len(steps) < 2:
        return ()
    steps.sort(key=lambda one: (one[0], one[2].name))
    befores = [None, *(arm for _, _, arm in steps[:-1])]
    gains = [
        None if before is None else section.difference(arm, before)
        for (_, _, arm), before in zip(steps, befores, strict=True)
    ]
    family = make_family(
        [
            (arm.name, before.name, gain)
            for (_, _, arm), before, gain in zip(steps, befores, gains, strict=True)
            if before is not None
        ]
    )
    return tuple(
        LadderStep(step, what, arm, gain, before is not None and family.settles(arm.name, before.name, gain))
        for (step, what, arm), before, gain in zip(steps, befores, gains, strict=True)
    )
