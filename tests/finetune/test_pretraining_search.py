"""The search for settings of pretraining, through the command: small stacks, all trained for real."""

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dbn import DBN, pretrain
from dbn.data.from_config import data_of
from dbn.likelihood import pseudo_log_likelihood
from dbn.pretraining import stack_run
from dbn.pretraining.stack_run import pretraining_config, pretraining_directory
from dbn.runs.identity import with_content
from finetune import train
from finetune.runs.search_space import draw
from helpers import Composer

SMALL = ["stack.layers=[9]", "n_parallel_seeds=1", "hydra.sweeper.n_settings=3", "progress=false"]
RATE, EPOCHS = "stack.every_layer.learning_rate:{low:0.0001,high:0.2}", "stack.every_layer.epochs:{low:2,high:4}"
SPACE = f"hydra.sweeper.space={{{RATE},{EPOCHS}}}"
SEED = 1000


@pytest.fixture(autouse=True)
def _messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tracebacks: the command sets the variable for good."""
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")


def tune(monkeypatch: pytest.MonkeyPatch, *more: str) -> dict[str, Any]:
    """Run the command; returns what it has chosen."""
    monkeypatch.setattr(sys, "argv", ["dbn-pretrain", "sweep=tune_pretraining", *SMALL, SPACE, *more])
    pretrain.main()
    chosen: dict[str, Any] = json.loads(Path("runs/tune_pretraining/chosen_pretraining.json").read_text())
    return chosen


def overrides() -> list[str]:
    """What a shell makes of ``$(cat chosen_pretraining.txt)``."""
    return shlex.split(Path("runs/tune_pretraining/chosen_pretraining.txt").read_text())


def refusal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    with pytest.raises(SystemExit) as left:
        tune(monkeypatch, *more)
    assert left.value.code == 2
    return capsys.readouterr().err


def test_the_best_by_a_logistic_regression_is_chosen_and_can_be_taken(
    monkeypatch: pytest.MonkeyPatch, compose: Composer, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = tune(monkeypatch)
    assert "to use it: dbn-pretrain $(cat" in capsys.readouterr().out
    expected = []
    for trial in chosen["trials"]:
        words = [f"{key}={value}" for key, value in trial["settings"].items()]
        config = compose("pretrain", [*SMALL[:1], "study=tune_pretraining", f"seed={SEED}", *words])
        stack, data = DBN.load(pretraining_directory(config)), data_of(config)
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200))
        features = [stack.up(images.features()).numpy() for images in (data.train, data.validation)]
        model.fit(features[0], data.train.labels)
        expected.append(1 - model.score(features[1], data.validation.labels))
        assert trial["values"] == [pytest.approx(expected[-1], abs=2 / len(features[1]))]  # two images of 288
    assert chosen["proxy"] == "validation_error"
    assert chosen["seeds"] == [SEED]
    assert chosen["validation_error"] == min(trial["values"][0] for trial in chosen["trials"])
    assert chosen["settings"] == chosen["trials"][chosen["trial"]]["settings"]
    assert max(expected) - min(expected) > 0.05, "or there was little to choose"
    for command in ("pretrain", "finetune"):
        config = compose(command, [*SMALL[:1], "study=tune_pretraining", f"seed={SEED}", *overrides()])
        assert (pretraining_directory(pretraining_config(config)) / "dbn.safetensors").is_file()


def test_a_search_that_is_called_again_trains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    first = tune(monkeypatch)
    monkeypatch.setattr(stack_run, "pretrain_stacks", None)
    assert tune(monkeypatch) == first


def test_without_labels_the_pseudo_likelihood_of_the_first_layer_decides(
    monkeypatch: pytest.MonkeyPatch, compose: Composer
) -> None:
    images = (np.random.default_rng(0).random((300, 1, 4)) < [[0.1, 0.3, 0.7, 0.9]]).repeat(3, 1).astype(np.uint8)
    np.savez("mine.npz", images=images)
    data = ["data=npz", "data.path=mine.npz", "data.validation=0.3", "data.test=0"]
    chosen = tune(monkeypatch, *data, "stack.layers=[9,4]")
    assert chosen["proxy"] == "validation_pseudo_likelihood"
    values = []
    for trial in chosen["trials"]:
        words = [f"{key}={value}" for key, value in trial["settings"].items()]
        config = compose("pretrain", [*data, "stack.layers=[9,4]", "study=tune_pretraining", f"seed={SEED}", *words])
        config = with_content(config)
        v = data_of(config).validation.features()
        each = pseudo_log_likelihood(DBN.load(pretraining_directory(config))[0], v)
        error = float(each.std()) * v.shape[1] ** 0.5 / len(v) ** 0.5  # of single terms, at most
        assert trial["values"][0] == pytest.approx(float(each.mean()), abs=4 * error)
        values.append(trial["values"][0])
    assert chosen["validation_pseudo_likelihood"] == max(values)


def test_labels_are_as_many_as_fine_tuning_will_have(monkeypatch: pytest.MonkeyPatch) -> None:
    few = tune(monkeypatch, "data.n_labelled=20")
    assert few["n_labelled"] == 20
    many = tune(monkeypatch)
    settings = [draw_of(20), draw_of(None)]
    assert [trial["settings"] for trial in few["trials"]] == settings[0]
    assert (
        min(trial["values"][0] for trial in few["trials"]) > min(trial["values"][0] for trial in many["trials"]) + 0.1
    )


def draw_of(n_labelled: int | None) -> list[dict[str, Any]]:
    space = {
        "stack.every_layer.learning_rate": {"low": 0.0001, "high": 0.2, "log": True},
        "stack.every_layer.epochs": {"low": 2, "high": 4, "log": True, "whole": True},
        "stack.every_layer.weight_cost": {"choices": [0.00002, 0.0002, 0.002]},
        "sampler.steps": {"choices": [1, 3]},
    }
    labels = "all" if n_labelled is None else str(n_labelled)
    return [draw(space, number, arm="pretraining", labels=labels) for number in range(3)]


def test_a_trial_that_fails_is_worst(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Real-valued units diverge at rates above some."""
    rates = "hydra.sweeper.space={stack.every_layer.learning_rate:{low:0.000001,high:1000000}}"
    more = ["stack.visible=gaussian", "data.standardise=true", "stack.every_layer.hidden=relu"]
    chosen = tune(monkeypatch, rates, *more)
    failed = [trial for trial in chosen["trials"] if not trial["values"]]
    assert 0 < len(failed) < 3
    assert chosen["trials"][chosen["trial"]]["values"]
    assert "failed. Layer 1 diverged in epoch 1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["data.validation=0"], "has no validation images, by which a search chooses"),
        (["seed=0,1"], "2 values of a setting"),
        (["hydra.sweeper.n_settings=0"], "hydra.sweeper.n_settings=0"),
        (["sampler.steps=2"], "sampler.steps: it is searched (hydra.sweeper.space), and given a value"),
    ],
)
def test_what_is_refused(
    more: list[str], words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert words in refusal(monkeypatch, capsys, *more)
    assert not list(Path("runs").rglob("result.json"))


def test_it_is_not_for_fine_tuning(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["dbn-finetune", "sweep=tune_pretraining", "stack.layers=[9]"])
    with pytest.raises(SystemExit):
        train.main()
    assert "Call dbn-pretrain" in capsys.readouterr().err
