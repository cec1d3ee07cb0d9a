"""What more trials are worth: the expected best validation value against the number of trials, for every arm."""

from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from finetune.report.drawing import COLOURS, TINTS, Layout, add_axes, draw_both, new_figure
from finetune.report.line_names import name_lines
from finetune.report.quantities import axis_label, format_of, label_of
from finetune.report.tuning import Tuning


def tuning_figure(tuning: Tuning, name: str) -> Markup:
    """A line for every arm; full colour the best pretrained and the best random one."""
    description = f"expected best {label_of(tuning.metric)} against the number of trials"
    return draw_both(lambda layout: _draw(tuning, layout), name, description)


def _draw(tuning: Tuning, layout: Layout) -> Figure:
    left, right = 50.0, 16.0 if layout.narrow else 220.0
    head, height, foot = 10.0, (240.0 if layout.narrow else 340.0), 48.0
    figure = new_figure(layout, head + height + foot)
    axes = add_axes(figure, left, head, layout.width - left - right, height)
    factor = format_of(tuning.metric, ()).factor
    best = {kind: next((arm.name for arm in tuning.arms if arm.kind == kind), "") for kind in ("pretrained", "random")}
    ends = []
    for arm in reversed(tuning.arms):
        chosen = arm.name == best.get(arm.kind)
        heights = [factor * value for value in arm.expected]
        axes.plot(
            range(1, len(heights) + 1), heights, color=(COLOURS if chosen else TINTS)[arm.kind],
            linewidth=2.8 if chosen else 1.6, zorder=4 if chosen else 2,
        )  # fmt: skip
        ends.append((float(len(heights)), heights[-1], arm.name, COLOURS[arm.kind]))
    last = max(len(arm.expected) for arm in tuning.arms)
    axes.set_xlim(1 - 0.02 * last, max(last, 2))
    highest = max(factor * arm.expected[min(1, len(arm.expected) - 1)] for arm in tuning.arms)
    axes.set_ylim(top=1.08 * highest)  # what one trial alone can be expected to get would flatten all else
    axes.xaxis.set_major_locator(MaxNLocator(12, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.spines["left"].set_visible(False)
    axes.grid(axis="y")
    axes.set_xlabel("trials")
    axes.set_ylabel("" if layout.narrow else f"expected best {axis_label(tuning.metric)}")
    if not layout.narrow:
        name_lines(axes, ends, height)
    return figure
