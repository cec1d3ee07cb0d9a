"""The environment of the page templates in ``templates/``: filters and functions that they use."""

import html
import re
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from finetune.report.figures.style import COLOURS, TINTS
from finetune.report.results.formatting import Format, axis_label


def template_environment() -> Environment:
    """A Jinja environment that escapes HTML and refuses undefined names."""
    environment = Environment(
        loader=PackageLoader("finetune.report.pages", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"breakable": breakable, "slug": slug}
    environment.globals |= {
        "axis_label": axis_label,
        "colours": COLOURS,
        "tints": TINTS,
        "tenths": Format(percent=False, decimals=1),
        "tenths_of_percent": Format(percent=True, decimals=1),
    }
    return environment


def breakable(name: str) -> Markup:
    """A name that may be broken after underscores, equals signs and commas on narrow screens."""
    return Markup(re.sub(r"([_=,])", r"\1<wbr>", str(html.escape(name))))


def slug(name: str) -> str:
    """A name as the anchor of its settings; different names have different anchors."""
    return quote(name, safe="")
