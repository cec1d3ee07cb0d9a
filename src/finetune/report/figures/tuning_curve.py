"""The expected best validation value against the number of trials."""

from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from finetune.report.comparison.tuning import Tuning
from finetune.report.figures.line_labels import label_lines
from finetune.report.figures.style import COLOURS, TINTS, Screen, one_axes
from finetune.report.figures.svg import draw_for_screens
from finetune.report.results.formatting import axis_label, choose_format, metric_label


def tuning_figure(tuning: Tuning, name: str) -> Markup:
    """A line per arm, the best of each side in full colour with its 95 % band; ``name`` is unique on the page."""
    description = f"expected best {metric_label(tuning.metric)} against the number of trials"
    return draw_for_screens(lambda screen: _draw(tuning, screen), name, description)


def _draw(tuning: Tuning, screen: Screen) -> Figure:
    left, right = 50.0, 16.0 if screen.narrow else 220.0
    head, height, foot = 10.0, (240.0 if screen.narrow else 340.0), 48.0
    figure, axes = one_axes(screen, left, right, head, height, foot)
    factor = choose_format(tuning.metric, ()).factor
    best = {kind: next((arm.name for arm in tuning.arms if arm.kind == kind), "") for kind in ("pretrained", "random")}
    ends = []
    for arm in reversed(tuning.arms):
        chosen = arm.name == best.get(arm.kind)
        heights = [factor * value for value in arm.expected]
        axes.plot(
            range(1, len(heights) + 1), heights, color=(COLOURS if chosen else TINTS)[arm.kind],
            linewidth=2.8 if chosen else 1.6, zorder=4 if chosen else 2,
        )  # fmt: skip
        known = [one for one in arm.intervals if one is not None]
        if chosen and known:
            axes.fill_between(
                range(1, len(known) + 1), [factor * one.low for one in known], [factor * one.high for one in known],
                color=TINTS[arm.kind], alpha=0.35, linewidth=0, zorder=1,
            )  # fmt: skip
        ends.append((float(len(heights)), heights[-1], arm.name, COLOURS[arm.kind]))
    last = max(len(arm.expected) for arm in tuning.arms)
    axes.set_xlim(1 - 0.02 * last, max(last, 2))
    highest = max(factor * arm.expected[min(1, len(arm.expected) - 1)] for arm in tuning.arms)
    axes.set_ylim(top=1.08 * highest)  # the value expected of a single trial would compress the rest
    axes.xaxis.set_major_locator(MaxNLocator(12, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel("trials")
    axes.set_ylabel("" if screen.narrow else f"expected best {axis_label(tuning.metric)}")
    if not screen.narrow:
        label_lines(axes, ends, height)
    return figure
