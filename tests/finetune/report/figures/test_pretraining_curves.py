"""Learning curves of stacks."""

from finetune.report.figures.pretraining_curves import pretraining_curves
from finetune.report.results.study import read_study


def test_each_layer_counts_its_own_epochs(study):
    """Layer 2's rows follow layer 1's; cells of the other layer are empty."""
    directory = study.run("stack", 0, stage="pretrain", metrics={"layer1/reconstruction_error": 0.5})
    (directory / "metrics.csv").write_text(
        "epoch,layer1/reconstruction_error,layer1/free_energy_gap,layer2/reconstruction_error\n"
        "0,9.0,0.1,\n1,8.0,0.2,\n2,,,5.0\n3,,,4.0\n"
    )
    curves = pretraining_curves("stack", [read_study(study.directory).runs[0]], "p")
    assert "layer 1" in curves
    assert "layer 2" in curves
    assert "free energy gap" in curves
    assert pretraining_curves("stack", [], "p") is None
