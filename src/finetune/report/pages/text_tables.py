"""Tables as text: Markdown, and aligned columns for the terminal."""

from collections.abc import Sequence

from finetune.report.results.formatting import MINUS


def markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table of escaped cells, the first column aligned left, the others right."""
    rule = "|" + " :-- |" + " --: |" * (len(heads) - 1)
    return "\n".join([_markdown_row(heads), rule, *map(_markdown_row, rows)])


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def escape(text: str) -> str:
    """Escape Markdown, in names that users chose; underscores inside words need no escape."""
    text = " ".join(text.split())
    for character in "\\|*`<":
        text = text.replace(character, "\\" + character)
    return text.replace("](", "]\\(")


def align_columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as lines with aligned columns, minus signs as hyphens."""
    rows = [[cell.replace(MINUS, "-") for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
