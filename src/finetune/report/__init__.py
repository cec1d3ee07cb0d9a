"""A study's results, from ``result.json`` files to a page: read, compared, drawn, shown.

Imports run one way: :mod:`results` (what is read) <- :mod:`comparison` (what is decided) <- :mod:`figures` (what is
drawn) <- :mod:`pages` (what is shown).
"""

from typing import TYPE_CHECKING

from dbn.lazy import lazy_attributes

if TYPE_CHECKING:
    from finetune.report.pages.report_files import ReportFiles, write_report

__all__ = ["ReportFiles", "write_report"]

if not TYPE_CHECKING:  # a checker that saw it would let every misspelt name pass
    __getattr__, __dir__ = lazy_attributes(
        __name__,
        {"ReportFiles": "finetune.report.pages.report_files", "write_report": "finetune.report.pages.report_files"},
    )
