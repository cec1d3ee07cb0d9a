"""The metric along an axis of a study: who wins, and where."""

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullFormatter, NullLocator

from finetune.report.axes import Axis, Line
from finetune.report.dots import is_wide_range, ticks_for_log
from finetune.report.drawing import COLOURS, TINTS, Layout, add_axes, draw_both, new_figure
from finetune.report.line_names import name_lines
from finetune.report.quantities import axis_label, label_of
from finetune.report.statistics import Estimate


def trend_figure(axis: Axis, name: str) -> Markup:
    """A line for every arm with its 95 % intervals; thick the best pretrained and the best random arm of each place.

    Args:
        axis: what is drawn.
        name: unique on the page.
    """
    tips = {f"{name}-line{index}": line.name for index, line in enumerate(axis.lines)}
    description = f"{label_of(axis.metric)} against {axis.quantity}"
    return draw_both(lambda layout: _draw(axis, name, layout), name, description, tips)


def _draw(axis: Axis, name: str, layout: Layout) -> Figure:
    left, right = 50.0, 16.0 if layout.narrow else 210.0
    head, height, foot = 10.0, (260.0 if layout.narrow else 380.0), 48.0
    figure = new_figure(layout, head + height + foot)
    axes = add_axes(figure, left, head, layout.width - left - right, height)
    factor = axis.format.factor
    ordinal = axis.quantity != "data set"
    values = []
    for index, line in enumerate(axis.lines):
        points = _points(line, axis)
        values += [factor * estimate.mean for _, estimate in points]
        artists = axes.plot(
            [place for place, _ in points],
            [factor * estimate.mean for _, estimate in points],
            color=TINTS[line.kind], linewidth=1.6, linestyle="-" if ordinal else "", marker="o", markersize=4, zorder=2,
        )  # fmt: skip
        artists[0].set_gid(f"{name}-line{index}")
        for place, estimate in points:
            _bar(axes, place, estimate, factor, TINTS[line.kind], zorder=2)
    for attribute, colour in (("best_pretrained", COLOURS["pretrained"]), ("best_random", COLOURS["random"])):
        best = [
            (place, estimate)
            for place, section in enumerate(axis.sections)
            if (arm := getattr(section, attribute)) and (estimate := arm.estimate(axis.metric)) is not None
        ]
        if best:
            axes.plot(
                [place for place, _ in best],
                [factor * estimate.mean for _, estimate in best],
                color=colour, linewidth=2.8 if ordinal else 0, marker="o", markersize=7, zorder=4,
            )  # fmt: skip
            for place, estimate in best:
                _bar(axes, place, estimate, factor, colour, zorder=3)
    if is_wide_range(values):
        axes.set_yscale("log")
        ticks_for_log(axes, "y", min(values), max(values))
    else:
        axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_locator(FixedLocator(list(range(len(axis.ticks)))))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xticklabels(list(axis.ticks))
    axes.set_xlim(-0.15, len(axis.ticks) - 0.85)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="y")
    axes.set_xlabel(axis.quantity)
    axes.set_ylabel("" if layout.narrow else axis_label(axis.metric))
    if not layout.narrow:
        last = len(axis.ticks) - 1
        ends = [
            (float(last), factor * points[-1][1].mean, line.name, COLOURS[line.kind])
            for line in axis.lines
            if (points := _points(line, axis)) and points[-1][0] == last
        ]
        name_lines(axes, ends, height)
    return figure


def _points(line: Line, axis: Axis) -> list[tuple[int, Estimate]]:
    found = ((place, line.arms[place].estimate(axis.metric)) for place in sorted(line.arms))
    return [(place, estimate) for place, estimate in found if estimate is not None]


def _bar(axes: Axes, place: int, estimate: Estimate, factor: float, colour: str, zorder: int) -> None:
    if estimate.interval is not None:
        ends = factor * estimate.interval.low, factor * estimate.interval.high
        axes.plot((place, place), ends, color=colour, linewidth=1.6, zorder=zorder)
