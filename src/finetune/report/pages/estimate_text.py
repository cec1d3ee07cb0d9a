"""Means, differences and their intervals as text."""

from collections.abc import Iterable
from dataclasses import replace

from finetune.report.comparison.statistics.intervals import ConfidenceInterval, Estimate
from finetune.report.comparison.statistics.mean_difference import MeanDifference
from finetune.report.comparison.statistics.seeds_needed import MAX_SEEDS, seeds_to_settle
from finetune.report.results.formatting import Format, count_text

MARK = "*"
"""Marks a settled difference."""


def mean_text(estimate: Estimate | None, form: Format) -> str:
    """``2.31 ± 0.20``; the mean alone where there is no interval, empty for None."""
    if estimate is None:
        return ""
    return form.number(estimate.mean) + (
        "" if estimate.half_width is None else f" ± {form.number(estimate.half_width)}"
    )


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
    """``form`` with up to three more decimals, so that no bound of a settled difference is written as zero."""
    settled = [one.estimate.interval for one in differences if one is not None and one.settled]
    bounds = [abs(bound) * form.factor for interval in settled if interval for bound in (interval.low, interval.high)]
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
    interval = difference.estimate.interval
    if interval is None:
        return f"{mean} {seeds}; there is no interval."
    if difference.degenerate:
        return f"{mean}, the same in each of {len(difference.seeds)} common seeds, so there is no interval."
    text = f"{mean}, 95 % interval {form.signed(interval.low)} to {form.signed(interval.high)}"
    if difference.bootstrap is not None:
        low, high = form.signed(difference.bootstrap.low), form.signed(difference.bootstrap.high)
        text += f" (bootstrap {low} to {high})"
    return f"{text}, {seeds}.{'' if difference.settled else _seeds_needed_sentence(difference)}"


def _seeds_needed_sentence(difference: MeanDifference) -> str:
    """How many seeds would settle an unsettled difference, with a leading space; empty where that is not known."""
    if not difference.paired or len(difference.seeds) < 3:
        return ""
    needed = seeds_to_settle(difference)
    if needed is None:
        return f" If the true difference is the observed one, more than {MAX_SEEDS} seeds would be needed to settle it."
    return f" If the true difference is the observed one, about {needed} seeds would settle it."
