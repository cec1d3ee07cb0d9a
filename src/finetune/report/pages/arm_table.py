"""The main table of a section: a row per arm, for the page, for Markdown and for the terminal."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from finetune.report.comparison.arm import Arm
from finetune.report.comparison.rule import MIN_SEEDS
from finetune.report.comparison.sections import Section
from finetune.report.comparison.statistics.mean_difference import MeanDifference
from finetune.report.pages.estimate_text import MARK, format_differences, mean_text, signed_text
from finetune.report.pages.text_tables import align_columns, escape, markdown_table
from finetune.report.results.formatting import Format, axis_label, choose_format, operations_text
from finetune.report.results.problems import Problem
from finetune.report.results.run_result import Kind

FOOTNOTE = (
    "± and brackets: 95 % intervals, for new seeds and new test images where every run kept its predictions of the "
    "same images, else for new seeds alone; each is for one comparison, and none goes below zero where the value "
    f"cannot. {MARK} and bold: settled, that is at least {MIN_SEEDS} seeds and a p value below the section's level "
    "after Holm's correction for all comparisons."
)
_DIFFERENCE = 3
"""Index of the column of differences."""


@dataclass(frozen=True)
class ArmTableColumn:
    """A column's heading; ``short`` is the heading in the terminal, empty for columns left out there."""

    head: str
    short: str = ""


@dataclass(frozen=True)
class ArmTableRow:
    """One arm's cells as text.

    Attributes:
        note: whether it is the best of its kind.
        settled: whether the difference to the reference is settled.
    """

    name: str
    kind: Kind
    note: str
    settled: bool
    cells: tuple[str, ...]

    def marked_cells(self, difference: int) -> tuple[str, ...]:
        """The cells, that of the difference with a mark where it is settled."""
        return tuple(f"{c} {MARK}" if i == difference and self.settled else c for i, c in enumerate(self.cells))


@dataclass(frozen=True)
class ArmTable:
    """The arms of one section, best mean first; ``difference`` is the index of the column of differences."""

    columns: tuple[ArmTableColumn, ...]
    rows: tuple[ArmTableRow, ...]
    difference: int = _DIFFERENCE

    def markdown(self) -> str:
        """The table in Markdown; a settled difference is bold and marked."""
        rows = []
        for row in self.rows:
            cells = [escape(cell) for cell in row.cells]
            if row.settled:
                cells[self.difference] = f"**{cells[self.difference]}** \\{MARK}"
            rows.append([escape(row.name), *cells])
        return markdown_table(["arm", *(escape(column.head) for column in self.columns)], rows)

    def text(self) -> str:
        """The columns that have a short heading, aligned for a terminal."""
        shown = [index for index, column in enumerate(self.columns) if column.short]
        lines = [["arm", *(self.columns[index].short for index in shown)]]
        for row in self.rows:
            cells = row.marked_cells(self.difference)
            lines.append([row.name, *(cells[index] for index in shown)])
        return align_columns(lines)


def build_arm_table(section: Section, problems: Sequence[Problem] = ()) -> ArmTable:
    """The main table of a section.

    Args:
        section: the section.
        problems: runs without a result, counted among the seeds that an arm should have.
    """
    metric, form = section.metric, section.format
    missing = Counter(problem.name for problem in problems if problem.name)
    differences = {
        arm.name: None if arm is section.reference else section.difference(arm, section.reference)
        for arm in section.arms
    }
    difference_form = format_differences(form, differences.values())
    to_reference = f"difference to {section.reference.name}"
    columns = [
        ArmTableColumn("seeds", "seeds"),
        ArmTableColumn(axis_label(metric), axis_label(metric)),
        ArmTableColumn("min to max"),
        ArmTableColumn(to_reference, to_reference),
    ]
    cells: dict[str, list[str]] = {}
    for arm in section.arms:
        values = list(arm.values(metric).values())
        n, planned = len(values), len(arm.runs) + missing[arm.name]
        cells[arm.name] = [
            str(n) if n == planned else f"{n} of {planned}",
            mean_text(arm.estimate(metric), form),
            f"{form.number(min(values))} to {form.number(max(values))}" if n > 1 else "",
            "reference" if arm is section.reference else _difference(differences[arm.name], difference_form),
        ]
    for other in _other_metrics(section):
        other_form = choose_format(other, [value for arm in section.arms for value in arm.values(other).values()])
        columns.append(ArmTableColumn(axis_label(other)))
        for arm in section.arms:
            estimate = arm.estimate(other)
            cells[arm.name].append("" if estimate is None else other_form.number(estimate.mean))
    for column, attribute in (
        (ArmTableColumn("fine-tuning (s)", "seconds"), "comparable_seconds"),
        (ArmTableColumn("pretraining (s)", "pretraining"), "comparable_pretrain_seconds"),
        (ArmTableColumn("parameters"), "n_parameters"),
        (ArmTableColumn("operations"), "total_flops"),
    ):
        means = {arm.name: arm.mean_of(attribute) for arm in section.arms}
        if any(mean is not None for mean in means.values()):
            columns.append(column)
            for name, mean in means.items():
                cells[name].append("" if mean is None else _cost(mean, attribute))
    return ArmTable(
        tuple(columns),
        tuple(
            ArmTableRow(
                name=arm.name,
                kind=arm.kind,
                note=_note(section, arm),
                settled=arm is not section.reference and section.settles(arm, section.reference),
                cells=tuple(cells[arm.name]),
            )
            for arm in section.arms
        ),
    )


def _other_metrics(section: Section) -> list[str]:
    present = {key for arm in section.arms for run in arm.runs for key in run.metrics}
    quantity = section.metric.rpartition("/")[2]
    wanted = [
        "test/error",
        "test/squared_error",
        "test/cross_entropy",
        "test/nll",
        "test/calibration_error",
        "test/rmse",
        "test/mae",
        "test/r2",
        f"validation/{quantity}",
        f"train/{quantity}",
    ]
    return [metric for metric in wanted if metric in present and metric != section.metric]


def _difference(difference: MeanDifference | None, form: Format) -> str:
    if difference is None:
        return "no common seed"
    return signed_text(difference.estimate, form, note="" if difference.paired else "unpaired")


def _cost(mean: float, attribute: str) -> str:
    if attribute == "total_flops":
        return operations_text(mean)
    return f"{mean:,.{1 if attribute.endswith('seconds') and mean < 1000 else 0}f}"


def _note(section: Section, arm: Arm) -> str:
    if arm is section.best_pretrained:
        return "best pretrained"
    return "best random" if arm is section.best_random else ""
