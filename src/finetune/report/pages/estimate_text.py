"""Means, differences and their intervals as text."""

from collections.abc import Iterable
from dataclasses import replace

from finetune.report.comparison.family import Family
from finetune.report.comparison.statistics.intervals import ConfidenceInterval, Estimate
from finetune.report.comparison.statistics.mean_difference import MeanDifference
from finetune.report.comparison.statistics.seeds_needed import MAX_SEEDS, POWER, SeedsNeeded, seeds_to_settle
from finetune.report.results.formatting import Format, count_text

MARK = "*"
"""Marks a settled difference."""


def mean_text(estimate: Estimate | None, form: Format) -> str:
    """``2.31 ± 0.20``, or ``2.59 [0.00, 5.38]`` where the interval ends at zero; the mean alone without an interval.

    Empty for None.
    """
    if estimate is None:
        return ""
    mean, interval = form.number(estimate.mean), estimate.interval
    if interval is None or estimate.half_width is None:
        return mean
    if estimate.symmetric:
        return f"{mean} ± {form.number(estimate.half_width)}"
    return f"{mean} [{form.number(interval.low)}, {form.number(interval.high)}]"


def mean_with_unit(estimate: Estimate | None, form: Format) -> str:
    """``2.31 ± 0.20 %``."""
    return "no value" if estimate is None else mean_text(estimate, form) + form.unit


def interval_text(interval: ConfidenceInterval | None, form: Format) -> str:
    """``[-0.52, -0.18]``; empty for None."""
    return "" if interval is None else f"[{form.signed(interval.low)}, {form.signed(interval.high)}]"


def signed_text(estimate: Estimate, form: Format, note: str = "") -> str:
    """``-0.35 [-0.52, -0.18]``, the interval only where it has a width; ``note`` follows the mean."""
    interval = interval_text(None if estimate.degenerate else estimate.interval, form)
    return " ".join(part for part in (form.signed(estimate.mean), note, interval) if part)


def format_differences(form: Format, differences: Iterable[MeanDifference | None]) -> Format:
    """``form`` with up to three more decimals, so that no bound of an interval without zero is written as zero."""
    intervals = [one.estimate.interval for one in differences if one is not None and one.estimate.excludes_zero]
    bounds = [abs(bound) * form.factor for interval in intervals if interval for bound in (interval.low, interval.high)]
    decimals = form.decimals
    while bounds and min(bounds) < 0.5 * 10.0**-decimals and decimals < form.decimals + 3:
        decimals += 1
    return replace(form, decimals=decimals)


def difference_sentence(difference: MeanDifference | None, form: Format) -> str:
    """The difference between the two best arms as a sentence."""
    if difference is None:
        return "They have no seed in common, and too few seeds to compare their means."
    if difference.paired:
        seeds = f"over {count_text(len(difference.seeds), 'common seed')}"
    else:
        seeds = f"of {len(difference.a)} and {len(difference.b)} seeds, none in common"
    what = "Paired difference" if difference.paired else "Difference of means"
    mean = f"{what} {form.signed(difference.estimate.mean)}{form.difference_unit}"
    if difference.relative is not None:
        mean += f" ({100 * difference.relative:+.0f} % of the random arm's mean)".replace("-", "\N{MINUS SIGN}")
    interval = difference.estimate.interval
    if interval is None:
        return f"{mean} {seeds}; there is no interval."
    if difference.degenerate:
        return f"{mean}, the same in each of {len(difference.seeds)} common seeds, so there is no interval."
    bounds = f"95 % interval {form.signed(interval.low)} to {form.signed(interval.high)}"
    return f"{mean}, {bounds} {_of_what(difference.estimate, form)}, {seeds}."


def _of_what(estimate: Estimate, form: Format) -> str:
    """What an interval is about, and its parts."""
    finer = replace(form, decimals=form.decimals + 1)
    if estimate.image_error is not None and estimate.seed_error is not None:
        seeds, images = finer.number(estimate.seed_error), finer.number(estimate.image_error)
        return f"for new seeds and new test images (standard error {seeds} over seeds, {images} over images)"
    if estimate.seed_error is not None:
        return f"for new seeds (standard error {finer.number(estimate.seed_error)}; that over test images is not in it)"
    return "for new seeds (that of test images is not in it)"


def seeds_needed_text(needed: SeedsNeeded | None) -> str:
    """``12 to 85``, ``more than 1000``; empty for None."""
    if needed is None:
        return ""
    low, high = (f"more than {MAX_SEEDS}" if n is None else str(n) for n in (needed.low, needed.high))
    return low if low == high else f"{low} to {high}"


def seeds_needed_sentence(difference: MeanDifference | None, family: Family) -> str:
    """How many seeds would settle an unsettled difference; empty where that cannot be said."""
    size = max(family.size, 1)
    needed = None if difference is None else seeds_to_settle(difference, family.level / size)
    if needed is None:
        return ""
    return (
        f"If the true difference is the observed one, {seeds_needed_text(needed)} seeds would settle it (with "
        f"probability {POWER:g}, at the level {family.level:.2g} divided by {count_text(size, 'comparison')}; the "
        "range is that of the 95 % limits of the standard deviation over seeds)."
    )
