r"""Tables in LaTeX, for papers: a ``tabular`` each with the rules of the package booktabs."""

import re
from collections.abc import Sequence

from finetune.report.results.formatting import MINUS

_ESCAPED = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$", "*": "$^*$",
    MINUS: "$-$", "±": r"$\pm$", "\N{MULTIPLICATION SIGN}": r"$\times$", "\N{NO-BREAK SPACE}": "~",
    "\N{EN DASH}": "--", "\N{HORIZONTAL ELLIPSIS}": r"\dots{}",
}  # fmt: skip


def latex_text(text: str) -> str:
    """Text with LaTeX's special characters and our mathematical signs escaped."""
    return "".join(_ESCAPED.get(character, character) for character in text)


def latex_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A ``tabular``, its first column aligned left, the others right."""
    lines = [
        rf"\begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}", r"\toprule", _row(heads), r"\midrule",
        *map(_row, rows), r"\bottomrule", r"\end{tabular}",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"{' & '.join(map(latex_text, cells))} \\\\"


def latex_file_name(title: str) -> str:
    """``mnist, classifier, 100 labels`` -> ``mnist_classifier_100_labels.tex``."""
    words = re.sub(r"[^A-Za-z0-9]+", "_", title).strip("_")
    return f"{words or 'table'}.tex"
