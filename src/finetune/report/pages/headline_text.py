"""The headline of a section in words."""

from dataclasses import dataclass

from finetune.report.comparison.arm import Arm
from finetune.report.comparison.headline import Verdict, decide_headline
from finetune.report.comparison.rule import MIN_SEEDS
from finetune.report.comparison.sections import Section
from finetune.report.comparison.statistics.mean_difference import MeanDifference
from finetune.report.pages.estimate_text import (
    difference_sentence,
    format_differences,
    mean_with_unit,
    seeds_needed_sentence,
)
from finetune.report.pages.verdict_facts import verdict_facts
from finetune.report.results.formatting import Format, count_text, join_words, metric_label
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
        facts: what a verdict is judged by: test images, arms and trials of each side, operations.
    """

    verdict: Verdict
    title: str
    detail: str
    choice: str
    difference: MeanDifference | None
    difference_format: Format
    facts: tuple[str, ...] = ()

    @property
    def explanation(self) -> str:
        """Detail, facts and choice."""
        return " ".join(part for part in (self.detail, *self.facts, self.choice) if part)

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
    if verdict == "unsettled" and (needed := seeds_needed_sentence(difference, section.family)):
        detail += f" {needed}"
    titles = {
        "pretrained": f"Pretraining wins: {pretrained.name} has the lower {section.label}",
        "random": f"Random initialisation wins: {random.name} has the lower {section.label}",
        "equivalent": f"No difference that matters: {pretrained.name} and {random.name} differ by less than "
        f"{section.format.number(section.margin or 0.0)}{section.format.difference_unit}",
    }
    title = titles.get(verdict) or f"Not settled: {_why_unsettled(section)}"
    return HeadlineText(verdict, title, detail, _choice(section), difference, finer, verdict_facts(section))


def _mean(arm: Arm, section: Section) -> str:
    return mean_with_unit(arm.estimate(section.metric), section.format)


def _why_unsettled(section: Section) -> str:
    difference = section.best_difference
    if difference is None:
        return "the two best arms have no seed in common"
    interval, n = difference.estimate.interval, min(len(difference.a), len(difference.b))
    if n < MIN_SEEDS:
        return f"{count_text(n, 'seed')}, and at least {MIN_SEEDS} are needed"
    if interval is None or difference.degenerate:
        return f"the difference is the same in all {n} seeds, so its spread is unknown"
    if not interval.excludes_zero:
        return f"the interval includes zero with {n} seeds"
    return (
        f"the interval excludes zero, but not after correction for {count_text(section.family.size, 'comparison')} "
        f"(adjusted p {_adjusted_p(section):.2g}, level {section.family.level:.2g})"
    )


def _adjusted_p(section: Section) -> float:
    arms = section.best_pretrained, section.best_random
    p = section.family.p_value(*(arm.name for arm in arms if arm is not None))
    return 1.0 if p is None else p


def _choice(section: Section) -> str:
    choice = section.choice
    chosen = f"Each kind's best arm was chosen by its mean {metric_label(choice.metric)}"
    if choice.on == "tuning":
        text = f"{chosen} in the search, on other seeds than those compared."
    elif choice.on == "compared" and section.metric.startswith("test/"):
        text = f"{chosen}, because not every run has a validation value: the choice has seen the test set."
    else:
        text = f"{chosen}, on the seeds that are compared."
    ties = [
        f"{join_words(names)} tie; {names[0]} stands for them, as the first by name." for names in choice.tied.values()
    ]
    counted = (
        f"The correction is for {count_text(section.family.size, 'comparison')}"
        f"{'' if choice.independent else ': every pair of arms that the choice might have shown'}."
    )
    return " ".join([text, *ties, counted])


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
    settled = [one for one in section.comparisons if one.settled]
    reference, label = section.reference.name, section.label
    if not settled:
        return f"No difference in {label} is settled among {count_text(len(section.comparisons) + 1, 'arm')}"
    lower = sum(one.difference.estimate.mean < 0 for one in settled)
    counts = {"lower": lower, "higher": len(settled) - lower, "not settled": len(section.comparisons) - len(settled)}
    outcomes = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    others = count_text(len(section.comparisons), "other arm")
    return f"{label.capitalize()} compared with {reference}, of {others}: {outcomes}"
