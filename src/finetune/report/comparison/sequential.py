"""Sections of a study that grows until it is settled: each look is compared with a level of its own."""

from collections.abc import Sequence
from dataclasses import replace

from finetune.report.comparison.rule import MIN_SEEDS, SIGNIFICANCE_LEVEL
from finetune.report.comparison.sections import Section
from finetune.report.comparison.statistics.alpha_spending import nominal_levels
from finetune.report.results.looks import Look, Looks


def at_this_look(sections: Sequence[Section], looks: Looks) -> tuple[list[Section], Looks]:
    """The sections with the level that this look leaves them, and the looks with this one added.

    A look is a number of seeds that a section was not seen with before, five at least: fewer settle nothing, whatever
    they show. The level of a look depends on the looks before it, and on the planned largest number of seeds. Where the
    planned number was seen, nothing is left for more seeds: their level is zero. That nothing matters is said with the
    planned number of seeds only: said at every look, it would be wrong too often.
    """
    levelled, recorded = [], dict(looks.sections)
    for section in sections:
        own = looks.sections.get(section.title, ())
        n = seeds_of(section)
        if n < looks.max_seeds:
            section = replace(section, margin=None)
        earlier = [look for look in own if look.seeds < n]
        if earlier and earlier[-1].seeds >= looks.max_seeds:
            section = replace(section, level=0.0)
        elif n >= MIN_SEEDS and len(earlier) == len(own):
            level = _level([look.seeds for look in own], n, looks.max_seeds)
            section = replace(section, level=level)
            recorded[section.title] = (*own, Look(n, _p_value(section), level))
        elif own:
            section = replace(section, level=next((look.level for look in own if look.seeds == n), own[-1].level))
        else:
            section = replace(section, level=_level([], MIN_SEEDS, looks.max_seeds))
        levelled.append(section)
    return levelled, Looks(looks.max_seeds, recorded)


def seeds_of(section: Section) -> int:
    """Number of seeds that decide a section: of its headline, or the smallest number of an arm where it has none."""
    difference = section.best_difference
    if difference is not None:
        return min(len(difference.a), len(difference.b))
    return min((len(arm.values(section.metric)) for arm in section.compared), default=0)


def _level(earlier: Sequence[int], n: int, max_seeds: int) -> float:
    return nominal_levels([min(seeds / max_seeds, 1.0) for seeds in (*earlier, n)], SIGNIFICANCE_LEVEL)[-1]


def _p_value(section: Section) -> float | None:
    """Adjusted p value of the headline; None where there is none."""
    if section.best_pretrained is None or section.best_random is None:
        return None
    return section.family.p_value(section.best_pretrained.name, section.best_random.name)
