"""What changes along an axis of a study: which kind of start wins where, and the metric of every arm."""

from finetune.report.comparison.axes import Axis
from finetune.report.comparison.headline import Verdict, decide_headline
from finetune.report.comparison.sections import Section
from finetune.report.comparison.untrained import untrained_counts
from finetune.report.figures.axis_trend import axis_trend_figure
from finetune.report.pages.estimate_text import MARK, format_differences, mean_text, signed_text
from finetune.report.pages.parts.part import Grid, GridRow, Part
from finetune.report.results.formatting import Format, count_text, join_words, metric_label

_OUTCOMES: dict[Verdict, str] = {
    "pretrained": "Pretraining wins",
    "random": "random initialisation wins",
    "equivalent": "no difference that matters",
    "unsettled": "not settled",
}
_UNTRAINED = "A network counts as untrained if its training error is above half of that of random guessing."


def axis_part(axis: Axis, name: str) -> Part:
    """Sentences, figure and table of an axis; ``name`` of the figure is unique on the page."""
    untrained = untrained_sentences(axis)
    outcome = axis_outcome(axis)
    searched = lowest_points(axis) if axis.quantity.startswith("hidden") else []
    return Part(
        title=axis.title,
        sentences=(*([outcome] if outcome else searched), *untrained),
        about="Mean over seeds with its 95 % interval, for new seeds and new test images where these are known. "
        "Thick: the best pretrained and the best random arm at each value, as the headlines choose them.",
        figure=axis_trend_figure(axis, name),
        grid=axis_grid(axis),
        foot=f"{_capitalised(metric_label(axis.metric))}{' in percent' if axis.format.percent else ''}. {MARK} and "
        "bold: a difference that is settled after correction for all comparisons at that value."
        + (f" {_UNTRAINED}" if untrained else ""),
    )


def axis_grid(axis: Axis) -> Grid:
    """Mean and interval of every arm in every section, and the differences of the best arms where there are any."""
    form = axis.format
    estimates = [
        [arm.estimate(axis.metric) if (arm := line.arms.get(index)) else None for index in range(len(axis.ticks))]
        for line in axis.lines
    ]
    rows: list[GridRow] = [
        (line.name, line.kind, tuple(mean_text(estimate, form) for estimate in own))
        for line, own in zip(axis.lines, estimates, strict=True)
    ]
    strong: set[tuple[int, int]] = set()
    differences = [section.best_difference for section in axis.sections]
    if any(differences):
        finer = format_differences(form, differences)
        cells = tuple(_difference_cell(section, finer) for section in axis.sections)
        strong = {(len(rows), column) for column, cell in enumerate(cells) if cell.endswith(MARK)}
        rows.append(("best pretrained less best random", "", cells))
    return Grid((axis.quantity, *axis.ticks), tuple(rows), frozenset(strong))


def _difference_cell(section: Section, form: Format) -> str:
    difference, verdict = section.best_difference, decide_headline(section)
    if difference is None:
        return ""
    settled = verdict in ("pretrained", "random")
    return signed_text(difference.estimate, form) + (f" {MARK}" if settled else "")


def axis_outcome(axis: Axis) -> str:
    """Which kind of start wins where along the axis, as a sentence; empty where no section compares the two."""
    ticks: dict[Verdict, list[str]] = {}
    for tick, section in zip(axis.ticks, axis.sections, strict=True):
        ticks.setdefault(decide_headline(section), []).append(tick)
    clauses = [f"{words} with {_ticks_text(ticks[v], axis)}" for v, words in _OUTCOMES.items() if v in ticks]
    return _capitalised("; ".join(clauses)) + "." if clauses else ""


def lowest_points(axis: Axis) -> list[str]:
    """Where each arm has its lowest validation value (or metric, where a run has none), as after a grid search."""
    validation = f"validation/{axis.metric.rpartition('/')[2]}"
    runs = [run for line in axis.lines for arm in line.arms.values() for run in arm.runs]
    metric = validation if all(validation in run.metrics for run in runs) else axis.metric
    sentences = []
    for line in axis.lines:
        means = {index: one.mean for index, arm in line.arms.items() if (one := arm.estimate(metric)) is not None}
        best = axis.ticks[min(means, key=lambda index: (means[index], index))]
        sentences.append(f"{line.name}: the lowest {metric_label(metric)} is that of {_ticks_text([best], axis)}.")
    return sentences


def untrained_sentences(axis: Axis) -> list[str]:
    """For each arm with untrained runs a sentence: how many of its seeds did not train, and where."""
    sentences = []
    for line in axis.lines:
        counts = {index: found for index in sorted(line.arms) if (found := untrained_counts(line, index))}
        stopped = [
            f"{untrained} of {count_text(n, 'seed')} at {axis.ticks[index]}"
            for index, (untrained, n) in counts.items()
            if untrained
        ]
        if stopped:
            sentences.append(f"{line.name} does not train: {join_words(stopped)} {axis.quantity}.")
    return sentences


def _ticks_text(ticks: list[str], axis: Axis) -> str:
    """``100 and 1000 labelled images``, ``every number of hidden layers (1 to 5)``, ``digits and mnist``."""
    every = len(ticks) == len(axis.ticks) > 2
    if axis.quantity == "data set":
        return "every data set" if every else join_words(ticks)
    if every:
        return f"every number of {axis.quantity} ({ticks[0]} to {ticks[-1]})"
    return f"{join_words(ticks)} {axis.quantity.removesuffix('s') if ticks == ['1'] else axis.quantity}"


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]
