"""The end of metrics.csv, against the file read whole."""

import csv
from pathlib import Path

from dbn.fitting.metrics_file import MetricsFile
from dbn.fitting.metrics_tail import TAIL, read_metrics_tail


def test_the_end_of_a_long_file_is_that_of_the_whole(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path / "metrics.csv")
    for epoch in range(5000):
        row = {"epoch": epoch, "train/loss": 1.0 / (epoch + 1)}
        file.merge(row if epoch % 10 else {**row, "validation/error": epoch / 7e4})
    file.flush()
    assert file.path.stat().st_size > 4 * TAIL
    with file.path.open() as whole:
        rows = list(csv.DictReader(whole))
    tail = read_metrics_tail(file.path)
    assert tail.epochs == len(rows) == 5000
    assert tail.last == {
        "train/loss": float(rows[-1]["train/loss"]),
        "validation/error": float(rows[4990]["validation/error"]),
    }
    assert tail.written == file.path.stat().st_mtime


def test_a_file_that_is_not_there_or_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    assert read_metrics_tail(path).epochs == 0
    for text in ("", "epoch,train/loss\n", "no\nmetrics\n", "epoch,train/loss\n0,nan\n1,"):
        path.write_text(text)
        tail = read_metrics_tail(path)
        assert tail.epochs == (2 if text.endswith("1,") else 0)
        assert tail.last == {}
