"""A report in Weights & Biases, as a run of its own in the study's group."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dbn.runs.tracking import tracking
from finetune.report.pages.report_files import ReportFiles


def track_report(study: Path, report: ReportFiles, wandb: Mapping[str, Any] | None) -> None:
    """Log the page, its tables and figures, and the list of the study's runs; again under the same id.

    Args:
        study: the study's directory, which keeps the id and what is recorded offline.
        report: that of the study.
        wandb: settings ``logger.wandb``; None: nothing is logged.

    Raises:
        SettingError, TrackingError: Weights & Biases cannot be used as configured.
    """
    name = study.resolve().name
    with tracking(study, wandb, study=name, stage="report", name=f"{name}_report", tags=[], config={}) as tracker:
        tracker.log_report(report.html, report.tables, report.figures)
