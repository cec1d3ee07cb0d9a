"""Metrics by epoch."""

import pytest

from finetune.report.results.metric_history import read_metric_history
from finetune.report.results.study import read_study


def first_run(study):
    return read_study(study.directory).runs[0]


def test_rows_of_one_epoch_are_joined(study):
    """A logger may write training and validation values of an epoch as two rows."""
    directory = study.run("dbn", 0, 0.1)
    (directory / "metrics.csv").write_text("epoch,train/loss,validation/error\n0,1.5,\n0,,0.5\n1,1.0,\n1,,0.25\n")
    frame = read_metric_history(first_run(study))
    assert frame["train/loss"].tolist() == [1.5, 1.0]
    assert frame["validation/error"].tolist() == [0.5, 0.25]


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "epoch,x\n0,1,2,3\n,,\n", '"'])
def test_files_that_are_no_curves_are_no_curves(study, content):
    directory = study.run("dbn", 0, 0.1)
    (directory / "metrics.csv").write_text(content)
    assert "validation/error" not in read_metric_history(first_run(study))
