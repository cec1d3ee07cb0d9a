"""The sentence that a reader takes away, and how sure it is."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from finetune.report.compare import Arm, Section
from finetune.report.quantities import Format, counted, format_of, label_of
from finetune.report.read import Kind
from finetune.report.statistics import ENOUGH_SEEDS, Difference, Estimate, seeds_to_settle

Verdict = Literal["pretrained", "random", "unsettled", "none"]


@dataclass(frozen=True)
class Headline:
    """What a section shows.

    Attributes:
        verdict: whose interval says so: ``pretrained`` or ``random`` lower, ``unsettled``, or ``none`` to compare.
        title: the outcome in one line.
        detail: the numbers behind it.
        choice: how the two arms were chosen; empty where nothing was.
        difference: best pretrained minus best random arm, over common seeds.
        format: how the section's metric is written.
        difference_format: how the difference is written.
    """

    verdict: Verdict
    title: str
    detail: str
    choice: str
    difference: Difference | None
    format: Format
    difference_format: Format

    @property
    def text(self) -> str:
        """All of it in one paragraph."""
        return " ".join(part for part in (f"{self.title}.", self.detail, self.choice) if part)


def headline_of(section: Section) -> Headline:
    """The headline of one section, in words that its interval allows.

    "Wins" and "lower" are said only where the 95 % interval of the paired difference excludes zero.
    """
    values = [value for arm in section.arms for value in arm.values(section.metric).values()]
    form = format_of(section.metric, values)
    pretrained, random = section.best_pretrained, section.best_random
    if pretrained is None or random is None:
        title, detail = _one_sided(section, form)
        return Headline("none", title, detail, "", None, form, form)
    difference = section.difference(pretrained, random)
    finer = format_of_differences(form, [difference])
    verdict, title = _verdict(section, pretrained, random, difference)
    detail = (
        f"Best pretrained arm: {pretrained.name}, {with_interval(pretrained.estimate(section.metric), form)}. "
        f"Best random arm: {random.name}, {with_interval(random.estimate(section.metric), form)}. "
        f"{difference_text(difference, finer)}"
    )
    return Headline(verdict, title, detail, _choice(section), difference, form, finer)


def with_interval(estimate: Estimate | None, form: Format) -> str:
    """``2.31 ± 0.20 %``; the mean alone where there is no interval."""
    if estimate is None:
        return "no value"
    half_width = "" if estimate.half_width is None else f" ± {form.number(estimate.half_width)}"
    return f"{form.number(estimate.mean)}{half_width}{form.unit}"


def format_of_differences(form: Format, differences: Iterable[Difference | None]) -> Format:
    """``form``, with more decimals where a bound that is not zero would be written as zero beside a claim it is not."""
    settled = [one.estimate.interval for one in differences if one is not None and one.settled]
    bounds = [abs(bound) * form.factor for interval in settled if interval for bound in (interval.low, interval.high)]
    decimals = form.decimals
    while bounds and min(bounds) < 0.5 * 10.0**-decimals and decimals < form.decimals + 3:
        decimals += 1
    return replace(form, decimals=decimals)


def difference_text(difference: Difference | None, form: Format) -> str:
    """The paired difference as a sentence."""
    if difference is None:
        return "They have no seed in common, and too few seeds to compare their means."
    if difference.paired:
        seeds = f"over {counted(len(difference.seeds), 'common seed')}"
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
    return f"{text}, {seeds}.{'' if difference.settled else needed_text(difference)}"


def needed_text(difference: Difference) -> str:
    """How many seeds would settle a difference that is not settled, as a sentence with a space before it."""
    if not difference.paired or len(difference.seeds) < 3:
        return ""
    needed = seeds_to_settle(difference)
    if needed is None:
        return f" If it is what it seems to be, more than {ENOUGH_SEEDS} seeds would be needed to settle it."
    return f" If it is what it seems to be, about {needed} seeds would settle it."


def _verdict(section: Section, pretrained: Arm, random: Arm, difference: Difference | None) -> tuple[Verdict, str]:
    if difference is None:
        return "unsettled", "Not settled: the two best arms have no seed in common"
    interval, n = difference.estimate.interval, difference.estimate.n
    if interval is None:
        why = "one common seed gives no interval" if difference.paired else "no seed in common, and values do not vary"
        return "unsettled", f"Not settled: {why}"
    if difference.degenerate:
        return "unsettled", f"Not settled: the difference is the same in all {n} seeds, so its spread is unknown"
    if difference.settled:
        if difference.estimate.mean < 0:
            return "pretrained", f"Pretraining wins: {pretrained.name} has the lower {section.label}"
        return "random", f"Random initialisation wins: {random.name} has the lower {section.label}"
    which = "interval includes" if not interval.excludes_zero else "bootstrap interval includes"
    return "unsettled", f"Not settled: the {which} zero with {n} seeds"


def _choice(section: Section) -> str:
    if section.chosen_by != section.metric:
        return f"Each kind's best arm was chosen by its mean {label_of(section.chosen_by)}."
    if section.metric.startswith("test/"):
        return (
            f"Each kind's best arm was chosen by its mean {section.label}, because not every run has a validation "
            "value: the choice has seen the test set."
        )
    return f"Each kind's best arm was chosen by its mean {section.label}."


def _one_sided(section: Section, form: Format) -> tuple[str, str]:
    """Title and detail where one kind of arm is absent: what there is, and no comparison."""
    names: dict[Kind, str] = {
        "pretrained": "pretrained",
        "random": "random",
        "baseline": "baseline",
        "unstated": "other",
    }
    counts = [
        counted(len(arms), f"{word} arm") for kind in names if (arms := section.of_kind(kind)) and (word := names[kind])
    ]
    absent = "pretrained" if section.best_pretrained is None else "random"
    if section.best_pretrained is None and section.best_random is None:
        absent = "pretrained and no random"
    title = f"Nothing to compare: no {absent} arm with a {section.label} among {' and '.join(counts)}"
    if len([arm for arm in section.arms if arm.values(section.metric)]) > 1 and section.comparisons:
        title = _among_one_kind(section)
    measured = [(arm, estimate) for arm in section.arms if (estimate := arm.estimate(section.metric)) is not None]
    if not measured:
        return title, f"No run has a {section.label}."
    (first, low), (last, high) = measured[0], measured[-1]
    if len(measured) == 1:
        return title, f"Mean {section.label}: {with_interval(low, form)} ({first.name})."
    return title, (
        f"Mean {section.label} from {with_interval(low, form)} ({first.name}) "
        f"to {with_interval(high, form)} ({last.name})."
    )


def _among_one_kind(section: Section) -> str:
    """Title where all arms started alike: whether any of them is settled to differ from the reference."""
    settled = [one for one in section.comparisons if one.holds]
    reference, label = section.reference.name, section.label
    if not settled:
        return f"No difference in {label} is settled among {counted(len(section.comparisons) + 1, 'arm')}"
    lower = sum(one.difference.estimate.mean < 0 for one in settled)
    counts = {"lower": lower, "higher": len(settled) - lower, "not settled": len(section.comparisons) - len(settled)}
    said = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    return f"{label.capitalize()} beside {reference}, of {counted(len(section.comparisons), 'other arm')}: {said}"
