"""Learning curves of the pretraining of each layer of a stack."""

import re
from collections.abc import Sequence

import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from finetune.report.figures.axis_scale import scale_axis
from finetune.report.figures.learning_curves import draw_curve
from finetune.report.figures.style import (
    LAYER_COLOURS,
    QUIET,
    Screen,
    panels,
    show_horizontal_grid,
    write_above,
    write_legend,
)
from finetune.report.figures.svg import draw_for_screens
from finetune.report.results.formatting import metric_label
from finetune.report.results.metric_history import read_metric_history
from finetune.report.results.run_result import RunResult

_LAYER = re.compile(r"layer(\d+)/(.+)")
_QUANTITIES = ("reconstruction_error", "free_energy_gap")


def pretraining_curves(name: str, runs: Sequence[RunResult], figure_name: str) -> Markup | None:
    """Reconstruction error and free-energy gap of each layer by epoch; None where no run kept them.

    Args:
        name: name of the stack.
        runs: one per seed.
        figure_name: unique on the page.
    """
    frames = [frame for run in runs if len(frame := read_metric_history(run))]
    quantities: list[tuple[str, dict[int, list[pd.Series]]]] = []
    for quantity in _QUANTITIES:
        layers: dict[int, list[pd.Series]] = {}
        for frame in frames:
            for column in frame.columns:
                match = _LAYER.fullmatch(str(column))
                if match and match[2] == quantity and len(series := frame[column].dropna()):
                    series.index = series.index - series.index[0] + 1  # layers are trained in turn
                    layers.setdefault(int(match[1]), []).append(series)
        if layers:
            quantities.append((quantity, dict(sorted(layers.items()))))
    if not quantities:
        return None
    words = " and ".join(metric_label(quantity) for quantity, _ in quantities)
    return draw_for_screens(
        lambda screen: _draw_layers(quantities, screen), figure_name, f"{words} by epoch, for each layer of {name}"
    )


def _draw_layers(quantities: Sequence[tuple[str, dict[int, list[pd.Series]]]], screen: Screen) -> Figure:
    figure, all_axes = panels(screen, len(quantities), 2, 52.0, 66.0, 54.0, 160.0 if screen.narrow else 200.0, 44.0)
    for axes, (quantity, layers) in zip(all_axes, quantities, strict=True):
        values = [float(value) for seeds in layers.values() for series in seeds for value in series]
        for position, seeds in enumerate(layers.values()):
            colour = LAYER_COLOURS[position % len(LAYER_COLOURS)]
            for series in seeds:
                draw_curve(axes, series, color=colour, linewidth=0.8, alpha=0.4)
            draw_curve(axes, pd.concat(seeds, axis=1, join="inner").mean(axis=1), color=colour, linewidth=2.2)
        scale_axis(axes, "y", values)
        if quantity == "free_energy_gap":
            axes.axhline(0, color=QUIET, linewidth=1, linestyle=(0, (2, 3)), zorder=1)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        show_horizontal_grid(axes)
        axes.set_xlabel("epoch of the layer")
        write_above(axes, metric_label(quantity), 30, size=13, weight="bold")
        write_legend(
            axes,
            [(f"layer {k}", LAYER_COLOURS[position % len(LAYER_COLOURS)]) for position, k in enumerate(layers)],
            rise=11,
        )
    return figure
