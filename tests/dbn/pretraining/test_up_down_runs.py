"""Runs of up-down training: the stack that they start from, what their results say, and their identity."""

from pathlib import Path
from typing import Any

import pytest
import torch

from dbn import DBN
from dbn.data import digits, load_data
from dbn.models.class_rbm import class_log_probabilities
from dbn.models.untied import Untied
from dbn.pretraining.class_errors import errors_in_words
from dbn.pretraining.stack_identity import stack_name
from dbn.pretraining.stack_run import pretrain, pretrain_seeds, pretraining_directory
from helpers import Composer

LAYERS = "stack.layers=[12,{n_hidden:15,hidden:{kind:bernoulli_with_label,n_labels:10}}]"
SMALL = [LAYERS, "stack.every_layer.epochs=2", "stack.every_layer.batch_size=20", "progress=false"]
UP_DOWN = [*SMALL, "method=up_down", "method.epochs=2"]


def error_of(file: Path) -> float:
    """Fraction of test images that the stack in a file is wrong about."""
    test = load_data(digits()).test
    predicted = class_log_probabilities(DBN.load(file), test.features()).argmax(1)
    return float((predicted != test.labels).double().mean())


def test_a_run_starts_from_the_greedy_stack_and_says_the_errors_of_both(compose: Composer) -> None:
    config, below = compose("pretrain", UP_DOWN), compose("pretrain", [*SMALL, "method=class_rbm"])
    result = pretrain(config)
    folder, greedy = pretraining_directory(config), pretraining_directory(below)
    metrics = result["metrics"]
    assert metrics["test/error"] == pytest.approx(error_of(folder / "dbn.safetensors"))
    assert metrics["test/error_before"] == pytest.approx(error_of(greedy / "dbn.safetensors"))
    assert f"{100 * metrics['test/error_before']:.2f} %" in errors_in_words(metrics)[1]
    written = (greedy / "result.json").stat().st_mtime_ns
    found = pretrain(below)  # it has been trained: it is the stack of method=class_rbm
    assert (greedy / "result.json").stat().st_mtime_ns == written
    assert found["metrics"]["test/error"] == metrics["test/error_before"]
    assert result["greedy"]["name"] == found["name"]
    assert result["seconds"] > found["seconds"] == result["greedy"]["seconds"]
    assert result["flops"] > found["flops"]
    assert result["epochs"] == 2 + found["epochs"] == 6
    stack = DBN.load(folder / "dbn.safetensors")
    assert isinstance(stack[0], Untied)
    assert DBN.describe(folder / "dbn.safetensors")["description"]["method"]["epochs"] == 2


def test_the_twin_starts_from_random_weights_for_several_seeds(compose: Composer) -> None:
    config = compose("pretrain", [*UP_DOWN, "method.greedy=null", "n_parallel_seeds=2"])
    results = pretrain_seeds(config)
    assert [own["seed"] for own in results] == [0, 1]
    assert all("greedy" not in own and "test/error_before" not in own["metrics"] for own in results)
    assert len(list(pretraining_directory(config).parent.iterdir())) == 2, "no stack but these"
    one, two = (
        DBN.load(pretraining_directory({**config, "seed": seed}) / "dbn.safetensors")[0].weight for seed in (0, 1)
    )
    assert not torch.allclose(one, two, atol=0.05)


def test_stacks_without_label_have_no_errors(compose: Composer) -> None:
    more = ["stack.layers=[12,10]", "method@method.greedy=rbm"]
    result = pretrain(compose("pretrain", [*UP_DOWN, *more]))
    assert not any("/error" in name for name in result["metrics"])
    assert result["metrics"]["layer1/reconstruction_error"] > 0


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        (["method.steps=3"], ["method.steps={0:3}"], False),
        (["sampler.steps={0:1}"], ["sampler.steps={0: 1}"], True),
        ([], ["method.learning_rate=0.02"], False),
        ([], ["sampler.steps=2"], False),
        ([], ["sampler.sample_visible=true"], False),
        (["method.greedy=null"], ["method.greedy=null", "sampler=pcd"], True),
    ],
)
def test_what_names_a_stack(one: list[str], two: list[str], same: bool, compose: Composer) -> None:
    names = [stack_name(compose("pretrain", [*UP_DOWN, *own])) for own in (one, two)]
    assert (names[0] == names[1]) == same


def test_refusals_come_before_the_greedy_stack_is_trained(compose: Composer, tmp_path: Path) -> None:
    """Labels of other classes, units that cannot be untied, layers with different rates of their own."""
    wrong: list[tuple[list[str], str]] = [
        (["stack.layers=[12,15]"], "bernoulli_with_label"),
        ([LAYERS.replace("[12", "[{n_hidden:12,hidden:spin}")], "hidden=spin"),
        ([LAYERS.replace("[12", "[{n_hidden:12,batch_size:50}")], "batch_size"),
        (["+stack.upper_layers.momentum=0.5"], "momentum"),
        (["stack.visible=binomial"], "visible=binomial"),
    ]
    for more, said in wrong:
        config: dict[str, Any] = compose("pretrain", [*UP_DOWN, *more])
        with pytest.raises(Exception, match=said):
            pretrain(config)
        assert not list(Path(config["paths"]["runs"]).rglob("dbn.safetensors"))
