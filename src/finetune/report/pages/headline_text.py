"""The headline of a section in words."""

from dataclasses import dataclass

from finetune.report.comparison.arm import Arm
from finetune.report.comparison.headline import Verdict, decide_headline
from finetune.report.comparison.sections import Section
from finetune.report.comparison.statistics.mean_difference import MeanDifference
from finetune.report.pages.estimate_text import difference_sentence, format_differences, mean_with_unit
from finetune.report.results.formatting import Format, count_text, metric_label
from finetune.report.results.run_result import Kind

_KIND_WORDS: dict[Kind, str] = {
    "pretrained": "pretrained",
    "random": "random",
    "control": "control",
    "baseline": "baseline",
    "unstated": "other",
}


@dataclass(frozen=True)
class HeadlineText:
    """What a section shows, in words.

    Attributes:
        verdict: the decision, see :func:`finetune.report.comparison.headline.decide_headline`.
        title: the outcome in one line.
        detail: the numbers behind it.
        choice: how the two arms were chosen; empty where no two arms are compared.
        difference: best pretrained minus best random arm.
        difference_format: format of the difference.
    """

    verdict: Verdict
    title: str
    detail: str
    choice: str
    difference: MeanDifference | None
    difference_format: Format

    @property
    def explanation(self) -> str:
        """Detail and choice."""
        return " ".join(part for part in (self.detail, self.choice) if part)

    @property
    def text(self) -> str:
        """Title and explanation in one paragraph."""
        return f"{self.title}. {self.explanation}"


def write_headline(section: Section) -> HeadlineText:
    """The headline of a section; "wins" and "lower" are said only of a settled difference."""
    pretrained, random = section.best_pretrained, section.best_random
    if pretrained is None or random is None:
        title, detail = _one_sided(section)
        return HeadlineText("none", title, detail, "", None, section.format)
    difference, verdict = section.best_difference, decide_headline(section)
    finer = format_differences(section.format, [difference])
    detail = (
        f"Best pretrained arm: {pretrained.name}, {_mean(pretrained, section)}. "
        f"Best random arm: {random.name}, {_mean(random, section)}. "
        f"{difference_sentence(difference, finer)}"
    )
    titles = {
        "pretrained": f"Pretraining wins: {pretrained.name} has the lower {section.label}",
        "random": f"Random initialisation wins: {random.name} has the lower {section.label}",
    }
    title = titles.get(verdict) or f"Not settled: {_why_unsettled(difference)}"
    return HeadlineText(verdict, title, detail, _choice(section), difference, finer)


def _mean(arm: Arm, section: Section) -> str:
    return mean_with_unit(arm.estimate(section.metric), section.format)


def _why_unsettled(difference: MeanDifference | None) -> str:
    if difference is None:
        return "the two best arms have no seed in common"
    interval, n = difference.estimate.interval, difference.estimate.n
    if interval is None:
        return "one common seed gives no interval" if difference.paired else "no seed in common, and values do not vary"
    if difference.degenerate:
        return f"the difference is the same in all {n} seeds, so its spread is unknown"
    which = "interval" if not interval.excludes_zero else "bootstrap interval"
    return f"the {which} includes zero with {n} seeds"


def _choice(section: Section) -> str:
    chosen = f"Each kind's best arm was chosen by its mean {metric_label(section.chosen_by)}"
    if section.chosen_by == section.metric and section.metric.startswith("test/"):
        return f"{chosen}, because not every run has a validation value: the choice has seen the test set."
    return f"{chosen}."


def _one_sided(section: Section) -> tuple[str, str]:
    """Title and detail where a kind of arm is absent."""
    counts = [
        count_text(len(arms), f"{word} arm") for kind, word in _KIND_WORDS.items() if (arms := section.of_kind(kind))
    ]
    absent = "pretrained" if section.best_pretrained is None else "random"
    if section.best_pretrained is None and section.best_random is None:
        absent = "pretrained and no random"
    title = f"Nothing to compare: no {absent} arm with a {section.label} among {' and '.join(counts)}"
    measured = [arm for arm in section.arms if arm.values(section.metric)]
    if len(measured) > 1 and section.comparisons:
        title = _among_one_kind(section)
    if not measured:
        return title, f"No run has a {section.label}."
    first, last = measured[0], measured[-1]
    if len(measured) == 1:
        return title, f"Mean {section.label}: {_mean(first, section)} ({first.name})."
    low, high = _mean(first, section), _mean(last, section)
    return title, f"Mean {section.label} from {low} ({first.name}) to {high} ({last.name})."


def _among_one_kind(section: Section) -> str:
    """Title where all arms are of one kind: how many differ from the reference."""
    settled = [one for one in section.comparisons if one.settled_in_family]
    reference, label = section.reference.name, section.label
    if not settled:
        return f"No difference in {label} is settled among {count_text(len(section.comparisons) + 1, 'arm')}"
    lower = sum(one.difference.estimate.mean < 0 for one in settled)
    counts = {"lower": lower, "higher": len(settled) - lower, "not settled": len(section.comparisons) - len(settled)}
    outcomes = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    others = count_text(len(section.comparisons), "other arm")
    return f"{label.capitalize()} compared with {reference}, of {others}: {outcomes}"
