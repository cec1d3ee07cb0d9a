"""Mistakes in what Hydra reads, and what is said to them; whatever a message advises works."""

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from dbn.commands.command import FULL_ERROR, run_command
from dbn.commands.configuration import resolve_config

Said = tuple[int, str, dict[str, Any] | None]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[str], Said]:
    """Status, what is said, and the configuration that would be run; nothing is."""

    def called(line: str) -> Said:
        monkeypatch.setenv(FULL_ERROR, "0")  # which the command sets, and the test takes back
        monkeypatch.setattr(sys, "argv", ["dbn-finetune", *shlex.split(line)])
        GlobalHydra.instance().clear()
        ran: list[DictConfig] = []
        status = 0
        try:
            run_command("finetune", ran.append)
        except SystemExit as left:
            status = int(left.code or 0)
        return status, capsys.readouterr().err, resolve_config(ran[-1]) if ran else None

    return called


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("stack.layers=[200,", ["stack.layers=[200,", "cannot be read"]),
        ('study="\'abc"', ["study='abc", "cannot be read"]),
        ("arm=", ["arm=: no such choice", "Choose from conv_dbn"]),
        ("=x", ["no key before the equals sign"]),
        ("foo", ["foo: this is no key=value"]),
        ("--mulitrun", ["--mulitrun"]),
        ("study='${nosuch}'", ["study=${nosuch}", "refers to nosuch"]),
        ("study='${nosuch:1}'", ["study=${nosuch:1}", "without a colon"]),
        ("~seed", ["seed: this setting is missing", "~seed"]),
        ("~nosuch", ["nosuch: no such setting"]),
        ("~training", ["~training", "refers to training"]),
        ("~optimizer", ["~optimizer: other choices depend"]),
        ("~task", ["task: this group is missing", "~task"]),
        ("~data.representations", ["data.representations: this setting is missing"]),
        ("+seed=1", ["+seed=1: this is there already", "Leave the + away"]),
        ("+optimizer=adam", ["+optimizer=adam", "Leave the + away"]),
        ("augment@stack.augment=nosuch", ["augment@stack.augment=nosuch: no such choice", "affine"]),
        ("augment@nosuch=none", ["augment@nosuch: no such setting"]),
        ("data=digits,mnist", ["data=digits,mnist", "add -m"]),
        ("optimizer=5", ["optimizer=5: no such choice", "adam, adamw, plain, sgd"]),
        ("arm=null", ["arm=null: no such choice"]),
        ("stack=a/b", ["stack=a/b: no such choice"]),
        ("-m 'seed=range(3,1)'", ["seed=range(3,1)", "nothing in this range"]),
        ("-m 'seed=choice()'", ["seed=choice()", "empty choice"]),
        ("hydra/launcher=nosuch", ["hydra/launcher=nosuch: no such choice", "slurm_1gpu"]),
        ("hydra.mode=nosuch", ["hydra.mode=nosuch"]),
        ("--config-dir nowhere", ["--config-dir", "nowhere", "not found"]),
        ("--config-name nosuch", ["nosuch"]),
        ("--resolve", ["--resolve"]),
        ("paths.runs=", ["paths.runs=''"]),
        ("study=", ["study=''"]),
        ("stack.layers=200", ["stack.layers=200", "stack.layers=[200]"]),
        ("stack.layers.x=1", ["stack.layers.x=1: stack.layers is a list", "stack.layers=[...]"]),
        ("stack.every_layer.n_hiden=3", ["stack.every_layer.n_hiden", "Did you mean stack.every_layer.hidden"]),
        ("stack.every_layer.steps=3", ["stack.every_layer.steps: no such setting", "sampler.steps"]),
        ("stack.layers=[{n_hidden:9,steps:3}]", ["stack.layers.steps: no such setting", "sampler.steps"]),
        ("stack.layers=[1000000000000]", ["stack.layers", "GiB", "Take fewer units"]),
        ("training.learning_rate=-1", ["training.learning_rate=-1", "a number from 0"]),
        ("arm.sgd_lr=0.1", ["arm.sgd_lr: no such setting. Use training.learning_rate"]),
        ("optimizer.lr=0.1", ["optimizer.lr: no such setting. Use training.learning_rate"]),
        ("+optimizer.lr=0.1", ["optimizer.lr: no such setting. Use training.learning_rate"]),
        ("+stack.optimizer.lr=0.1", ["stack.optimizer.lr: no such setting. Use stack.every_layer.learning_rate"]),
        ("schedule.factory._target_=torch.nosuch", ["schedule.factory._target_='torch.nosuch'"]),
        ("schedule.length=nosuch", ["schedule.length='nosuch'"]),
        ("optimizer._target_=torch.optim.LBFGS ~optimizer.nesterov", ["optimizer.momentum", "LBFGS"]),
        ("logger=wandb logger.wandb.mode=ofline", ["logger.wandb.mode='ofline'", "Did you mean offline"]),
        ("logger=wandb logger.wandb.project=a/b", ["logger.wandb.project='a/b'"]),
        (f"logger=wandb logger.wandb.tags=[{'a' * 65}]", ["logger.wandb.tags", "65 letters", "up to 64"]),
        ("progress=yes", ["progress='yes'", "true or false"]),
        ("trainer.devices=0", ["trainer.devices=0"]),
        ("training.epochs=1000000000000000000000000000000", ["training.epochs=1000000"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_mistake_gets_words_status_2_and_leaves_nothing(
    line: str, words: list[str], command: Callable[[str], Said]
) -> None:
    status, said, ran = command(line)
    assert status == 2, said
    assert ran is None
    assert "Traceback" not in said
    for word in words:
        assert word in said
    assert not list(Path().iterdir())


@pytest.mark.parametrize(
    ("line", "advice", "key", "value"),
    [
        ("stack.layers=200", "stack.layers=[200]", "stack.layers", [200]),
        ("study=a(b", '"study=\'a(b\'"', "study", "a(b"),
        ("+seed=3", "seed=3", "seed", 3),
        ("lr=0.5", "training.learning_rate=0.5", "training.learning_rate", 0.5),
        ("optimizer.dampening=0.1", "+optimizer.dampening=0.0", "optimizer.dampening", 0.0),
        ("data=npz", "data=npz data.path=mine.npz", "data.path", "mine.npz"),
        ("task.baselines=pca task=autoencoder", "task.baselines=[pca] task=autoencoder", "task.baselines", ["pca"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_a_message_advises_works(
    line: str, advice: str, key: str, value: Any, command: Callable[[str], Said]
) -> None:
    _, said, _ = command(line)
    status, said_then, config = command(advice)
    assert status == 0, said_then
    assert config is not None
    for part in key.split("."):
        config = config[part]
    assert config == value
    assert not said or any(word.split("=")[0].strip('"').lstrip("+") in said for word in advice.split()), said


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("study=2026", "study", "2026"),
        ("study=2026_01", "study", "2026_01"),
        ("study=1e3", "study", "1e3"),
        ("study=true", "study", "true"),
        ("name=007", "name", "007"),
        ("paths.runs=123", "paths.runs", "123"),
        ("data=npz data.path=2026", "data.path", "2026"),
        ("logger=wandb logger.wandb.tags=a logger.wandb.mode=offline", "logger.wandb.tags", "a"),
    ],
)
def test_text_that_looks_like_a_number_stays_as_it_was_written(
    line: str, key: str, value: str, command: Callable[[str], Said]
) -> None:
    status, said, config = command(line)
    assert status == 0, said
    assert config is not None
    for part in key.split("."):
        config = config[part]
    assert config == value


def test_texts_that_look_like_numbers_can_be_swept(
    command: Callable[[str], Said], capsys: pytest.CaptureFixture[str]
) -> None:
    status, said, config = command("-m study=01,02")
    assert status == 0, said
    assert config is not None
    assert config["study"] == "02"


def test_our_own_faults_are_not_taken_for_a_person_s(
    command: Callable[[str], Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(_: Any) -> None:
        raise AttributeError("ours")

    monkeypatch.setattr("finetune.runs.check_config.check_finetuning", faulty)
    with pytest.raises(BaseException, match="ours"):
        command("seed=0")
