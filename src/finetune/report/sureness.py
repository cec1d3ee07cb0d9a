"""The table that says how sure each difference of a section is."""

from dataclasses import dataclass

from finetune.report.compare import Section
from finetune.report.headline import format_of_differences
from finetune.report.quantities import Format, format_of
from finetune.report.statistics import Interval
from finetune.report.tables import escape, markdown_rows

COLUMNS = (
    "difference", "95 % t interval", "95 % bootstrap", "P(lower)", "Wilcoxon p", "t test p, Holm",
    "McNemar, first seed", "interquartile mean", "seeds needed",
)  # fmt: skip
EXPLANATION = (
    "P(lower): probability that the arm's value is lower than the reference's with the same seed, a tie counting half "
    "(Bouthillier et al. 2021: above 0.75, with an interval above 0.5, is an improvement that matters). Holm: the t "
    "test's p value, adjusted for all rows. McNemar: test images that the arm alone and the reference alone gets wrong "
    "in the first common seed, exact p. Interquartile mean: of the arm's seeds. Seeds needed: those with which the t "
    "interval would exclude zero four times in five, if mean and spread stay as they are; more than there are."
)


@dataclass(frozen=True)
class SureTable:
    """Rows of cells as text; ``holds`` marks a difference that is settled, after Holm's correction, too."""

    rows: tuple[tuple[str, tuple[str, ...], bool], ...]
    columns: tuple[str, ...] = COLUMNS
    explanation: str = EXPLANATION


def sure_table(section: Section) -> SureTable | None:
    """The table of a section; None where there is nothing beside the reference."""
    comparisons = section.comparisons
    if not comparisons:
        return None
    form = format_of(section.metric, [value for arm in section.arms for value in arm.values(section.metric).values()])
    finer = format_of_differences(form, [one.difference for one in comparisons])
    rows = []
    for one in comparisons:
        interval = None if one.difference.degenerate else one.difference.estimate.interval
        spread = "" if one.probability.interval is None else f" {_plain(one.probability.interval)}"
        test = one.mcnemar
        cells = (
            finer.signed(one.difference.estimate.mean) + ("" if one.difference.paired else " unpaired"),
            _signed(interval, finer),
            _signed(one.difference.bootstrap, finer),
            f"{one.probability.value:.2f}{spread}",
            _p(one.wilcoxon),
            _p(one.adjusted),
            "" if test is None else f"{test.only_a} : {test.only_b}, p {_p(test.p_value)}",
            form.number(one.trimmed),
            "" if one.needed is None else str(one.needed),
        )
        rows.append((one.name, cells, one.holds))
    return SureTable(tuple(rows))


def sure_markdown(table: SureTable) -> str:
    """The table in Markdown."""
    rows = [[escape(name), *(escape(cell) for cell in cells)] for name, cells, _ in table.rows]
    return markdown_rows(["arm", *table.columns], rows)


def _signed(interval: Interval | None, form: Format) -> str:
    return "" if interval is None else f"[{form.signed(interval.low)}, {form.signed(interval.high)}]"


def _plain(interval: Interval) -> str:
    return f"[{interval.low:.2f}, {interval.high:.2f}]"


def _p(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"
