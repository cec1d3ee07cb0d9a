"""Initialisation x activation x dropout x augmentation: what each does on average, and what pairs of them do."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from finetune.report.compare import Arm, Section
from finetune.report.statistics import Estimate, estimate_mean

Level = str
_AUGMENTATIONS = ("rotation", "translation", "scale", "shear", "elastic_alpha")


@dataclass(frozen=True)
class Effect:
    """Change of the metric: of one factor from its first level to its second, or how much a second one adds to it.

    Attributes:
        factors: one name, or two for an interaction.
        levels: of each factor, first and second.
        estimate: mean over seeds of the contrast, with its interval.
    """

    factors: tuple[str, ...]
    levels: tuple[tuple[Level, Level], ...]
    estimate: Estimate


@dataclass(frozen=True)
class Cell:
    """One combination of levels and its arm."""

    levels: tuple[Level, ...]
    arm: Arm


@dataclass(frozen=True)
class Factorial:
    """All combinations of two levels of at least two factors, and the effects; ``seeds`` are those that all have."""

    factors: tuple[str, ...]
    cells: tuple[Cell, ...]
    seeds: tuple[int, ...]
    effects: tuple[Effect, ...]


def levels_of(arm: Arm) -> dict[str, Level] | None:
    """Level of every factor, read from the arm's configuration; None for an arm that has no place in a factorial."""
    config = arm.runs[0].config
    network, augment = config.get("network"), config.get("augment")
    if arm.kind not in ("pretrained", "random") or not isinstance(network, Mapping) or not isinstance(augment, Mapping):
        return None
    dropped = any(network.get(key) for key in ("dropout_input", "dropout_hidden"))
    augmented = any(augment.get(key) for key in _AUGMENTATIONS)
    return {
        "initialisation": "random" if arm.kind == "random" else "pretrained",
        "activation": str(network.get("activation")),
        "dropout": "dropout" if dropped else "no dropout",
        "augmentation": "augmented" if augmented else "images as they are",
    }


_FIRST = {"random", "sigmoid", "no dropout", "images as they are"}


def factorial_of(section: Section) -> Factorial | None:
    """The factorial that a section's arms make up; None where a combination is missing, or two arms have the same."""
    known = [(arm, levels) for arm in section.arms if arm.values(section.metric) and (levels := levels_of(arm))]
    if not known:
        return None
    pairs = {
        factor: sorted({levels[factor] for _, levels in known}, key=lambda level: (level not in _FIRST, level))
        for factor in known[0][1]
    }
    factors = tuple(factor for factor, levels in pairs.items() if len(levels) == 2)
    if len(factors) < 2 or any(len(levels) > 2 for levels in pairs.values()):
        return None
    arms: dict[tuple[Level, ...], Arm] = {}
    for arm, levels in known:
        key = tuple(levels[factor] for factor in factors)
        if key in arms:
            return None
        arms[key] = arm
    if len(arms) != 2 ** len(factors):
        return None
    values = {key: arm.values(section.metric) for key, arm in arms.items()}
    seeds = tuple(sorted(set.intersection(*(set(own) for own in values.values()))))
    return Factorial(
        factors=factors,
        cells=tuple(Cell(key, arms[key]) for key in itertools.product(*(pairs[factor] for factor in factors))),
        seeds=seeds,
        effects=tuple(_effects(factors, pairs, values, seeds)) if seeds else (),
    )


def _effects(
    factors: Sequence[str],
    pairs: Mapping[str, Sequence[Level]],
    values: Mapping[tuple[Level, ...], Mapping[int, float]],
    seeds: Sequence[int],
) -> list[Effect]:
    """Main effects, then interactions of two factors.

    A main effect is the mean over all cells at the second level less that at the first. An interaction is half the
    difference of one factor's effect between the levels of the other (Box, Hunter & Hunter 2005, chapter 5). Both are
    taken in every seed by itself, so that what a seed does to all cells cancels.
    """
    effects = []
    chosen = [(factor,) for factor in factors] + list(itertools.combinations(factors, 2))
    for names in chosen:
        places = [factors.index(name) for name in names]
        contrasts = []
        for seed in seeds:
            sides: dict[bool, list[float]] = {True: [], False: []}
            for key, own in values.items():
                seconds = [key[place] == pairs[name][1] for place, name in zip(places, names, strict=True)]
                sides[sum(seconds) % 2 == len(names) % 2].append(own[seed])
            contrast = fmean(sides[True]) - fmean(sides[False])
            noise = 1e-12 * max(map(abs, sides[True] + sides[False]))
            contrasts.append(contrast if abs(contrast) > noise else 0.0)
        levels = tuple((pairs[name][0], pairs[name][1]) for name in names)
        effects.append(Effect(tuple(names), levels, estimate_mean(contrasts)))
    return effects
