"""The main table, once as cells, and from these for Markdown, the terminal and the page; and one CSV row per run."""

import csv
import io
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from finetune.report.compare import Arm, Section
from finetune.report.headline import format_of_differences
from finetune.report.quantities import MINUS, axis_label, format_of, operations_text
from finetune.report.read import Kind, Problem, Run
from finetune.report.statistics import Difference

MARK = "*"
_BEFORE = ("study", "stage", "data", "n_labelled", "name", "arm", "seed", "pretrained")
_AFTER = ("seconds", "pretrain_seconds", "n_parameters", "epochs", "flops", "precision", "path")
FOOTNOTE = (
    "± and brackets: 95 % t intervals over seeds, each for one comparison, not corrected for the number of arms. "
    f"{MARK} marks a difference whose t and bootstrap intervals exclude zero."
)


@dataclass(frozen=True)
class Column:
    """A column's heading; ``short`` is the one for the terminal, empty where the terminal leaves the column out."""

    head: str
    short: str = ""


@dataclass(frozen=True)
class Row:
    """One arm's cells, as text; ``settled`` marks a difference that excludes zero, ``note`` says the arm's part."""

    name: str
    kind: Kind
    note: str
    settled: bool
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """The arms of one section, best mean first; ``difference`` is the index of that column among the cells."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    difference: int


def build_table(section: Section, problems: Sequence[Problem] = ()) -> Table:
    """The main table of a section.

    Args:
        section: arms and reference.
        problems: runs without a result, which count among the seeds an arm should have.
    """
    metric = section.metric
    form = format_of(metric, [value for arm in section.arms for value in arm.values(metric).values()])
    lacking = Counter(problem.name for problem in problems if problem.name)
    differences = {arm.name: section.difference(arm, section.reference) for arm in section.arms}
    difference_form = format_of_differences(form, differences.values())

    columns = [
        Column("seeds", "seeds"),
        Column(axis_label(metric), axis_label(metric)),
        Column("min to max"),
        Column(f"difference to {section.reference.name}", f"difference to {section.reference.name}"),
    ]
    cells: dict[str, list[str]] = {}
    for arm in section.arms:
        values = list(arm.values(metric).values())
        estimate = arm.estimate(metric)
        n = len(values)
        planned = len(arm.runs) + lacking[arm.name]
        mean = "" if estimate is None else form.number(estimate.mean)
        if estimate is not None and estimate.half_width is not None:
            mean += f" ± {form.number(estimate.half_width)}"
        spread = f"{form.number(min(values))} to {form.number(max(values))}" if n > 1 else ""
        is_reference = arm is section.reference
        difference = "reference" if is_reference else _difference(differences[arm.name], difference_form.signed)
        cells[arm.name] = [str(n) if n == planned else f"{n} of {planned}", mean, spread, difference]

    for other in _other_metrics(section):
        values = [value for arm in section.arms for value in arm.values(other).values()]
        other_form = format_of(other, values)
        columns.append(Column(axis_label(other)))
        for arm in section.arms:
            estimate = arm.estimate(other)
            cells[arm.name].append("" if estimate is None else other_form.number(estimate.mean))
    for head, attribute, short in (
        ("fine-tuning (s)", "seconds", "seconds"),
        ("pretraining (s)", "pretrain_seconds", "pretraining"),
        ("parameters", "n_parameters", ""),
    ):
        if any(arm.mean_of(attribute) is not None for arm in section.arms):
            columns.append(Column(head, short))
            for arm in section.arms:
                cells[arm.name].append(_amount(arm.mean_of(attribute), 0 if attribute == "n_parameters" else 1))
    if any(arm.mean_of("total_flops") is not None for arm in section.arms):
        columns.append(Column("operations", ""))
        for arm in section.arms:
            operations = arm.mean_of("total_flops")
            cells[arm.name].append("" if operations is None else operations_text(operations))
    rows = tuple(
        Row(
            arm.name,
            arm.kind,
            _note(section, arm),
            (one := differences[arm.name]) is not None and arm is not section.reference and one.settled,
            tuple(cells[arm.name]),
        )
        for arm in section.arms
    )
    return Table(tuple(columns), rows, difference=3)


def _other_metrics(section: Section) -> list[str]:
    present = {key for arm in section.arms for run in arm.runs for key in run.metrics}
    quantity = section.metric.rpartition("/")[2]
    wanted = [
        "test/error",
        "test/squared_error",
        "test/cross_entropy",
        "test/nll",
        "test/calibration_error",
        f"validation/{quantity}",
        f"train/{quantity}",
    ]
    return [metric for metric in wanted if metric in present and metric != section.metric]


def _difference(difference: Difference | None, signed: Callable[[float], str]) -> str:
    if difference is None:
        return "no common seed"
    interval = difference.estimate.interval
    mean = signed(difference.estimate.mean) + ("" if difference.paired else " unpaired")
    if interval is None or difference.degenerate:
        return mean  # one seed, or the same difference in all: nothing is known about its spread
    return f"{mean} [{signed(interval.low)}, {signed(interval.high)}]"


def _amount(value: float | None, decimals: int) -> str:
    if value is None:
        return ""
    return f"{value:,.{decimals if value < 1000 else 0}f}"


def _note(section: Section, arm: Arm) -> str:
    if arm is section.best_pretrained:
        return "best pretrained"
    return "best random" if arm is section.best_random else ""


def markdown(table: Table) -> str:
    """The table in Markdown; a settled difference is bold and marked."""
    rows = []
    for row in table.rows:
        cells = [escape(cell) for cell in row.cells]
        if row.settled:
            cells[table.difference] = f"**{cells[table.difference]}** \\{MARK}"
        rows.append([escape(row.name), *cells])
    return markdown_rows(["arm", *(escape(column.head) for column in table.columns)], rows)


def markdown_rows(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, from escaped cells; the first column on the left, the others on the right."""
    rule = "|" + " :-- |" + " --: |" * (len(heads) - 1)
    return "\n".join([_markdown_row(heads), rule, *map(_markdown_row, rows)])


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def escape(text: str) -> str:
    """Text that Markdown shows as it is: names come from people. Underscores inside words are safe as they are."""
    text = " ".join(text.split())
    for character in "\\|*`<":
        text = text.replace(character, "\\" + character)
    return text.replace("](", "]\\(")


def plain(table: Table) -> str:
    """The table for a terminal: the columns that matter most, aligned, in plain characters."""
    shown = [index for index, column in enumerate(table.columns) if column.short]
    lines = [["arm", *(table.columns[index].short for index in shown)]]
    for row in table.rows:
        cells = list(row.cells)
        cells[table.difference] += f" {MARK}" if row.settled else ""
        lines.append([row.name, *(cells[index] for index in shown)])
    return aligned(lines)


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Rows of cells in columns, for a terminal."""
    lines = [[cell.replace(MINUS, "-") for cell in line] for line in lines]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def csv_text(runs: Sequence[Run]) -> str:
    """One row per run with every metric; values as in the files: fractions, seconds. An unknown value is empty."""
    metrics = sorted({key for run in runs for key in run.metrics})
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*_BEFORE, *metrics, *_AFTER])
    for run in runs:
        pretrained = {"pretrained": True, "random": False, "baseline": False}.get(run.kind)
        labels = "" if run.labels == "all" else run.labels
        writer.writerow(
            [run.study, run.stage, run.data, labels, run.name, run.arm, run.seed, pretrained]
            + [run.metrics.get(metric) for metric in metrics]
            + [run.seconds, run.pretrain_seconds, run.n_parameters, run.epochs, run.total_flops]
            + [" ".join(dict.fromkeys(run.precision)), run.path]
        )
    return buffer.getvalue()
