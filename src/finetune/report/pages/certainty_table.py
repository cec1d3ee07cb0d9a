"""How certain each difference of a section is: intervals, tests, and the number of seeds that would settle it."""

from dataclasses import dataclass

from finetune.report.comparison.sections import Section
from finetune.report.pages.estimate_text import format_differences, interval_text
from finetune.report.pages.text_tables import escape, markdown_table

COLUMNS = (
    "difference", "95 % t interval", "95 % bootstrap", "P(lower)", "Wilcoxon p", "t test p, Holm",
    "McNemar, first seed", "interquartile mean", "seeds needed",
)  # fmt: skip
EXPLANATION = (
    "P(lower): probability that the arm's value is lower than the reference's with the same seed, ties counting half "
    "(Bouthillier et al. 2021: above 0.75, with an interval above 0.5, is a meaningful improvement). Holm: the t "
    "test's p value, adjusted for all rows. McNemar: numbers of test images that only the arm and only the reference "
    "misclassifies in the first common seed, exact p. Interquartile mean: of the arm's seeds. Seeds needed: number of "
    "seeds with which the t interval would exclude zero with probability 0.8, if mean and spread stay as observed; "
    "more than there are."
)


@dataclass(frozen=True)
class CertaintyTable:
    """Rows as tuples of the arm's name, its cells, and whether its difference is settled after Holm's correction."""

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
        difference, probability, test = one.difference, one.probability, one.mcnemar_test
        bounds = probability.interval
        cells = (
            finer.signed(difference.estimate.mean) + ("" if difference.paired else " unpaired"),
            interval_text(None if difference.degenerate else difference.estimate.interval, finer),
            interval_text(difference.bootstrap, finer),
            f"{probability.value:.2f}" + ("" if bounds is None else f" [{bounds.low:.2f}, {bounds.high:.2f}]"),
            _p_value(one.wilcoxon_p),
            _p_value(one.holm_p),
            "" if test is None else f"{test.only_a} : {test.only_b}, p {_p_value(test.p_value)}",
            section.format.number(one.interquartile),
            "" if one.n_seeds_needed is None else str(one.n_seeds_needed),
        )
        rows.append((one.name, cells, one.settled_in_family))
    return CertaintyTable(tuple(rows))


def _p_value(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"
