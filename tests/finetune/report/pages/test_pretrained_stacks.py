"""Facts of pretrained stacks."""

from finetune.report import write_report
from finetune.report.pages.pretrained_stacks import stack_views
from finetune.report.results.study import read_study


def test_stacks_of_two_precisions_are_never_one_mean(study):
    """``precision=auto`` takes bfloat16 on one machine and float32 on another: each has numbers of its own."""
    for seed, (precision, error, gap) in enumerate([("float32", 2.0, 1.0), ("bf16", 4.0, 9.0), ("bf16", 6.0, 11.0)]):
        directory = study.run(
            "stack", seed, stage="pretrain", metrics={"layer1/reconstruction_error": error}, precision=[precision]
        )
        (directory / "metrics.csv").write_text(
            f"epoch,layer1/reconstruction_error,layer1/free_energy_gap\n0,{error},{gap}\n"
        )
    views = stack_views(read_study(study.directory))
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
    (view,) = stack_views(read_study(study.directory))
    assert (view.name, dict(view.facts)["layer1 reconstruction error"]) == ("stack", "4.000")


def test_epochs_and_warnings_of_a_stack_are_shown_with_it(study):
    for seed, epochs in enumerate([12, 15, 12]):
        study.run(
            "stack", seed, stage="pretrain", precision=["float32"],
            layers=[{"epochs": epochs, "reason": "patience"}, {"epochs": 30, "reason": "all"}],
            warnings=["Layer 1: 60 % of the hidden units are <dead>."] if seed < 2 else [],
        )  # fmt: skip
    study.arm("dbn", [0.1, 0.2])
    (view,) = stack_views(read_study(study.directory))
    assert dict(view.facts)["epochs"] == "12 to 15, 30"
    assert view.warnings == ["Seeds 0, 1: Layer 1: 60 % of the hidden units are <dead>."]
    page = write_report(study.directory).html.read_text()
    assert "Seeds 0, 1: Layer 1: 60 % of the hidden units are &lt;dead&gt;." in page
