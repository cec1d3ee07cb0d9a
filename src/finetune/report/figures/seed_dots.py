"""The main figure of a section: an arm per row, a dot per seed, the mean with its interval."""

from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from finetune.report.comparison.sections import Section
from finetune.report.figures.axis_scale import is_wide_range, set_log_ticks
from finetune.report.figures.style import COLOURS, HAIRLINE, INK, QUIET, TINTS, Screen, add_axes, new_figure, shorten
from finetune.report.figures.svg import draw_for_screens
from finetune.report.results.formatting import axis_label

DOT_WIDTH = 10.0
"""CSS pixels, with its edge."""


def dot_figure(section: Section, name: str) -> Markup | None:
    """The metric of all arms, best mean on top; None where no run has it. ``name`` must be unique on the page."""
    arms = [arm for arm in section.arms if arm.values(section.metric)]
    if not arms:
        return None
    tips, form = {}, section.format
    means = []
    for row, arm in enumerate(arms):
        for seed, value in arm.values(section.metric).items():
            tips[f"tip-{row}-{seed}"] = f"{arm.name}, seed {seed}: {form.number(value)}{form.unit}"
        if (estimate := arm.estimate(section.metric)) is None:
            continue
        mean = form.number(estimate.mean) + form.unit
        means.append(f"{arm.name} {mean}")
        if interval := estimate.interval:
            bounds = f"{form.number(interval.low)} to {form.number(interval.high)}"
            tips[f"mean-{row}"] = f"{arm.name}: mean {mean}, 95 % interval {bounds}"
    description = f"{section.label} of each arm, one dot per seed. Means: {'; '.join(means)}"
    return draw_for_screens(lambda screen: _draw(section, screen), name, description, tips)


def _draw(section: Section, screen: Screen) -> Figure:
    arms = [arm for arm in section.arms if arm.values(section.metric)]
    values, form = [value for arm in arms for value in arm.values(section.metric).values()], section.format
    longest = max((len(arm.name) for arm in arms), default=0)
    names = 0.0 if screen.narrow else min(longest * 8.2 + 26, 0.34 * screen.width)
    numbers = 62.0 if screen.narrow else 78.0
    row_height, head, foot = (46.0 if screen.narrow else 34.0), 6.0, 48.0
    height = row_height * len(arms)
    figure = new_figure(screen, head + height + foot)
    axes = add_axes(figure, names, head, screen.width - names - numbers, height)
    shown_values = _values_that_set_limits(section, values)
    log = is_wide_range(shown_values)
    low, high = _limits([value * form.factor for value in shown_values], log)
    if log:
        axes.set_xscale("log")
        set_log_ticks(axes, "x", low, high)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(4 if screen.narrow else 7))
    # Beside an error of 0 there is room for a dot; nothing below 0 is written or drawn there.
    beside_zero = 0.0 if log or low != 0 else (high - low) * DOT_WIDTH / (screen.width - names - numbers)
    axes.set_xlim(low - beside_zero, high)
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
        y = row + 0.2 if screen.narrow else float(row)
        if screen.narrow:
            axes.annotate(
                shorten(arm.name, screen.width - numbers, 13), (0, row), (0, 9), xycoords=("axes fraction", "data"),
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
        mean = estimate.mean * form.factor
        if mean > high:
            axes.plot([high], [y], marker=">", color=colour, markersize=7, clip_on=False, zorder=3)
        axes.plot((mean, mean), (y - 0.34, y + 0.34), color=INK, linewidth=2.2, zorder=3.5, solid_capstyle="butt")
        dots = arm.values(section.metric).items()
        for position, (seed, value) in enumerate(dots):
            beside = 0.26 * (position / max(len(dots) - 1, 1) - 0.5)  # so that equal values stay apart
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


def _values_that_set_limits(section: Section, values: list[float]) -> list[float]:
    """Values that set the limits of the axis: without baselines, where these are far from all arms."""
    own = [value for arm in section.of_kind("pretrained", "random") for value in arm.values(section.metric).values()]
    if not own:
        return values
    extent = max(own) - min(own)
    near = max(values) - min(values) <= 1.6 * extent
    return values if near else own


def _limits(values: list[float], log: bool) -> tuple[float, float]:
    """Limits that enclose the values with a margin; wider intervals, as of two seeds, are cut and end in an arrow."""
    low, high = min(values), max(values)
    if log:
        room = (high / low) ** 0.12
        return low / room, high * room
    room = 0.3 * (high - low) or 0.1 * abs(high) or 1.0
    return max(low - room, 0.0) if low >= 0 else low - room, high + room
