"""Colours, lettering and placement of axes that all figures share; one figure unit is one CSS pixel at full size."""

from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from finetune.report.comparison.statistics.intervals import Estimate
from finetune.report.results.run_result import Kind

COLOURS: dict[Kind, str] = {
    "pretrained": "#1b5e9e", "random": "#bf4d12", "control": "#5f6b1a", "unlabelled": "#8a3a8f", "baseline": "#6b7178",
    "unstated": "#6b7178",
}  # fmt: skip
TINTS: dict[Kind, str] = {
    "pretrained": "#9dc0e0", "random": "#eeb593", "control": "#c9cf9a", "unlabelled": "#d6aed9", "baseline": "#c6cacf",
    "unstated": "#c6cacf",
}  # fmt: skip
LAYER_COLOURS = ("#1b5e9e", "#3b93a6", "#7a6db5", "#4f5d75", "#8aa9c9", "#26415e")
INK, QUIET, HAIRLINE = "#1d2126", "#5f666e", "#e3e6e9"


@dataclass(frozen=True)
class Screen:
    """Kind of screen that a figure is drawn for; ``width`` in CSS pixels."""

    width: int
    narrow: bool


WIDE, NARROW = Screen(1116, narrow=False), Screen(346, narrow=True)


def new_figure(screen: Screen, height: float) -> Figure:
    """An empty figure, ``height`` in CSS pixels."""
    return Figure((screen.width / 72, height / 72), dpi=72)


def add_axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes at ``left`` and ``top``, measured from the figure's top left corner; all in CSS pixels."""
    total_width, total_height = (float(inches) * 72 for inches in figure.get_size_inches())
    return figure.add_axes(
        (left / total_width, 1 - (top + height) / total_height, width / total_width, height / total_height)
    )


def one_axes(screen: Screen, left: float, right: float, head: float, height: float, foot: float) -> tuple[Figure, Axes]:
    """A figure with one pair of axes of ``height``, the given margins and horizontal grid lines; all in CSS pixels."""
    figure = new_figure(screen, head + height + foot)
    axes = add_axes(figure, left, head, screen.width - left - right, height)
    show_horizontal_grid(axes)
    return figure, axes


def panels(
    screen: Screen, n: int, columns: int, left: float, gap: float, head: float, height: float, foot: float
) -> tuple[Figure, list[Axes]]:
    """A figure with ``n`` panels of ``height`` in ``columns``, one on narrow screens; margins and gap in CSS pixels."""
    columns = 1 if screen.narrow else columns
    width = (screen.width - left - 10 - gap * (columns - 1)) / columns
    figure = new_figure(screen, -(-n // columns) * (head + height + foot))
    corners = [divmod(index, columns) for index in range(n)]
    return figure, [
        add_axes(figure, left + column * (width + gap), head + row * (head + height + foot), width, height)
        for row, column in corners
    ]


def show_horizontal_grid(axes: Axes) -> None:
    """Horizontal grid lines in place of the left spine."""
    axes.spines["left"].set_visible(False)
    axes.grid(axis="y")


def plot_interval(axes: Axes, x: float, estimate: Estimate, factor: float, **style: Any) -> None:
    """A vertical line at ``x`` over the interval of ``estimate`` times ``factor``; none without an interval."""
    if estimate.interval is not None:
        axes.plot((x, x), (factor * estimate.interval.low, factor * estimate.interval.high), **style)


def write_above(axes: Axes, text: str, rise: float, x: float = 0, **style: Any) -> None:
    """``text`` at ``x`` and ``rise`` pixels from the upper left corner of ``axes``."""
    axes.annotate(text, (0, 1), (x, rise), xycoords="axes fraction", textcoords="offset pixels", **style)


def write_legend(axes: Axes, entries: list[tuple[str, str]], rise: float = 10, size: float = 12) -> None:
    """Pairs of text and colour side by side, ``rise`` pixels above ``axes``, in letters of ``size`` pixels."""
    x = 0.0
    for text, colour in entries:
        write_above(axes, text, rise, x, color=colour, size=size, weight="bold")
        x += 0.68 * size * len(text) + size


def shorten(text: str, width: float, size: float = 12) -> str:
    """``text``, with an ellipsis in its middle if it is wider than ``width`` pixels in letters of ``size`` pixels."""
    fits = max(int(width / (0.6 * size)), 4)
    if len(text) <= fits:
        return text
    half = (fits - 1) // 2
    return f"{text[: fits - 1 - half]}…{text[len(text) - half :]}"
