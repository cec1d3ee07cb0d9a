"""One run's ``metrics.csv``: metrics by epoch."""

import pandas as pd

from finetune.report.results.run_result import RunResult


def read_metric_history(run: RunResult) -> pd.DataFrame:
    """Metrics by epoch, a row each, missing values NaN; empty where ``metrics.csv`` is absent or cannot be parsed."""
    try:
        table = pd.read_csv(run.directory / "metrics.csv")
    except (OSError, ValueError):  # pandas' parser errors are ValueErrors
        return pd.DataFrame()
    if "epoch" not in table:
        return pd.DataFrame()
    table = pd.DataFrame({column: pd.to_numeric(table[column], errors="coerce") for column in table})
    table = table.dropna(subset=["epoch"])
    return table.groupby("epoch").last()  # loggers may write several rows per epoch, each with some metrics
