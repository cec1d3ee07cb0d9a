"""Lines over pretraining epochs."""

import pytest

from finetune.report.comparison.pretraining_length import pretraining_length_lines
from finetune.report.figures.pretraining_length_curve import pretraining_length_figure


def test_lines_over_epochs_of_pretraining(study):
    for epochs, errors in ((10, [0.1, 0.2]), (1, [0.3, 0.5]), (100, [0.1, 0.1])):
        config = {"stack": {"every_layer": {"epochs": epochs}}}
        study.arm(f"dbn_epochs={epochs}", errors, config=config, arm="dbn")
    assert pretraining_length_figure(study.section(), "l").count("<svg") == 2
    study.arm("dbn_other_training.epochs=7", [0.1], config={"stack": {"every_layer": {"epochs": 3}}})
    study.arm("he", [0.4, 0.2], config={"stack": {"every_layer": {"epochs": 30}}})
    (line,) = pretraining_length_lines(study.section()).items()
    assert line[0] == "dbn"
    assert [(epochs, arm.estimate("test/error").mean) for epochs, arm in line[1]] == [
        (1, pytest.approx(0.4)),
        (10, pytest.approx(0.15)),
        (100, pytest.approx(0.1)),
    ]
    assert "he, no pretraining" in pretraining_length_figure(study.section(), "l")


def test_one_length_is_no_figure(study):
    study.arm("dbn", [0.1], config={"stack": {"every_layer": {"epochs": 10}}})
    study.arm("he", [0.1], config={"stack": {"every_layer": {"epochs": 30}}})
    assert pretraining_length_figure(study.section(), "l") is None
