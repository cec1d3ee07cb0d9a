"""Learning curves of a section's arms, all in one figure and each arm in a panel of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from finetune.report.comparison.arm import Arm
from finetune.report.comparison.sections import Section
from finetune.report.figures.axis_scale import scale_axis
from finetune.report.figures.style import (
    COLOURS,
    TINTS,
    Screen,
    add_axes,
    new_figure,
    one_axes,
    shorten,
    show_horizontal_grid,
    write_legend,
)
from finetune.report.figures.svg import draw_for_screens
from finetune.report.results.formatting import axis_label, is_percent, metric_label
from finetune.report.results.metric_history import read_metric_history

MOST_BEHIND = 24
"""Number of arms up to which the background of a panel shows all others: lines grow with the square of the arms."""


@dataclass(frozen=True)
class ArmCurves:
    """Curves of one arm, one series per seed."""

    arm: Arm
    seeds: tuple[pd.Series, ...]

    @cached_property
    def mean(self) -> pd.Series:
        """Mean over seeds, for the epochs that all seeds reached."""
        return pd.concat(self.seeds, axis=1, join="inner").mean(axis=1)


@dataclass(frozen=True)
class LearningCurves:
    """The metric that is drawn and its figures: all arms together, and one panel per arm."""

    metric: str
    together: Markup
    apart: Markup


def learning_curves(section: Section, name: str) -> LearningCurves | None:
    """Learning curves of a section; None where no run kept any.

    They show the validation metric if any run has it, else the validation loss or a training metric.
    """
    tables = {arm.name: [read_metric_history(run) for run in arm.runs] for arm in section.arms}
    columns = {column for frames in tables.values() for frame in frames for column in frame.columns}
    quantity = section.metric.rpartition("/")[2]
    wanted = (f"validation/{quantity}", "validation/loss", "train/loss", f"train/{quantity}")
    metric = next((column for column in wanted if column in columns), None)
    if metric is None:
        return None
    curves = arm_curves(section, metric, tables)
    if not curves:
        return None
    best = [one for one in curves if one.arm in (section.best_pretrained, section.best_random)] or curves[:1]
    description = f"{metric_label(metric)} by epoch, mean over seeds of each arm"
    return LearningCurves(
        metric,
        draw_for_screens(lambda screen: _draw_together(curves, best, metric, screen), f"{name}-together", description),
        draw_for_screens(
            lambda screen: _draw_panels(curves, best, metric, screen),
            f"{name}-apart",
            f"{description}, one panel per arm",
        ),
    )


def arm_curves(section: Section, metric: str, tables: Mapping[str, Sequence[pd.DataFrame]]) -> list[ArmCurves]:
    """Curves of the arms that have any, error rates in percent, against the number of completed epochs, from 1.

    ``metrics.csv`` numbers epochs from 0, as Lightning does. ``tables`` are the metric histories of each arm's runs.
    """
    factor = 100.0 if is_percent(metric) else 1.0
    curves = []
    for arm in section.arms:
        seeds = [frame[metric].dropna() * factor for frame in tables[arm.name] if metric in frame]
        if seeds := [series.set_axis(series.index + 1) for series in seeds if len(series)]:
            curves.append(ArmCurves(arm, tuple(seeds)))
    return curves


def _scale(axes: Axes, curves: Sequence[ArmCurves]) -> None:
    """Limits and ticks that enclose the curves of all seeds, the same for every panel."""
    values = np.concatenate([series.to_numpy(dtype=float) for one in curves for series in one.seeds])
    low, high = float(values.min()), float(values.max())
    if scale_axis(axes, "y", [low, high]):
        axes.set_ylim(low / 1.15, high * 1.15)
    else:
        room = 0.06 * (high - low) or 0.1
        axes.set_ylim(low - room, high + room)
    first = min(float(series.index[0]) for one in curves for series in one.seeds)
    last = max(float(series.index[-1]) for one in curves for series in one.seeds)
    axes.set_xlim(first, last if last > first else first + 1)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))


def draw_curve(axes: Axes, series: pd.Series, **style: object) -> None:
    """Draw a curve by epoch; one with a single epoch is a dot."""
    marker = {"marker": "o", "markersize": 4} if len(series) == 1 else {}
    axes.plot(series.index.to_numpy(), series.to_numpy(), **marker, **style)  # type: ignore[arg-type]


def _draw_together(curves: Sequence[ArmCurves], best: Sequence[ArmCurves], metric: str, screen: Screen) -> Figure:
    left, right, head, height, foot = 50.0, 10.0, 32.0, (230.0 if screen.narrow else 300.0), 44.0
    figure, axes = one_axes(screen, left, right, head, height, foot)
    for one in curves:
        if one not in best:
            draw_curve(axes, one.mean, color=TINTS[one.arm.kind], linewidth=1.4, zorder=2)
    for one in best:
        for series in one.seeds:
            draw_curve(axes, series, color=COLOURS[one.arm.kind], linewidth=0.8, alpha=0.35, zorder=3)
        draw_curve(axes, one.mean, color=COLOURS[one.arm.kind], linewidth=2.6, zorder=4)
    _scale(axes, curves)
    axes.set_xlabel("epoch")
    room = (screen.width - left) / max(len(best), 1) - 14
    write_legend(axes, [(shorten(one.arm.name, room, 13), COLOURS[one.arm.kind]) for one in best], size=13)
    axes.set_ylabel("" if screen.narrow else axis_label(metric))
    return figure


def _draw_panels(curves: Sequence[ArmCurves], best: Sequence[ArmCurves], metric: str, screen: Screen) -> Figure:
    """One panel per arm, with the means of all others in the background; of many arms, of the best ones."""
    behind = curves if len(curves) <= MOST_BEHIND else best
    columns = min(2 if screen.narrow else 4, len(curves))
    rows = -(-len(curves) // columns)
    left, gap, head, foot = 40.0, 18.0, 26.0, 30.0
    width = min((screen.width - left - 8 - gap * (columns - 1)) / columns, 300.0)
    height = 96.0 if screen.narrow else 130.0
    figure = new_figure(screen, rows * (head + height) + (rows - 1) * 22 + foot)
    for index, one in enumerate(curves):
        row, column = divmod(index, columns)
        axes = add_axes(figure, left + column * (width + gap), head + row * (head + height + 22), width, height)
        show_horizontal_grid(axes)
        for other in behind:
            if other is not one:
                draw_curve(axes, other.mean, color=TINTS[other.arm.kind], linewidth=0.8, alpha=0.7, zorder=2)
        for series in one.seeds:
            draw_curve(axes, series, color=COLOURS[one.arm.kind], linewidth=0.8, alpha=0.5, zorder=3)
        draw_curve(axes, one.mean, color=COLOURS[one.arm.kind], linewidth=2.2, zorder=4)
        _scale(axes, curves)
        write_legend(axes, [(shorten(one.arm.name, width), COLOURS[one.arm.kind])], rise=7)
        if column:
            axes.set_yticklabels([])
        if index + columns < len(curves):
            axes.set_xticklabels([])
    return figure
