"""The metric against the number of pretraining epochs, where a study varies it."""

from collections.abc import Mapping

from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from finetune.report.comparison.arm import Arm
from finetune.report.comparison.pretraining_length import pretraining_length_lines
from finetune.report.comparison.sections import Section
from finetune.report.figures.axis_scale import set_named_ticks
from finetune.report.figures.style import COLOURS, QUIET, Screen, one_axes, plot_interval, shorten
from finetune.report.figures.svg import draw_for_screens
from finetune.report.results.formatting import axis_label, metric_label


def pretraining_length_figure(section: Section, name: str) -> Markup | None:
    """Means with their intervals against pretraining epochs; None where the section does not vary them."""
    lines = pretraining_length_lines(section)
    if not lines:
        return None
    description = f"{metric_label(section.metric)} against epochs of pretraining of every layer"
    return draw_for_screens(lambda screen: _draw(section, lines, screen), name, description)


def _draw(section: Section, lines: Mapping[str, list[tuple[int, Arm]]], screen: Screen) -> Figure:
    left, right, head, height, foot = 50.0, 16.0, 14.0, (240.0 if screen.narrow else 320.0), 48.0
    figure, axes = one_axes(screen, left, right, head, height, foot)
    factor = section.format.factor
    ticks = sorted({epochs for points in lines.values() for epochs, _ in points})
    colour = COLOURS["pretrained"]
    for name, points in lines.items():
        means = [(epochs, estimate) for epochs, arm in points if (estimate := arm.estimate(section.metric)) is not None]
        xs, ys = [epochs for epochs, _ in means], [factor * estimate.mean for _, estimate in means]
        axes.plot(xs, ys, color=colour, linewidth=2.2, marker="o", markersize=6, zorder=4)
        for epochs, estimate in means:
            plot_interval(axes, epochs, estimate, factor, color=colour, linewidth=1.4, alpha=0.6, zorder=3)
        if len(lines) > 1:
            axes.annotate(
                shorten(name, 160), (xs[-1], ys[-1]), (-4, 8), textcoords="offset pixels", ha="right", color=colour
            )
    if section.best_random is not None and (estimate := section.best_random.estimate(section.metric)) is not None:
        axes.axhline(factor * estimate.mean, color=COLOURS["random"], linewidth=1.4, linestyle=(0, (4, 3)), zorder=2)
        axes.annotate(
            f"{shorten(section.best_random.name, 200)}, no pretraining", (1, factor * estimate.mean), (0, 5),
            xycoords=("axes fraction", "data"), textcoords="offset pixels", ha="right", color=COLOURS["random"],
        )  # fmt: skip
    axes.set_xscale("log")
    set_named_ticks(axes, ticks, list(map(str, ticks)))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel("epochs of pretraining, every layer")
    axes.yaxis.label.set_color(QUIET)
    axes.set_ylabel("" if screen.narrow else axis_label(section.metric))
    return figure
