"""The critical-difference diagram: arms by their mean rank over data sets, bars over those that do not differ."""

from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from finetune.report.comparison.ranks import Ranking
from finetune.report.figures.style import COLOURS, INK, QUIET, Screen, add_axes, new_figure, shorten
from finetune.report.figures.svg import draw_for_screens

_ROW, _BAR = 24.0, 9.0  # pixels


def critical_difference_figure(ranking: Ranking, name: str) -> Markup:
    """The diagram; ``name`` must be unique on the page."""
    ranks = "; ".join(f"{arm.name} {arm.rank:.2f}" for arm in ranking.arms)
    description = f"mean ranks over {ranking.n_data_sets} data sets: {ranks}"
    return draw_for_screens(lambda screen: _draw(ranking, screen), name, description)


def _draw(ranking: Ranking, screen: Screen) -> Figure:
    arms, k = ranking.arms, len(ranking.arms)
    names = 0.0 if screen.narrow else 230.0
    bars = _BAR * len(ranking.cliques) + 14
    rows = _ROW * k
    figure = new_figure(screen, 46 + bars + rows)
    axes = add_axes(figure, 14, 34, screen.width - names - 28, bars + rows)
    axes.set_xlim(0.9, k + 0.1)
    axes.set_ylim(bars + rows, 0)
    axes.xaxis.tick_top()
    axes.xaxis.set_major_locator(MultipleLocator(1))
    axes.set_yticks([])
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.spines["top"].set_visible(True)
    axes.grid(axis="x")
    axes.plot((1, 1 + ranking.critical_difference), (-22, -22), color=QUIET, linewidth=2.5, clip_on=False)
    axes.annotate(
        "critical difference", (1 + ranking.critical_difference, -22), (6, 0), textcoords="offset pixels", va="center",
        color=QUIET, size=11.5, annotation_clip=False,
    )  # fmt: skip
    for index, (first, last) in enumerate(ranking.cliques):
        y = 8 + _BAR * index
        axes.plot((arms[first].rank - 0.04, arms[last].rank + 0.04), (y, y), color=INK, linewidth=4, zorder=3)
    for row, arm in enumerate(arms):
        y, colour = bars + _ROW * (row + 0.5), COLOURS[arm.kind]
        axes.plot((arm.rank, arm.rank), (0, y), color=colour, linewidth=1, zorder=1.5)
        axes.scatter([arm.rank], [y], s=60, color=colour, zorder=4)
        left = screen.narrow and arm.rank > (1 + k) / 2
        axes.annotate(
            f"{shorten(arm.name, 200)} {arm.rank:.2f}", (arm.rank, y), (-9 if left else 9, 0), size=12, color=colour,
            textcoords="offset pixels", va="center", ha="right" if left else "left", annotation_clip=False,
        )  # fmt: skip
    return figure
