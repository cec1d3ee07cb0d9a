"""How certain each difference of a section is: intervals, tests, and the number of seeds that would settle it."""

from dataclasses import dataclass, replace

from finetune.report.comparison.rule import MIN_SEEDS
from finetune.report.comparison.sections import Section
from finetune.report.comparison.statistics.significance import McNemarTest
from finetune.report.pages.estimate_text import format_differences, interval_text, seeds_needed_text
from finetune.report.pages.text_tables import escape, markdown_table
from finetune.report.results.formatting import Format

COLUMNS = (
    "difference", "95 % interval", "standard error, seeds", "standard error, images", "t test p, Holm", "sign-flip p",
    "Wilcoxon p", "P(lower)", "McNemar, one seed", "interquartile mean", "seeds needed",
)  # fmt: skip
EXPLANATION = (
    "Interval and t test: for new seeds and new test images where a standard error over images is given, else for new "
    "seeds alone. Holm: p adjusted for all comparisons that the choice of arms might have shown; below the level, with "
    f"at least {MIN_SEEDS} seeds, a difference is settled. Sign-flip and Wilcoxon: permutation tests over seeds alone, "
    "not adjusted; their smallest p with n seeds is 2 / 2ⁿ. P(lower): probability that the arm's value is lower than "
    "the reference's with the same seed, ties counting half, with Clopper and Pearson's interval (Bouthillier et al. "
    "2021: above 0.75, with an interval above 0.5, is a meaningful improvement). McNemar: numbers of test images that "
    "only the arm and only the reference misclassifies in the seed named, exact p, not adjusted. Interquartile mean: "
    "of the arm's seeds. Seeds needed: to settle the difference with probability 0.8, if the true one is the observed "
    "one, for the lower and the upper 95 % limit of the standard deviation over seeds."
)


@dataclass(frozen=True)
class CertaintyTable:
    """Rows as tuples of the arm's name, its cells, and whether its difference is settled."""

    rows: tuple[tuple[str, tuple[str, ...], bool], ...]
    columns: tuple[str, ...] = COLUMNS
    explanation: str = EXPLANATION

    def markdown(self) -> str:
        """The table in Markdown."""
        rows = [[escape(name), *(escape(cell) for cell in cells)] for name, cells, _ in self.rows]
        return markdown_table(["arm", *self.columns], rows)


def build_certainty_table(section: Section) -> CertaintyTable | None:
    """The table of a section; None where no arm is compared with the reference."""
    comparisons = section.comparisons
    if not comparisons:
        return None
    finer = format_differences(section.format, [one.difference for one in comparisons])
    rows = []
    for one in comparisons:
        difference, probability = one.difference, one.probability
        bounds = probability.interval
        cells = (
            finer.signed(difference.estimate.mean) + ("" if difference.paired else " unpaired"),
            interval_text(None if difference.degenerate else difference.estimate.interval, finer),
            _standard_error(difference.estimate.seed_error, finer),
            _standard_error(difference.estimate.image_error, finer),
            _p_value(one.holm_p),
            _p_value(one.sign_flip_p),
            _p_value(one.wilcoxon_p),
            f"{probability.value:.2f}" + ("" if bounds is None else f" [{bounds.low:.2f}, {bounds.high:.2f}]"),
            _mcnemar(one.mcnemar),
            section.format.number(one.interquartile),
            seeds_needed_text(one.seeds_needed),
        )
        rows.append((one.name, cells, one.settled))
    return CertaintyTable(tuple(rows))


def _standard_error(value: float | None, form: Format) -> str:
    return "" if value is None else replace(form, decimals=form.decimals + 1).number(value)


def _mcnemar(found: tuple[int, McNemarTest] | None) -> str:
    if found is None:
        return ""
    seed, test = found
    return f"seed {seed}: {test.only_a} : {test.only_b}, p {_p_value(test.p_value)}"


def _p_value(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"
