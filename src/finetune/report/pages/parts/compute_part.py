"""Compute as an axis: the metric of every arm for several numbers of epochs, and what that costs."""

from collections.abc import Sequence

from finetune.report.comparison.compute_curves import PLATEAU_GAIN, ComputeCurve, Rung, common_budget
from finetune.report.comparison.statistics.intervals import estimate_mean
from finetune.report.figures.compute_figure import compute_figure
from finetune.report.pages.estimate_text import mean_text
from finetune.report.pages.parts.part import Grid, GridRow, Part
from finetune.report.results.formatting import (
    Format,
    choose_format,
    join_words,
    label_count_text,
    metric_label,
    operations_text,
)
from finetune.report.results.run_result import RunResult


def compute_part(curves: Sequence[ComputeCurve], name: str) -> Part:
    """Figure and table of the curves of one data set, task and number of labels.

    Args:
        curves: the curves, at least one.
        name: of the figure, unique on the page.
    """
    first = curves[0]
    values = [run.metrics[first.metric] for curve in curves for rung in curve.rungs for run in _measured(rung, curve)]
    form = choose_format(first.metric, values)
    epochs = sorted({rung.epochs for curve in curves for rung in curve.rungs})
    ordered = sorted(curves, key=lambda curve: (_mean(curve.chosen, curve), curve.name))
    rows: list[GridRow] = []
    chosen = set()
    for row, curve in enumerate(ordered):
        by_epochs = {rung.epochs: rung for rung in curve.rungs}
        cells = tuple(_cell(by_epochs.get(n), curve, form) for n in epochs)
        chosen.add((row, epochs.index(curve.chosen.epochs)))
        rows.append((curve.name, curve.kind, (*cells, "reached" if curve.ends else "not reached")))
    parts = (first.data, first.task, label_count_text(first.labels))
    gain = form.number(PLATEAU_GAIN) + form.difference_unit
    return Part(
        title=f"{', '.join(part for part in parts if part)}: by compute",
        sentences=tuple(_sentences(ordered)),
        about="Each point is an arm trained for one number of epochs, its schedule stretched to them; across: all "
        "operations of training, pretraining included. Steps: the pretrained and the random arm that validation "
        "prefers among those that a budget affords.",
        figure=compute_figure(ordered, form, name),
        grid=Grid(("epochs", *map(str, epochs), "plateau"), tuple(rows), frozenset(chosen)),
        foot=f"{metric_label(first.metric).capitalize()}{' in percent' if form.percent else ''} ± half of the 95 % "
        f"interval over seeds (operations of a run). Bold: the number of epochs with the lowest validation value. An "
        f"arm is at its plateau if its last step gained less than {gain} of it.",
    )


def _sentences(curves: Sequence[ComputeCurve]) -> list[str]:
    climbing = [curve.name for curve in curves if not curve.ends]
    sentences = []
    if climbing:
        sentences.append(f"Not at a plateau yet: {join_words(climbing)}.")
    budget = common_budget(curves)
    if budget is not None:
        sentences.append(f"Both sides have spent {operations_text(budget)}, within a quarter.")
    elif {"pretrained", "random"} <= {curve.kind for curve in curves}:
        sentences.append(
            "No run of one side has spent about as many operations as one of the other, so that there is no verdict at "
            "equal operations."
        )
    return sentences


def _cell(rung: Rung | None, curve: ComputeCurve, form: Format) -> str:
    if rung is None or not _measured(rung, curve):
        return ""
    values = [run.metrics[curve.metric] for run in _measured(rung, curve)]
    return f"{mean_text(estimate_mean(values), form)} ({operations_text(rung.operations)})"


def _measured(rung: Rung, curve: ComputeCurve) -> list[RunResult]:
    return [run for run in rung.runs if curve.metric in run.metrics]


def _mean(rung: Rung, curve: ComputeCurve) -> float:
    values = [run.metrics[curve.metric] for run in _measured(rung, curve)]
    return sum(values) / len(values) if values else float("inf")
