"""Factorial designs: main effects and interactions of initialisation, activation, dropout and augmentation."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from dbn.data.augment_settings import AUGMENT_CHECKS
from dbn.runs.naming import has_convolution
from finetune.report.comparison.arm import Arm
from finetune.report.comparison.rule import MIN_SEEDS, SIGNIFICANCE_LEVEL
from finetune.report.comparison.sections import Section
from finetune.report.comparison.statistics.intervals import Estimate, estimate_mean, t_p_value
from finetune.report.comparison.statistics.significance import holm_adjusted

_AUGMENTATIONS = sorted(AUGMENT_CHECKS.keys() - {"elastic_sigma"})  # the last is a width, no strength


@dataclass(frozen=True)
class Effect:
    """A main effect or a two-factor interaction, as a change of the metric.

    Attributes:
        factors: name of the factor, or two names for an interaction.
        levels: first and second level of each factor.
        estimate: mean of the contrast over seeds.
        settled: whether it differs from zero, with at least five seeds and after Holm's correction for all effects.
    """

    factors: tuple[str, ...]
    levels: tuple[tuple[str, str], ...]
    estimate: Estimate
    settled: bool = False


@dataclass(frozen=True)
class Cell:
    """A combination of levels and its arm."""

    levels: tuple[str, ...]
    arm: Arm


@dataclass(frozen=True)
class Factorial:
    """A full factorial of at least two factors with two levels each; ``seeds`` are those that all cells have."""

    factors: tuple[str, ...]
    cells: tuple[Cell, ...]
    seeds: tuple[int, ...]
    effects: tuple[Effect, ...]


def factor_levels(arm: Arm) -> dict[str, str] | None:
    """Level of every factor by name, from the arm's configuration; None for baselines and incomplete configurations."""
    config = arm.runs[0].config
    network, augment = config.get("network"), config.get("augment")
    if arm.kind not in ("pretrained", "random") or not isinstance(network, Mapping) or not isinstance(augment, Mapping):
        return None
    dropped = any(network.get(key) for key in ("dropout_input", "dropout_hidden"))
    augmented = any(augment.get(key) for key in _AUGMENTATIONS)
    normalisation = network.get("normalisation")
    kind = normalisation.get("kind") if isinstance(normalisation, Mapping) else normalisation
    return {
        "initialisation": "random" if arm.kind == "random" else "pretrained",
        "activation": str(network.get("activation")),
        "dropout": "dropout" if dropped else "no dropout",
        "augmentation": "augmented" if augmented else "images as they are",
        "normalisation": f"{kind} normalisation" if kind else "no normalisation",
        "layers": _layers(config),
    }


def _layers(config: Mapping[str, Any]) -> str:
    """Whether a run's network had convolutional layers, or its name where it had blocks of its own."""
    network, stack = config["network"], config.get("stack")
    if network.get("blocks") is not None:
        return str(network.get("name"))
    layers = stack.get("layers") if isinstance(stack, Mapping) else None
    return "convolutional layers" if has_convolution(layers) else "dense layers"


_FIRST_LEVELS = {"random", "sigmoid", "no dropout", "images as they are", "no normalisation", "dense layers"}


def find_factorial(section: Section) -> Factorial | None:
    """The full factorial that a section's arms form; None where a combination is missing or occurs twice."""
    known = [(arm, levels) for arm in section.arms if arm.values(section.metric) and (levels := factor_levels(arm))]
    if not known:
        return None
    pairs = {
        factor: sorted({levels[factor] for _, levels in known}, key=lambda level: (level not in _FIRST_LEVELS, level))
        for factor in known[0][1]
    }
    factors = tuple(factor for factor, levels in pairs.items() if len(levels) == 2)
    if len(factors) < 2 or any(len(levels) > 2 for levels in pairs.values()):
        return None
    arms: dict[tuple[str, ...], Arm] = {}
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
        effects=_judged(_effects(factors, pairs, values, seeds)) if seeds else (),
    )


def _judged(effects: Sequence[Effect]) -> tuple[Effect, ...]:
    """The effects, with Holm's correction for all of them. One that is the same in every seed has no test."""
    p_values = [
        1.0 if not one.estimate.seed_error or one.estimate.degenerate
        else t_p_value(one.estimate.mean / one.estimate.seed_error, one.estimate.n - 1)
        for one in effects
    ]  # fmt: skip
    return tuple(
        replace(one, settled=p < SIGNIFICANCE_LEVEL and one.estimate.n >= MIN_SEEDS)
        for one, p in zip(effects, holm_adjusted(p_values), strict=True)
    )


def _effects(
    factors: Sequence[str],
    pairs: Mapping[str, Sequence[str]],
    values: Mapping[tuple[str, ...], Mapping[int, float]],
    seeds: Sequence[int],
) -> list[Effect]:
    """Main effects, then two-factor interactions.

    A main effect is the mean over all cells at the second level minus that at the first. An interaction is half the
    difference of one factor's effect between the levels of the other (Box, Hunter & Hunter 2005, chapter 5). Both are
    computed for each seed, so that what a seed does to all cells cancels.
    """
    effects = []
    chosen = [(factor,) for factor in factors] + list(itertools.combinations(factors, 2))
    for names in chosen:
        indices = [factors.index(name) for name in names]
        contrasts = []
        for seed in seeds:
            sides: dict[bool, list[float]] = {True: [], False: []}
            for key, own in values.items():
                seconds = [key[index] == pairs[name][1] for index, name in zip(indices, names, strict=True)]
                sides[sum(seconds) % 2 == len(names) % 2].append(own[seed])
            contrast = fmean(sides[True]) - fmean(sides[False])
            rounding = 1e-12 * max(map(abs, sides[True] + sides[False]))
            contrasts.append(contrast if abs(contrast) > rounding else 0.0)
        levels = tuple((pairs[name][0], pairs[name][1]) for name in names)
        effects.append(Effect(tuple(names), levels, estimate_mean(contrasts)))
    return effects
