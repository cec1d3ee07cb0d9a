"""Formulas as MathML, which browsers show by themselves: without scripts, fonts from elsewhere or a LaTeX."""

import re
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging

UNKNOWN = [(r"\\dots(?![A-Za-z])", r"\\ldots"), (r"\\[bB]igg?[lr]?(?![A-Za-z])", "")]
"""What docutils does not translate: other dots, and the sizes of brackets, which stretch by themselves."""

logger = logging.getLogger(__name__)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the renderer under the name ``mathml``."""
    app.add_html_math_renderer("mathml", (write_inline, None), (write_block, None))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def write_inline(writer: Any, node: nodes.math) -> None:
    """A formula within a line."""
    write(writer, node, as_block=False)


def write_block(writer: Any, node: nodes.math_block) -> None:
    """A formula of its own, which can be scrolled where it is wider than the window."""
    writer.body.append('<div class="formula">')
    write(writer, node, as_block=True, end="</div>")


def write(writer: Any, node: nodes.Element, *, as_block: bool, end: str = "") -> None:
    """The formula; one that docutils cannot translate is a warning, so that a strict build fails."""
    text = node.astext()
    for pattern, replacement in UNKNOWN:
        text = re.sub(pattern, replacement, text)
    try:
        formula = tex2mathml(text, as_block=as_block)
    except MathError as error:
        logger.warning("formula %r: %s", node.astext(), error, location=node)
        formula = f"<code>{writer.encode(node.astext())}</code>"
    if r"\left\{" not in text:  # as docutils has it for other brackets: with an exponent the second would stretch less
        formula = re.sub(r"<mo>([{}])</mo>", r'<mo stretchy="false">\1</mo>', formula)
    writer.body.append(formula + end)
    raise nodes.SkipNode
