"""``metrics.csv`` -> learning curves of the arms, and curves of the pretraining of each stack."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from finetune.report.compare import Arm, Section
from finetune.report.dots import is_wide_range, ticks_for_log
from finetune.report.drawing import (
    COLOURS,
    LAYER_COLOURS,
    QUIET,
    TINTS,
    Layout,
    add_axes,
    draw_both,
    new_figure,
    shorten,
    write_legend,
)
from finetune.report.quantities import axis_label, format_of, is_percent, label_of
from finetune.report.read import Run


def read_curves(run: Run) -> pd.DataFrame:
    """Metrics by epoch, one row each, numbers or NaN; empty where ``metrics.csv`` is absent or cannot be read."""
    try:
        table = pd.read_csv(run.directory / "metrics.csv")
    except (OSError, ValueError):  # pandas' parser errors are ValueErrors
        return pd.DataFrame()
    if "epoch" not in table:
        return pd.DataFrame()
    table = pd.DataFrame({column: pd.to_numeric(table[column], errors="coerce") for column in table})
    table = table.dropna(subset=["epoch"])
    return table.groupby("epoch").last()  # a logger may write several rows per epoch, each with some of the cells


@dataclass(frozen=True)
class ArmCurves:
    """Curves of one arm: one series per seed, and their mean over the epochs that every seed reached."""

    arm: Arm
    seeds: tuple[pd.Series, ...]

    @property
    def mean(self) -> pd.Series:
        """Mean over seeds by epoch."""
        return pd.concat(self.seeds, axis=1, join="inner").mean(axis=1)


@dataclass(frozen=True)
class LearningCurves:
    """Which metric was drawn, and the two figures: all arms at once, and each on its own."""

    metric: str
    together: Markup
    apart: Markup


def learning_curves(section: Section, name: str) -> LearningCurves | None:
    """Learning curves of a section; None where no run kept any.

    The validation metric if any run has it, else the training loss.
    """
    tables = {arm.name: [read_curves(run) for run in arm.runs] for arm in section.arms}
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
    description = f"{label_of(metric)} by epoch, mean over seeds of each arm"
    return LearningCurves(
        metric,
        draw_both(lambda layout: _together(curves, best, metric, layout), f"{name}-together", description),
        draw_both(lambda layout: _apart(curves, metric, layout), f"{name}-apart", f"{description}, one panel per arm"),
    )


def arm_curves(section: Section, metric: str, tables: Mapping[str, Sequence[pd.DataFrame]]) -> list[ArmCurves]:
    """Curves of each arm that has any, in percent for error rates, by how many epochs were trained: from 1.

    ``metrics.csv`` numbers epochs from 0, as Lightning does; a row of it is written when its epoch is over.

    Args:
        section: whose arms.
        metric: which column.
        tables: of each arm by name, those of its runs, see :func:`read_curves`.
    """
    factor = 100.0 if is_percent(metric) else 1.0
    curves = []
    for arm in section.arms:
        seeds = [frame[metric].dropna() * factor for frame in tables[arm.name] if metric in frame]
        if seeds := [series.set_axis(series.index + 1) for series in seeds if len(series)]:
            curves.append(ArmCurves(arm, tuple(seeds)))
    return curves


def _scale(axes: Axes, curves: Sequence[ArmCurves]) -> None:
    """The same limits for every panel: all seeds, without the stretch that a single first epoch would ask for."""
    values = np.concatenate([series.to_numpy(dtype=float) for one in curves for series in one.seeds])
    low, high = float(values.min()), float(values.max())
    if is_wide_range([low, high]):
        axes.set_yscale("log")
        ticks_for_log(axes, "y", low, high)
        axes.set_ylim(low / 1.15, high * 1.15)
    else:
        room = 0.06 * (high - low) or 0.1
        axes.set_ylim(low - room, high + room)
        axes.yaxis.set_major_locator(MaxNLocator(5))
    first = min(float(series.index[0]) for one in curves for series in one.seeds)
    last = max(float(series.index[-1]) for one in curves for series in one.seeds)
    axes.set_xlim(first, last if last > first else first + 1)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.spines["left"].set_visible(False)
    axes.grid(axis="y")


def _line(axes: Axes, series: pd.Series, **style: object) -> None:
    """A curve; one that has a single epoch is shown as a dot."""
    marker = {"marker": "o", "markersize": 4} if len(series) == 1 else {}
    axes.plot(series.index.to_numpy(), series.to_numpy(), **marker, **style)  # type: ignore[arg-type]


def _together(curves: Sequence[ArmCurves], best: Sequence[ArmCurves], metric: str, layout: Layout) -> Figure:
    left, right, head, height, foot = 50.0, 10.0, 32.0, (230.0 if layout.narrow else 300.0), 44.0
    figure = new_figure(layout, head + height + foot)
    axes = add_axes(figure, left, head, layout.width - left - right, height)
    for one in curves:
        if one not in best:
            _line(axes, one.mean, color=TINTS[one.arm.kind], linewidth=1.4, zorder=2)
    for one in best:
        for series in one.seeds:
            _line(axes, series, color=COLOURS[one.arm.kind], linewidth=0.8, alpha=0.35, zorder=3)
        _line(axes, one.mean, color=COLOURS[one.arm.kind], linewidth=2.6, zorder=4)
    _scale(axes, curves)
    axes.set_xlabel("epoch")
    room = (layout.width - left) / max(len(best), 1) - 14
    write_legend(axes, [(shorten(one.arm.name, room, 13), COLOURS[one.arm.kind]) for one in best], size=13)
    axes.set_ylabel("" if layout.narrow else axis_label(metric))
    return figure


def _apart(curves: Sequence[ArmCurves], metric: str, layout: Layout) -> Figure:
    """One panel per arm, the means of all others faint behind it."""
    columns = min(2 if layout.narrow else 4, len(curves))
    rows = -(-len(curves) // columns)
    left, gap, head, foot = 40.0, 18.0, 26.0, 30.0
    width = min((layout.width - left - 8 - gap * (columns - 1)) / columns, 300.0)
    height = 96.0 if layout.narrow else 130.0
    figure = new_figure(layout, rows * (head + height) + (rows - 1) * 22 + foot)
    for index, one in enumerate(curves):
        row, column = divmod(index, columns)
        axes = add_axes(figure, left + column * (width + gap), head + row * (head + height + 22), width, height)
        for other in curves:
            if other is not one:
                _line(axes, other.mean, color=TINTS[other.arm.kind], linewidth=0.8, alpha=0.7, zorder=2)
        for series in one.seeds:
            _line(axes, series, color=COLOURS[one.arm.kind], linewidth=0.8, alpha=0.5, zorder=3)
        _line(axes, one.mean, color=COLOURS[one.arm.kind], linewidth=2.2, zorder=4)
        _scale(axes, curves)
        write_legend(axes, [(shorten(one.arm.name, width), COLOURS[one.arm.kind])], rise=7)
        if column:
            axes.set_yticklabels([])
        if index + columns < len(curves):
            axes.set_xticklabels([])
    return figure


@dataclass(frozen=True)
class StackCurves:
    """How one stack's layers were trained, over seeds; columns of ``metrics.csv`` are ``layer<k>/<quantity>``."""

    name: str
    seeds: int
    figure: Markup


_LAYER = re.compile(r"layer(\d+)/(.+)")
_QUANTITIES = ("reconstruction_error", "free_energy_gap")


def pretraining_curves(name: str, runs: Sequence[Run], figure_name: str) -> StackCurves | None:
    """Reconstruction error and free-energy gap by epoch of each layer; None where no run kept them."""
    frames = [frame for run in runs if len(frame := read_curves(run))]
    panels: list[tuple[str, dict[int, list[pd.Series]]]] = []
    for quantity in _QUANTITIES:
        layers: dict[int, list[pd.Series]] = {}
        for frame in frames:
            for column in frame.columns:
                match = _LAYER.fullmatch(str(column))
                if match and match[2] == quantity and len(series := frame[column].dropna()):
                    series.index = series.index - series.index[0] + 1  # layers follow each other: each counts its own
                    layers.setdefault(int(match[1]), []).append(series)
        if layers:
            panels.append((quantity, dict(sorted(layers.items()))))
    if not panels:
        return None
    words = " and ".join(label_of(quantity) for quantity, _ in panels)
    figure = draw_both(
        lambda layout: _draw_layers(panels, layout), figure_name, f"{words} by epoch, for each layer of {name}"
    )
    return StackCurves(name, len(frames), figure)


def _draw_layers(panels: Sequence[tuple[str, dict[int, list[pd.Series]]]], layout: Layout) -> Figure:
    columns = 1 if layout.narrow else 2
    rows = -(-len(panels) // columns)
    left, gap, head, height, foot = 52.0, 66.0, 54.0, (160.0 if layout.narrow else 200.0), 44.0
    width = (layout.width - left - 10 - gap * (columns - 1)) / columns
    figure = new_figure(layout, rows * (head + height + foot))
    for index, (quantity, layers) in enumerate(panels):
        row, column = divmod(index, columns)
        axes = add_axes(figure, left + column * (width + gap), head + row * (head + height + foot), width, height)
        values = [float(value) for seeds in layers.values() for series in seeds for value in series]
        for position, seeds in enumerate(layers.values()):
            colour = LAYER_COLOURS[position % len(LAYER_COLOURS)]
            for series in seeds:
                _line(axes, series, color=colour, linewidth=0.8, alpha=0.4)
            _line(axes, pd.concat(seeds, axis=1, join="inner").mean(axis=1), color=colour, linewidth=2.2)
        if is_wide_range(values):
            axes.set_yscale("log")
            ticks_for_log(axes, "y", min(values), max(values))
        else:
            axes.yaxis.set_major_locator(MaxNLocator(5))
        if quantity == "free_energy_gap":
            axes.axhline(0, color=QUIET, linewidth=1, linestyle=(0, (2, 3)), zorder=1)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.spines["left"].set_visible(False)
        axes.grid(axis="y")
        axes.set_xlabel("epoch of the layer")
        axes.annotate(
            label_of(quantity),
            (0, 1),
            (0, 30),
            xycoords="axes fraction",
            textcoords="offset pixels",
            size=13,
            weight="bold",
        )
        write_legend(
            axes,
            [(f"layer {k}", LAYER_COLOURS[position % len(LAYER_COLOURS)]) for position, k in enumerate(layers)],
            rise=11,
        )
    return figure


def final_layer_errors(runs: Sequence[Run]) -> list[tuple[str, str]]:
    """Mean over runs of each ``layer<k>/reconstruction_error`` in their results, as pairs of label and number."""
    metrics = sorted({key for run in runs for key in run.metrics if key.endswith("/reconstruction_error")})
    pairs = []
    for metric in metrics:
        values = [run.metrics[metric] for run in runs if metric in run.metrics]
        form = format_of(metric, values)
        pairs.append((label_of(metric), form.number(sum(values) / len(values))))
    return pairs
