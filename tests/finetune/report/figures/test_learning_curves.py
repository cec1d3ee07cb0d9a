"""Learning curves of arms."""

import pytest

from finetune.report.comparison.arm import Arm
from finetune.report.figures.learning_curves import ArmCurves, arm_curves, learning_curves
from finetune.report.results.metric_history import read_metric_history
from finetune.report.results.study import read_study


def test_mean_over_the_epochs_that_every_seed_reached(study):
    frames = []
    for seed, values in enumerate([(0.4, 0.2, 0.1), (0.6, 0.4)]):
        directory = study.run("dbn", seed, 0.1)
        rows = "".join(f"{epoch},{value}\n" for epoch, value in enumerate(values))
        (directory / "metrics.csv").write_text("epoch,validation/error\n" + rows)
    runs = read_study(study.directory).runs
    frames = tuple(read_metric_history(run)["validation/error"] for run in runs)
    mean = ArmCurves(Arm("dbn", "pretrained", runs), frames).mean
    assert mean.tolist() == pytest.approx([0.5, 0.3])


def test_curves_count_epochs_from_one_and_errors_in_percent(study):
    """Rows 0, 5 and 9 are written when 1, 6 and 10 epochs are over."""
    directory = study.run("dbn", 0, 0.1)
    (directory / "metrics.csv").write_text(
        "epoch,train/loss,validation/error\n0,2.0,0.5\n1,1.9,\n5,1.5,0.25\n9,1.0,0.125\n"
    )
    section = study.section()
    tables = {arm.name: [read_metric_history(run) for run in arm.runs] for arm in section.arms}
    (errors,), (losses,) = (arm_curves(section, name, tables) for name in ("validation/error", "train/loss"))
    assert errors.mean.to_dict() == {1: 50.0, 6: 25.0, 10: 12.5}
    assert losses.mean.to_dict() == {1: 2.0, 2: 1.9, 6: 1.5, 10: 1.0}


def test_training_loss_stands_in_where_nothing_was_validated(study):
    directory = study.run("dbn", 0, 0.1)
    study.run("glorot", 0, 0.1)
    section = study.section()
    assert learning_curves(section, "c") is None
    (directory / "metrics.csv").write_text("epoch,train/loss\n0,1.0\n1,0.5\n")
    curves = learning_curves(section, "c")
    assert curves.metric == "train/loss"


def test_a_figure_of_many_arms_does_not_grow_with_their_square(study):
    """Up to 24 arms each panel shows all; of 26, with as many lines in each, it would be larger."""
    sizes = {}
    for n in range(1, 27):
        directory = study.run(f"arm{n}", 0, 0.1)
        (directory / "metrics.csv").write_text("epoch,validation/error\n0,0.5\n1,0.25\n")
        if n in (24, 26):
            sizes[n] = len(learning_curves(study.section(), "c").apart)
    assert sizes[26] < sizes[24]
