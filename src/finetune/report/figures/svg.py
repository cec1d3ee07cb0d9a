"""Matplotlib figures as SVG elements inside the page.

A figure is drawn twice, for wide and for narrow screens, and the style sheet shows one of them: scaled down to a phone,
a wide figure would have letters of four points.
"""

import html
import io
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure

from finetune.report.figures.style import HAIRLINE, INK, NARROW, QUIET, WIDE, Screen

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text, in the page's own font
    "svg.hashsalt": "layerwise-dbn",
    "text.parse_math": False,  # names of arms may contain dollar signs
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
Draw = Callable[[Screen], Figure]


def draw_for_screens(draw: Draw, name: str, description: str, tips: Mapping[str, str] | None = None) -> Markup:
    """The figure for wide and for narrow screens, as HTML with inline SVG.

    Args:
        draw: draws the figure for a screen.
        name: prefix of all ids, unique on the page.
        description: text alternative of the figure.
        tips: text shown on hovering, by the ``gid`` of the artist.
    """
    parts = []
    with _style():
        for screen, suffix in ((WIDE, "wide"), (NARROW, "narrow")):
            svg = _inline(draw(screen), f"{name}-{suffix}", description, tips or {})
            parts.append(f'<div class="{suffix}">{svg}</div>')
    return Markup("".join(parts))  # matplotlib escapes text; description and tips are escaped below


@contextmanager
def _style() -> Iterator[None]:
    """Matplotlib's defaults and ours, independent of the user's matplotlibrc."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def _inline(figure: Figure, name: str, description: str, tips: Mapping[str, str]) -> str:
    """A figure's SVG element without prologue, metadata and style sheet, its ids prefixed by ``name``."""
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
