"""The metric against the number of labels, where a study varies it: who wins, and when."""

import re
from collections.abc import Sequence

from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullFormatter, NullLocator

from finetune.report.compare import Arm, Section
from finetune.report.dots import is_wide_range, ticks_for_log
from finetune.report.drawing import COLOURS, TINTS, Layout, add_axes, draw_both, new_figure
from finetune.report.quantities import axis_label, format_of, label_of


def trend_figure(sections: Sequence[Section], name: str) -> Markup | None:
    """Lines over the number of labels of sections of one data set and task; None where fewer than two compare."""
    sections = [section for section in sections if section.labels]
    if len({section.metric for section in sections}) != 1 or len(sections) < 2:
        return None
    return draw_both(
        lambda layout: _draw(sections, layout), name, f"{label_of(sections[0].metric)} against the number of labels"
    )


def _without_labels(name: str) -> str:
    """``dbn_n_labelled=100`` -> ``dbn``: the arm's name without what the axis says."""
    return re.sub(r"[_,]?(?:data\.)?n_labelled=[^_,]*", "", name)


def _draw(sections: Sequence[Section], layout: Layout) -> Figure:
    left, right, head, height, foot = 50.0, 16.0, 10.0, (240.0 if layout.narrow else 320.0), 48.0
    figure = new_figure(layout, head + height + foot)
    axes = add_axes(figure, left, head, layout.width - left - right, height)
    metric = sections[0].metric
    lines: dict[str, list[tuple[int, Section, Arm]]] = {}
    for position, section in enumerate(sections):
        for arm in section.arms:
            if arm.values(metric):
                lines.setdefault(_without_labels(arm.name), []).append((position, section, arm))
    factor = format_of(metric, ()).factor
    values = []
    for points in lines.values():
        kind = points[0][2].kind
        means = [
            (position, estimate.mean * factor) for position, _, arm in points if (estimate := arm.estimate(metric))
        ]
        values += [mean for _, mean in means]
        axes.plot(*zip(*means, strict=True), color=TINTS[kind], linewidth=1.6, marker="o", markersize=3, zorder=2)
    for kind, attribute in (("pretrained", "best_pretrained"), ("random", "best_random")):
        best = [
            (position, estimate.mean * factor)
            for position, section in enumerate(sections)
            if (arm := getattr(section, attribute)) and (estimate := arm.estimate(metric))
        ]
        if best:
            colour = COLOURS["pretrained" if kind == "pretrained" else "random"]
            axes.plot(*zip(*best, strict=True), color=colour, linewidth=2.8, marker="o", markersize=7, zorder=4)
    if is_wide_range(values):
        axes.set_yscale("log")
        ticks_for_log(axes, "y", min(values), max(values))
    else:
        axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_locator(FixedLocator(list(range(len(sections)))))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xticklabels([section.labels for section in sections])
    axes.set_xlim(-0.15, len(sections) - 0.85)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="y")
    axes.set_xlabel("labelled images")
    axes.set_ylabel("" if layout.narrow else axis_label(metric))
    return figure
