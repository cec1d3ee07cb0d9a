"""``results.csv``: a row per run with everything that its result states in numbers."""

import csv
import io
from collections.abc import Sequence

from finetune.report.results.run_result import RunResult

COLUMNS_BEFORE_METRICS = ("study", "stage", "data", "n_labelled", "name", "arm", "seed", "kind")
COLUMNS_AFTER_METRICS = ("seconds", "pretrain_seconds", "n_parameters", "epochs", "flops", "precision", "path")


def results_csv(runs: Sequence[RunResult]) -> str:
    """The table as text, values as stored: rates as fractions, times in seconds. An unknown value is empty."""
    metrics = sorted({key for run in runs for key in run.metrics})
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*COLUMNS_BEFORE_METRICS, *metrics, *COLUMNS_AFTER_METRICS])
    for run in runs:
        labels = "" if run.labels == "all" else run.labels
        writer.writerow(
            [run.study, run.stage, run.data, labels, run.name, run.arm, run.seed, run.kind]
            + [run.metrics.get(metric) for metric in metrics]
            + [run.seconds, run.pretrain_seconds, run.n_parameters, run.epochs, run.total_flops]
            + [" ".join(dict.fromkeys(run.precision)), run.path]
        )
    return buffer.getvalue()
