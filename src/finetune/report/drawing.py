"""What all figures share: colours, type, and the way from a matplotlib figure to SVG inside the page.

A figure is drawn twice, for a wide and for a narrow screen, and the style sheet shows one of them: a wide figure
scaled down to a phone would have letters of four points. One figure unit is one CSS pixel at full size.
"""

import html
import io
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from finetune.report.read import Kind

COLOURS: dict[Kind, str] = {"pretrained": "#1b5e9e", "random": "#bf4d12", "baseline": "#6b7178", "unstated": "#6b7178"}
TINTS: dict[Kind, str] = {"pretrained": "#9dc0e0", "random": "#eeb593", "baseline": "#c6cacf", "unstated": "#c6cacf"}
LAYER_COLOURS = ("#1b5e9e", "#3b93a6", "#7a6db5", "#4f5d75", "#8aa9c9", "#26415e")
INK, QUIET, HAIRLINE = "#1d2126", "#5f666e", "#e3e6e9"

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: sharp, small, searchable, in the page's own font
    "svg.hashsalt": "layerwise-dbn",
    "text.parse_math": False,  # an arm's name may hold a dollar
    "font.size": 12,
    "axes.edgecolor": HAIRLINE,
    "axes.labelcolor": QUIET,
    "axes.labelsize": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": HAIRLINE,
    "grid.linewidth": 1,
    "text.color": INK,
    "xtick.color": HAIRLINE,
    "ytick.color": HAIRLINE,
    "xtick.labelcolor": QUIET,
    "ytick.labelcolor": QUIET,
    "xtick.labelsize": 12,
    "ytick.labelsize": 12,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "lines.solid_capstyle": "round",
    "lines.solid_joinstyle": "round",
}


@dataclass(frozen=True)
class Layout:
    """The screen that a figure is drawn for: its width in CSS pixels."""

    width: int
    narrow: bool


WIDE, NARROW = Layout(1116, narrow=False), Layout(346, narrow=True)
Draw = Callable[[Layout], Figure]


def new_figure(layout: Layout, height: float) -> Figure:
    """An empty figure, ``height`` in CSS pixels."""
    return Figure((layout.width / 72, height / 72), dpi=72)


def add_axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes placed in CSS pixels from the figure's top left corner."""
    total_width, total_height = (float(inches) * 72 for inches in figure.get_size_inches())
    return figure.add_axes(
        (left / total_width, 1 - (top + height) / total_height, width / total_width, height / total_height)
    )


def write_legend(axes: Axes, entries: list[tuple[str, str]], rise: float = 10, size: float = 12) -> None:
    """Coloured words side by side above ``axes``; ``entries`` are pairs of text and colour, ``rise`` in pixels."""
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
    """``text``, with its middle left out if it would be wider than ``width`` pixels."""
    fits = max(int(width / (0.6 * size)), 4)
    if len(text) <= fits:
        return text
    half = (fits - 1) // 2
    return f"{text[: fits - 1 - half]}…{text[len(text) - half :]}"


@contextmanager
def _style() -> Iterator[None]:
    """Matplotlib's defaults and ours, whatever the reader's own matplotlibrc says."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def draw_both(draw: Draw, name: str, description: str, tips: Mapping[str, str] | None = None) -> Markup:
    """The figure for wide and for narrow screens, as SVG to stand in the page.

    Args:
        draw: draws the figure for a layout.
        name: unique on the page.
        description: for those who cannot see it.
        tips: words shown on hovering, by the ``gid`` of the artist.
    """
    parts = []
    with _style():
        for layout, suffix in ((WIDE, "wide"), (NARROW, "narrow")):
            svg = _inline(draw(layout), f"{name}-{suffix}", description, tips or {})
            parts.append(f'<div class="{suffix}">{svg}</div>')
    return Markup("".join(parts))  # matplotlib escapes text; description and tips are escaped below


def _inline(figure: Figure, name: str, description: str, tips: Mapping[str, str]) -> str:
    """A figure's SVG element without what belongs to a file of its own: prologue, metadata, style for all elements."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r" xmlns(:\w+)?=\"[^\"]*\"", "", svg).replace("xlink:href", "href")
    svg = re.sub(r"font: ((?:\w+ )*?)([\d.]+px) [^;\"]*", r"font-size: \2; font-weight: \1", svg)  # matplotlib < 3.10
    svg = svg.replace("font-weight: ;", "").replace('; font-weight: "', '"')
    svg = re.sub(r"font-family: [^;\"]*;? ?", "", svg)
    svg = re.sub(r" transform=\"rotate\(-0 [^\"]*\)\"", "", svg)
    for gid, tip in tips.items():
        svg = svg.replace(f'<g id="{gid}">', f"<g><title>{html.escape(tip)}</title>")
    used = set(re.findall(r"(?:href=\"|url\()#([^\")]+)", svg))
    svg = re.sub(r" id=\"([^\"]*)\"", lambda match: f' id="{name}-{match[1]}"' if match[1] in used else "", svg)
    svg = re.sub(r"(href=\"|url\()#", rf"\g<1>#{name}-", svg)
    svg = re.sub(r"\s*\n\s*", " ", svg).replace("> <", "><")
    label = html.escape(description)
    return re.sub(
        r"<svg[^>]*?(viewBox=\"[^\"]*\")[^>]*>",
        lambda match: f'<svg {match[1]} role="img" aria-label="{label}">',
        svg,
        count=1,
    )
