"""The metric of all arms along an axis of a study."""

from markupsafe import Markup
from matplotlib.figure import Figure

from finetune.report.comparison.axes import Axis, AxisLine
from finetune.report.comparison.statistics.intervals import Estimate
from finetune.report.figures.axis_scale import scale_axis, set_named_ticks
from finetune.report.figures.line_labels import label_lines
from finetune.report.figures.style import COLOURS, TINTS, Screen, one_axes, plot_interval
from finetune.report.figures.svg import draw_for_screens
from finetune.report.results.formatting import axis_label, metric_label


def axis_trend_figure(axis: Axis, name: str) -> Markup:
    """A line per arm with 95 % intervals; thick lines: the best pretrained and the best random arm of each section.

    The ``name`` must be unique on the page.
    """
    tips = {f"{name}-line{index}": line.name for index, line in enumerate(axis.lines)}
    description = f"{metric_label(axis.metric)} against {axis.quantity}"
    return draw_for_screens(lambda screen: _draw(axis, name, screen), name, description, tips)


def _draw(axis: Axis, name: str, screen: Screen) -> Figure:
    left, right = 50.0, 16.0 if screen.narrow else 210.0
    head, height, foot = 10.0, (260.0 if screen.narrow else 380.0), 48.0
    figure, axes = one_axes(screen, left, right, head, height, foot)
    factor = axis.format.factor
    ordinal = axis.quantity != "data set"
    values = []
    for index, line in enumerate(axis.lines):
        points = _points(line, axis)
        values += [factor * estimate.mean for _, estimate in points]
        artists = axes.plot(
            [x for x, _ in points],
            [factor * estimate.mean for _, estimate in points],
            color=TINTS[line.kind], linewidth=1.6, linestyle="-" if ordinal else "", marker="o", markersize=4, zorder=2,
        )  # fmt: skip
        artists[0].set_gid(f"{name}-line{index}")
        for x, estimate in points:
            plot_interval(axes, x, estimate, factor, color=TINTS[line.kind], linewidth=1.6, zorder=2)
    for attribute, colour in (("best_pretrained", COLOURS["pretrained"]), ("best_random", COLOURS["random"])):
        best = [
            (x, estimate)
            for x, section in enumerate(axis.sections)
            if (arm := getattr(section, attribute)) and (estimate := arm.estimate(axis.metric)) is not None
        ]
        if best:
            axes.plot(
                [x for x, _ in best],
                [factor * estimate.mean for _, estimate in best],
                color=colour, linewidth=2.8 if ordinal else 0, marker="o", markersize=7, zorder=4,
            )  # fmt: skip
            for x, estimate in best:
                plot_interval(axes, x, estimate, factor, color=colour, linewidth=1.6, zorder=3)
    scale_axis(axes, "y", values)
    set_named_ticks(axes, range(len(axis.ticks)), axis.ticks)
    axes.set_xlim(-0.15, len(axis.ticks) - 0.85)
    axes.set_xlabel(axis.quantity)
    axes.set_ylabel("" if screen.narrow else axis_label(axis.metric))
    if not screen.narrow:
        last = len(axis.ticks) - 1
        ends = [
            (float(last), factor * points[-1][1].mean, line.name, COLOURS[line.kind])
            for line in axis.lines
            if (points := _points(line, axis)) and points[-1][0] == last
        ]
        label_lines(axes, ends, height)
    return figure


def _points(line: AxisLine, axis: Axis) -> list[tuple[int, Estimate]]:
    found = ((x, line.arms[x].estimate(axis.metric)) for x in sorted(line.arms))
    return [(x, estimate) for x, estimate in found if estimate is not None]
