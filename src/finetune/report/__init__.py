"""From the runs of a study to a page that says what came out.

One direction of travel: ``result.json`` files -> :mod:`read` -> :mod:`compare` (sections and arms) -> :mod:`headline`,
:mod:`tables` and the figures -> :mod:`page` -> :mod:`write`.
"""

from finetune.report.write import ReportFiles, write_report

__all__ = ["ReportFiles", "write_report"]
