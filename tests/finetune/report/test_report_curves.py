import pytest

from finetune.report.compare import Arm, compare
from finetune.report.curves import ArmCurves, arm_curves, learning_curves, pretraining_curves, read_curves
from finetune.report.page import _stacks
from finetune.report.read import read_study


def first_run(study):
    return read_study(study.directory).runs[0]


def test_rows_of_one_epoch_are_joined(study):
    """A logger may write training and validation values of an epoch as two rows."""
    directory = study.run("dbn", 0, 0.1)
    (directory / "metrics.csv").write_text("epoch,train/loss,validation/error\n0,1.5,\n0,,0.5\n1,1.0,\n1,,0.25\n")
    frame = read_curves(first_run(study))
    assert frame["train/loss"].tolist() == [1.5, 1.0]
    assert frame["validation/error"].tolist() == [0.5, 0.25]


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "epoch,x\n0,1,2,3\n,,\n", '"'])
def test_files_that_are_no_curves_are_no_curves(study, content):
    directory = study.run("dbn", 0, 0.1)
    (directory / "metrics.csv").write_text(content)
    assert "validation/error" not in read_curves(first_run(study))


def test_mean_over_the_epochs_that_every_seed_reached(study):
    frames = []
    for seed, values in enumerate([(0.4, 0.2, 0.1), (0.6, 0.4)]):
        directory = study.run("dbn", seed, 0.1)
        rows = "".join(f"{epoch},{value}\n" for epoch, value in enumerate(values))
        (directory / "metrics.csv").write_text("epoch,validation/error\n" + rows)
    runs = read_study(study.directory).runs
    frames = tuple(read_curves(run)["validation/error"] for run in runs)
    mean = ArmCurves(Arm("dbn", "pretrained", runs), frames).mean
    assert mean.tolist() == pytest.approx([0.5, 0.3])


def test_curves_count_epochs_from_one_and_errors_in_percent(study):
    """Rows 0, 5 and 9 are written when 1, 6 and 10 epochs are over."""
    directory = study.run("dbn", 0, 0.1)
    (directory / "metrics.csv").write_text(
        "epoch,train/loss,validation/error\n0,2.0,0.5\n1,1.9,\n5,1.5,0.25\n9,1.0,0.125\n"
    )
    (section,) = compare(read_study(study.directory).runs)
    tables = {arm.name: [read_curves(run) for run in arm.runs] for arm in section.arms}
    (errors,), (losses,) = (arm_curves(section, name, tables) for name in ("validation/error", "train/loss"))
    assert errors.mean.to_dict() == {1: 50.0, 6: 25.0, 10: 12.5}
    assert losses.mean.to_dict() == {1: 2.0, 2: 1.9, 6: 1.5, 10: 1.0}


def test_training_loss_stands_in_where_nothing_was_validated(study):
    directory = study.run("dbn", 0, 0.1)
    study.run("glorot", 0, 0.1)
    (section,) = compare(read_study(study.directory).runs)
    assert learning_curves(section, "c") is None
    (directory / "metrics.csv").write_text("epoch,train/loss\n0,1.0\n1,0.5\n")
    curves = learning_curves(section, "c")
    assert curves.metric == "train/loss"


def test_each_layer_counts_its_own_epochs(study):
    """Layer 2's rows follow layer 1's; cells of the other layer are empty."""
    directory = study.run("stack", 0, stage="pretrain", metrics={"layer1/reconstruction_error": 0.5})
    (directory / "metrics.csv").write_text(
        "epoch,layer1/reconstruction_error,layer1/free_energy_gap,layer2/reconstruction_error\n"
        "0,9.0,0.1,\n1,8.0,0.2,\n2,,,5.0\n3,,,4.0\n"
    )
    curves = pretraining_curves("stack", [first_run(study)], "p")
    assert "layer 1" in curves.figure
    assert "layer 2" in curves.figure
    assert "free energy gap" in curves.figure
    assert pretraining_curves("stack", [], "p") is None


def test_stacks_of_two_precisions_are_never_one_mean(study):
    """``precision=auto`` takes bfloat16 on one machine and float32 on another: each has numbers of its own."""
    for seed, (precision, error, gap) in enumerate([("float32", 2.0, 1.0), ("bf16", 4.0, 9.0), ("bf16", 6.0, 11.0)]):
        directory = study.run(
            "stack", seed, stage="pretrain", metrics={"layer1/reconstruction_error": error}, precision=[precision]
        )
        (directory / "metrics.csv").write_text(
            f"epoch,layer1/reconstruction_error,layer1/free_energy_gap\n0,{error},{gap}\n"
        )
    views = _stacks(read_study(study.directory))
    assert [(view.name, dict(view.facts)) for view in views] == [
        (
            "stack, float32",
            {"seeds": "1", "time": "10 s", "precision": "float32", "layer1 reconstruction error": "2.000"},
        ),
        ("stack, bf16", {"seeds": "2", "time": "10 s", "precision": "bf16", "layer1 reconstruction error": "5.000"}),
    ]
    for seed in range(3):
        result = study.directory / f"pretrain/stack_seed{seed}/result.json"
        result.write_text(result.read_text().replace("float32", "bf16"))
    (view,) = _stacks(read_study(study.directory))
    assert (view.name, dict(view.facts)["layer1 reconstruction error"]) == ("stack", "4.000")
