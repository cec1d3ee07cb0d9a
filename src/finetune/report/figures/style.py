"""Colours, sizes and lettering that all figures share; one figure unit is one CSS pixel at full size."""

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from finetune.report.results.run_result import Kind

COLOURS: dict[Kind, str] = {"pretrained": "#1b5e9e", "random": "#bf4d12", "baseline": "#6b7178", "unstated": "#6b7178"}
TINTS: dict[Kind, str] = {"pretrained": "#9dc0e0", "random": "#eeb593", "baseline": "#c6cacf", "unstated": "#c6cacf"}
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


def write_legend(axes: Axes, entries: list[tuple[str, str]], rise: float = 10, size: float = 12) -> None:
    """Coloured words side by side above ``axes``.

    Args:
        axes: the axes.
        entries: pairs of text and colour.
        rise: distance above the axes, in pixels.
        size: of the letters, in pixels.
    """
    x = 0.0
    for text, colour in entries:
        axes.annotate(
            text,
            (0, 1),
            (x, rise),
            xycoords="axes fraction",
            textcoords="offset pixels",
            color=colour,
            size=size,
            weight="bold",
        )
        x += 0.68 * size * len(text) + size


def shorten(text: str, width: float, size: float = 12) -> str:
    """``text``, with an ellipsis in its middle if it is wider than ``width`` pixels in letters of ``size`` pixels."""
    fits = max(int(width / (0.6 * size)), 4)
    if len(text) <= fits:
        return text
    half = (fits - 1) // 2
    return f"{text[: fits - 1 - half]}…{text[len(text) - half :]}"
