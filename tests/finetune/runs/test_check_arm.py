"""An arm that an experiment would replace without a word."""

import sys
from pathlib import Path
from typing import Any

import pytest

from finetune import train


@pytest.fixture(autouse=True)
def _messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tracebacks, and nothing is trained: the command sets the variable for good."""
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    monkeypatch.setattr("finetune.runs.network_run.finetune_seeds", lambda *_: [])


def finetune(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["dbn-finetune", *arguments])
    train.main()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("experiment=mnist_classrbm", "arm=dbn"), "sets start=random_sigmoid, and the arm's own start=dbn would"),
        (("experiment=mnist_dbm", "arm=random_relu_augment"), "sets start=dbm, and the arm's own start=random_relu"),
        (("experiment=mnist_deformed_small", "arm=random_relu_augment"), "add augment=affine."),
    ],
)  # fmt: skip
def test_it_is_refused(
    arguments: tuple[str, ...], words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        finetune(monkeypatch, *arguments)
    said = capsys.readouterr().err
    assert said.startswith(arguments[1])
    assert words in said
    assert not Path("runs").exists()


def test_also_as_a_job_of_a_multirun(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        finetune(monkeypatch, "-m", "experiment=mnist_classrbm", "arm=dbn", "seed=0")
    assert "arm=dbn: experiment=mnist_classrbm" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (("experiment=mnist_classrbm", "arm=random_sigmoid"), "random_sigmoid"),  # the same start
        (("experiment=mnist_classrbm", "arm=dbn", "start=dbn"), "dbn"),  # what the message advises
        (("experiment=mnist_classrbm", "start=dbn"), "dbn"),
        (("experiment=mnist_deformed_small",), "random_relu"),  # the experiment's own arm
        (("experiment=mnist_2006", "arm=dbn_dropout"), "dbn"),
    ],
)
def test_what_is_clear_is_taken(arguments: tuple[str, ...], start: str, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[Any] = []
    monkeypatch.setattr("finetune.runs.network_run.finetune_seeds", lambda config, *_: trained.append(config) or [])
    finetune(monkeypatch, *arguments)
    assert [config["arm"]["start"] for config in trained] == [start]
