"""Time that each arm takes: bars of pretraining and fine-tuning."""

from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from finetune.report.comparison.arm import Arm
from finetune.report.comparison.sections import Section
from finetune.report.figures.style import COLOURS, TINTS, Screen, add_axes, new_figure, shorten
from finetune.report.figures.svg import draw_for_screens
from finetune.report.results.formatting import seconds_text


def duration_figure(section: Section, name: str) -> Markup | None:
    """Stacked bars of the mean seconds of each arm, in the order of the table; None without comparable times."""
    arms = [arm for arm in section.arms if any(_parts(arm))]
    if not arms:
        return None
    totals = "; ".join(f"{arm.name} {seconds_text(sum(_parts(arm)))}" for arm in arms)
    return draw_for_screens(lambda screen: _draw(arms, screen), name, f"Mean time of each arm: {totals}")


def _parts(arm: Arm) -> tuple[float, float]:
    """Mean seconds of pretraining and of fine-tuning; zeros where either is not comparable."""
    pretraining, fine_tuning = arm.mean_of("comparable_pretrain_seconds"), arm.mean_of("comparable_seconds")
    return (0.0, 0.0) if pretraining is None or fine_tuning is None else (pretraining, fine_tuning)


def _draw(arms: list[Arm], screen: Screen) -> Figure:
    longest = max(len(arm.name) for arm in arms)
    names = 0.0 if screen.narrow else min(longest * 8.2 + 26, 0.34 * screen.width)
    numbers = 74.0
    row_height, head, foot = (46.0 if screen.narrow else 30.0), 6.0, 44.0
    height = row_height * len(arms)
    figure = new_figure(screen, head + height + foot)
    axes = add_axes(figure, names, head, screen.width - names - numbers, height)
    longest_time = max(sum(_parts(arm)) for arm in arms)
    factor, unit = (1.0, "s") if longest_time < 300 else (60.0, "min") if longest_time < 7200 else (3600.0, "h")
    for row, arm in enumerate(arms):
        pretraining, fine_tuning = (seconds / factor for seconds in _parts(arm))
        y, bar = (row + 0.2, 0.36) if screen.narrow else (float(row), 0.56)
        axes.barh([y], [pretraining], bar, color=TINTS[arm.kind], zorder=2)
        axes.barh([y], [fine_tuning], bar, left=pretraining, color=COLOURS[arm.kind], zorder=2)
        name, shift = (arm.name, (0.0, 8.0)) if screen.narrow else (shorten(arm.name, names - 14, 13), (-names, 0.0))
        axes.annotate(
            shorten(name, screen.width - numbers, 13), (0, row), shift, xycoords=("axes fraction", "data"),
            textcoords="offset pixels", color=COLOURS[arm.kind], size=13, va="center",
        )  # fmt: skip
        axes.annotate(
            seconds_text(sum(_parts(arm))), (pretraining + fine_tuning, y), (8, 0), textcoords="offset pixels",
            size=12, va="center",
        )  # fmt: skip
    axes.set_xlim(0, longest_time / factor)
    axes.set_ylim(len(arms) - 0.5, -0.5)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(4 if screen.narrow else 7))
    axes.grid(axis="x")
    axes.set_xlabel(f"{unit}, mean over seeds", labelpad=6)
    return figure
