"""The metric against how long the stack was pretrained, where a study varies it."""

import re
from collections.abc import Mapping

from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullFormatter, NullLocator

from finetune.report.compare import Arm, Section
from finetune.report.drawing import COLOURS, QUIET, Layout, add_axes, draw_both, new_figure, shorten
from finetune.report.quantities import axis_label, format_of, label_of


def pretraining_epochs(arm: Arm) -> int | None:
    """Epochs of every layer of the stack that a pretrained arm starts from; None where its configuration is silent."""
    part: object = arm.runs[0].config
    for key in ("stack", "every_layer", "epochs"):
        part = part.get(key) if isinstance(part, Mapping) else None
    known = isinstance(part, int) and not isinstance(part, bool) and part > 0 and arm.kind == "pretrained"
    return part if known and isinstance(part, int) else None


def lines_of(section: Section) -> dict[str, list[tuple[int, Arm]]]:
    """Arms that differ only in how long their stack was pretrained: name without that, epochs ascending."""
    lines: dict[str, list[tuple[int, Arm]]] = {}
    for arm in section.arms:
        epochs = pretraining_epochs(arm)
        if epochs is not None and arm.values(section.metric):
            lines.setdefault(_without_epochs(arm.name), []).append((epochs, arm))
    return {
        name: sorted(points, key=lambda point: point[0])
        for name, points in lines.items()
        if len({epochs for epochs, _ in points}) > 1
    }


def lengths_figure(section: Section, name: str) -> Markup | None:
    """Means with their intervals over the epochs of pretraining; None where the study does not vary them."""
    lines = lines_of(section)
    if not lines:
        return None
    description = f"{label_of(section.metric)} against epochs of pretraining of every layer"
    return draw_both(lambda layout: _draw(section, lines, layout), name, description)


def _without_epochs(name: str) -> str:
    """``dbn_epochs=10`` -> ``dbn``: the arm's name without what the axis says."""
    return re.sub(r"(?:^|[_,])(?:stack\.every_layer\.)?epochs=[^_,]*", "", name)


def _draw(section: Section, lines: Mapping[str, list[tuple[int, Arm]]], layout: Layout) -> Figure:
    left, right, head, height, foot = 50.0, 16.0, 14.0, (240.0 if layout.narrow else 320.0), 48.0
    figure = new_figure(layout, head + height + foot)
    axes = add_axes(figure, left, head, layout.width - left - right, height)
    factor = format_of(section.metric, ()).factor
    ticks = sorted({epochs for points in lines.values() for epochs, _ in points})
    colour = COLOURS["pretrained"]
    for name, points in lines.items():
        means = [(epochs, estimate) for epochs, arm in points if (estimate := arm.estimate(section.metric)) is not None]
        xs, ys = [epochs for epochs, _ in means], [factor * estimate.mean for _, estimate in means]
        axes.plot(xs, ys, color=colour, linewidth=2.2, marker="o", markersize=6, zorder=4)
        for epochs, estimate in means:
            if estimate.interval is not None:
                ends = factor * estimate.interval.low, factor * estimate.interval.high
                axes.plot((epochs, epochs), ends, color=colour, linewidth=1.4, alpha=0.6, zorder=3)
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
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xticklabels([str(tick) for tick in ticks])
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.spines["left"].set_visible(False)
    axes.grid(axis="y")
    axes.set_xlabel("epochs of pretraining, every layer")
    axes.yaxis.label.set_color(QUIET)
    axes.set_ylabel("" if layout.narrow else axis_label(section.metric))
    return figure
