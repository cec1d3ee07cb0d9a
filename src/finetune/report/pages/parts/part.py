"""A part of a page: sentences, a figure and a table about a study as a whole."""

from dataclasses import dataclass

from markupsafe import Markup

from finetune.report.pages.text_tables import align_columns, escape, markdown_table
from finetune.report.results.run_result import Kind

GridRow = tuple[str, Kind | str, tuple[str, ...]]
"""Name, kind of arm (empty for none), cells."""


@dataclass(frozen=True)
class Grid:
    """A table of texts with a name in front of every row.

    Attributes:
        heads: headings of the names and of the columns.
        strong: emphasised cells as (row, column).
    """

    heads: tuple[str, ...]
    rows: tuple[GridRow, ...]
    strong: frozenset[tuple[int, int]] = frozenset()

    def markdown(self) -> str:
        """The table in Markdown; emphasised cells are bold."""
        rows = []
        for row, (name, _, cells) in enumerate(self.rows):
            texts = [escape(cell) for cell in cells]
            strong = [text and (row, column) in self.strong for column, text in enumerate(texts)]
            rows.append([escape(name), *(f"**{text}**" if s else text for text, s in zip(texts, strong, strict=True))])
        return markdown_table([escape(head) for head in self.heads], rows)

    def text(self) -> str:
        """The table with aligned columns, for a terminal."""
        return align_columns([self.heads, *((name, *cells) for name, _, cells in self.rows)])


@dataclass(frozen=True)
class Part:
    """A part of the page.

    Attributes:
        sentences: what it shows, computed from the runs.
        about: how to read figure and table.
        figure: HTML of the figure, if there is any.
        foot: a note below the table.
    """

    title: str
    sentences: tuple[str, ...]
    about: str
    figure: Markup | None
    grid: Grid
    foot: str = ""

    def markdown(self) -> str:
        """Title, sentences, table and note."""
        sentences = [" ".join(f"**{escape(sentence)}**" for sentence in self.sentences)] if self.sentences else []
        foot = [escape(self.foot)] if self.foot else []
        return "\n\n".join([f"## {escape(self.title)}", *sentences, self.grid.markdown(), *foot])
