"""The figure that shows the outcome: every seed a dot, every arm a row, the mean with its interval."""

import math

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, ScalarFormatter

from finetune.report.compare import Section
from finetune.report.drawing import (
    COLOURS,
    HAIRLINE,
    INK,
    QUIET,
    TINTS,
    Layout,
    add_axes,
    draw_both,
    new_figure,
    shorten,
)
from finetune.report.quantities import axis_label, format_of


def is_wide_range(values: list[float]) -> bool:
    """Whether ``values`` span so much that only a logarithmic axis shows the small ones apart."""
    return bool(values) and min(values) > 0 and max(values) > 6 * min(values)


def ticks_for_log(axes: Axes, which: str, low: float, high: float) -> None:
    """Plain numbers (2, 5, 10, ...) at a logarithmic axis, dense enough for its range."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    decades = math.log10(high / low)
    subs = (1.0, 2.0, 3.0, 4.0, 6.0) if decades < 0.9 else (1.0, 2.0, 5.0) if decades < 2.2 else (1.0,)
    axis.set_major_locator(LogLocator(base=10, subs=subs, numticks=12))
    axis.set_minor_locator(LogLocator(base=10, subs=(), numticks=2))
    formatter = ScalarFormatter()
    formatter.set_scientific(False)
    axis.set_major_formatter(formatter)
    axis.set_minor_formatter(NullFormatter())


def dot_figure(section: Section, name: str) -> Markup:
    """All arms of a section by their metric, best mean on top."""
    arms = [arm for arm in section.arms if arm.values(section.metric)]
    tips = {}
    form = format_of(section.metric, [value for arm in arms for value in arm.values(section.metric).values()])
    for row, arm in enumerate(arms):
        for seed, value in arm.values(section.metric).items():
            tips[f"tip-{row}-{seed}"] = f"{arm.name}, seed {seed}: {form.number(value)}{form.unit}"
        if (estimate := arm.estimate(section.metric)) and (interval := estimate.interval):
            tips[f"mean-{row}"] = (
                f"{arm.name}: mean {form.number(estimate.mean)}{form.unit}, 95 % interval "
                f"{form.number(interval.low)} to {form.number(interval.high)}"
            )
    means = "; ".join(
        f"{arm.name} {form.number(estimate.mean)}{form.unit}"
        for arm in arms
        if (estimate := arm.estimate(section.metric)) is not None
    )
    return draw_both(
        lambda layout: _draw(section, layout),
        name,
        f"{section.label} of each arm, one dot per seed. Means: {means}",
        tips,
    )


def _draw(section: Section, layout: Layout) -> Figure:
    arms = [arm for arm in section.arms if arm.values(section.metric)]
    values = [value for arm in arms for value in arm.values(section.metric).values()]
    form = format_of(section.metric, values)
    longest = max((len(arm.name) for arm in arms), default=0)
    names = 0.0 if layout.narrow else min(longest * 8.2 + 26, 0.34 * layout.width)
    numbers = 62.0 if layout.narrow else 78.0
    row_height, head, foot = (46.0 if layout.narrow else 34.0), 6.0, 48.0
    height = row_height * len(arms)
    figure = new_figure(layout, head + height + foot)
    axes = add_axes(figure, names, head, layout.width - names - numbers, height)
    contest = _contest(section, values)
    log = is_wide_range(contest)
    low, high = _limits([value * form.factor for value in contest], log)
    if log:
        axes.set_xscale("log")
        ticks_for_log(axes, "x", low, high)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(4 if layout.narrow else 7))
    axes.set_xlim(low, high)
    axes.set_ylim(len(arms) - 0.5, -0.5)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.set_xlabel(axis_label(section.metric) + (", logarithmic axis" if log else ""), labelpad=8)

    reference = section.reference.estimate(section.metric)
    if reference is not None:
        axes.axvline(reference.mean * form.factor, color=QUIET, linewidth=1, linestyle=(0, (2, 3)), zorder=1.5)
    for row, arm in enumerate(arms):
        colour, tint = COLOURS[arm.kind], TINTS[arm.kind]
        notable = arm in (section.best_pretrained, section.best_random)
        weight = "bold" if notable else "normal"
        y = row + 0.2 if layout.narrow else float(row)
        if layout.narrow:
            axes.annotate(
                shorten(arm.name, layout.width - numbers, 13), (0, row), (0, 9), xycoords=("axes fraction", "data"),
                textcoords="offset pixels", color=colour, size=13, weight=weight, va="center", zorder=6,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
            )  # fmt: skip
        else:
            axes.annotate(
                shorten(arm.name, names - 14, 13), (0, row), (-names, 0), xycoords=("axes fraction", "data"),
                textcoords="offset pixels", color=colour, size=13, weight=weight, va="center",
            )  # fmt: skip
        estimate = arm.estimate(section.metric)
        if estimate is None:
            continue
        if estimate.interval is not None:
            left, right = (bound * form.factor for bound in (estimate.interval.low, estimate.interval.high))
            shown = max(left, low), min(right, high)
            axes.plot(shown, (y, y), color=tint, linewidth=6, zorder=2, gid=f"mean-{row}", solid_capstyle="butt")
            for beyond, edge, marker in ((left < low, low, "<"), (right > high, high, ">")):
                if beyond:
                    axes.plot([edge], [y], marker=marker, color=colour, markersize=6, clip_on=False, zorder=3)
        if estimate.mean * form.factor > high:
            axes.plot([high], [y], marker=">", color=colour, markersize=7, clip_on=False, zorder=3)
        axes.plot(
            [estimate.mean * form.factor] * 2,
            (y - 0.34, y + 0.34),
            color=INK,
            linewidth=2.2,
            zorder=3.5,
            solid_capstyle="butt",
        )
        dots = arm.values(section.metric).items()
        for position, (seed, value) in enumerate(dots):
            beside = 0.26 * (position / max(len(dots) - 1, 1) - 0.5)  # equal values stay apart
            axes.scatter(
                [value * form.factor], [y + beside], s=72, color=colour, edgecolors="white", linewidths=1.2, zorder=4,
                gid=f"tip-{row}-{seed}",
            )  # fmt: skip
        axes.annotate(
            f"{form.number(estimate.mean)}{form.unit}", (1, y), (numbers, 0), xycoords=("axes fraction", "data"),
            textcoords="offset pixels", size=13, ha="right", va="center", weight=weight,
        )  # fmt: skip
    for row in range(1, len(arms)):
        axes.axhline(row - 0.5, color=HAIRLINE, linewidth=0.6, zorder=0)
    return figure


def _contest(section: Section, values: list[float]) -> list[float]:
    """The values that set the axis: without baselines where these would squeeze what the study is about."""
    contest = [
        value for arm in section.of_kind("pretrained", "random") for value in arm.values(section.metric).values()
    ]
    if not contest:
        return values
    extent = max(contest) - min(contest)
    near = max(values) - min(values) <= 1.6 * extent
    return values if near else contest


def _limits(values: list[float], log: bool) -> tuple[float, float]:
    """Limits set by the dots with some room; an interval that is wider ends in an arrow, or two seeds fill the page."""
    low, high = min(values), max(values)
    if log:
        room = (high / low) ** 0.12
        return low / room, high * room
    room = 0.3 * (high - low) or 0.1 * abs(high) or 1.0
    return max(low - room, 0.0) if low >= 0 else low - room, high + room
