"""Two runs share a stack exactly when all that determines it is equal; files are known by what they hold."""

import json
import os
import shutil
import time
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from dbn.data import from_config
from dbn.data.content import content_of
from dbn.errors import DataError, RunConflictError
from dbn.pretraining.stack_run import pretrain_together, pretraining_config, pretraining_directory
from dbn.runs.identity import run_identity, with_content
from finetune.runs.network_run import finetune
from helpers import Composer

SMALL = ["stack.layers=[6,5]", "stack.every_layer.epochs=2", "stack.every_layer.batch_size=50"]

CHOICES: list[list[list[str]]] = [
    [["seed=0"], ["seed=1"]],
    [
        [],
        ["data=npz", "data.path=a.npz"],
        ["data=npz", "data.path=elsewhere/b.npz", "data.name=mine"],  # a copy
        ["data=npz", "data.path=other.npz"],
    ],
    [[], ["data.split_seed=1"], ["data.validation=100"], ["data.n_labelled=200"], ["data.representations=compute"]],
    [
        [],
        ["stack.every_layer.learning_rate=0.1"],  # the default
        ["stack.layers=[{n_hidden:6,learning_rate:0.1},5]"],
        ["stack.layers=[6,{n_hidden:5,learning_rate:0.05}]"],
        ["+stack.upper_layers.learning_rate=0.05"],
        ["stack.every_layer.learning_rate=0.05"],
    ],
    [
        [],
        ["stack.every_layer.momentum=0.8"],  # two epochs have the momentum of the first five
        ["stack.every_layer.initial_momentum=0.6"],
        ["stack.every_layer.initial_momentum_epochs=0"],
        ["stack.every_layer.initial_momentum_epochs=0", "stack.every_layer.initial_momentum=0.6"],
        ["stack.every_layer.bias_from_data=true"],
    ],
    [[], ["stack.every_layer.patience=1"], ["stack.every_layer.watch=free_energy_gap"]],  # two epochs cannot exhaust it
    [[], ["sampler=pcd"], ["sampler.steps=2"], ["sampler.sample_visible=true"]],
    [[], ["augment@stack.augment=affine"], ["stack.augment.elastic_sigma=9"]],
    [[], ["trainer=cpu"], ["trainer.devices=1", "progress=false"], ["checkpoint_seconds=3"], ["logger=csv"]],
    [[], ["+trainer.limit_train_batches=1.0"], ["arm=dbn_dropout"], ["training.epochs=7"], ["name=another"]],
]  # fmt: skip
"""Of each, one is drawn. Some are the same thing said in another way, or have nothing to do with a stack."""


def write_images(path: Path, seed: int) -> None:
    """500 images of 4 x 4 pixels."""
    path.parent.mkdir(exist_ok=True)
    images = np.random.default_rng(seed).random((500, 4, 4), dtype=np.float32)
    np.savez(path, images=images, labels=np.arange(500) % 5)


def test_configurations_share_a_stack_exactly_when_they_train_the_same_one(compose: Composer) -> None:
    """Of random configurations every stack is trained in a study of its own: names are equal where weights are.

    But for rounding, where representations are computed anew.
    """
    write_images(Path("a.npz"), 0)
    write_images(Path("other.npz"), 1)
    Path("elsewhere").mkdir()
    shutil.copy("a.npz", "elsewhere/b.npz")
    rng = np.random.default_rng(0)
    drawn = [[options[rng.integers(len(options))] for options in CHOICES] for _ in range(25)]
    base = [options[0] for options in CHOICES]
    for place, options in enumerate(CHOICES):  # and those that differ from the first choices in one place only
        drawn += [[*base[:place], option, *base[place + 1 :]] for option in options]
    trained = []
    for number, chosen in enumerate(drawn):
        words = [*SMALL, *(word for option in chosen for word in option), f"study=s{number}"]
        config = pretraining_config(with_content(compose("finetune", words)))
        pretrain_together([config])
        directory = pretraining_directory(config)
        weights = np.concatenate(
            [
                tensor.ravel()
                for name, tensor in sorted(load_file(directory / "dbn.safetensors").items())
                if name.startswith("layers.")
            ]
        )
        trained.append((directory.name, weights, words))
    n_same = 0
    for (name, weights, words), (other, other_weights, other_words) in combinations(trained, 2):
        comparable = weights.shape == other_weights.shape  # of as many units
        distance = np.linalg.norm(weights - other_weights) / np.linalg.norm(weights) if comparable else np.inf
        assert (name == other) == (distance < 1e-5), (
            distance,
            words,
            other_words,
        )  # rounding, in representations=compute
        n_same += name == other
    assert 30 < n_same < len(trained) * (len(trained) - 1) / 4


@pytest.mark.parametrize(
    "other", [["precision=bf16"], ["data.maximum=2"], ["data.standardise=true", "stack.visible=gaussian"]]
)
def test_what_else_determines_a_stack(other: list[str], compose: Composer) -> None:
    write_images(Path("a.npz"), 0)
    words = [*SMALL, "data=npz", "data.path=a.npz"]
    stacks = {
        pretraining_directory(pretraining_config(with_content(compose("finetune", [*words, *more]))))
        for more in ([], other)
    }
    assert len(stacks) == 2


def test_stacks_from_before_chains_had_a_number_are_found(compose: Composer) -> None:
    """Where none is given; a stack with one is another."""
    config = compose("finetune", ["arm=dbn", "sampler=pcd"])
    before, given = json.loads(json.dumps(config)), json.loads(json.dumps(config))
    for earlier, later in (
        (before["sampler"], given["sampler"]),
        (before["method"]["sampler"], given["method"]["sampler"]),
    ):
        del earlier["chains"]
        later["chains"] = 30
    directories = [pretraining_directory(pretraining_config(own)) for own in (config, before, given)]
    assert directories[0] == directories[1] != directories[2]
    assert run_identity(config) == run_identity(before) != run_identity(given)


def test_the_device_does_not_keep_a_run_from_being_found(compose: Composer) -> None:
    on_gpu = ["trainer=gpu", "+trainer.profiler=simple"]
    here, there = (compose("finetune", [*SMALL, *more]) for more in ([], on_gpu))
    assert run_identity(here) == run_identity(there)
    assert pretraining_directory(pretraining_config(here)) == pretraining_directory(pretraining_config(there))
    assert run_identity(here) != run_identity(compose("finetune", [*SMALL, "+trainer.limit_train_batches=1"]))


def test_a_file_is_known_by_its_content_not_by_its_place(tmp_path: Path) -> None:
    write_images(Path("a.npz"), 0)
    Path("there").mkdir()
    shutil.copy("a.npz", "there/b.npz")
    assert content_of("a.npz") == content_of("there/b.npz")
    before = content_of("a.npz")
    content = bytearray(Path("a.npz").read_bytes())
    status = Path("a.npz").stat()
    content[-1] ^= 1
    Path("a.npz").write_bytes(content)  # as long as it was
    os.utime("a.npz", ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert content_of("a.npz") != before
    assert content_of("nothing.npz") is None


def test_a_folder_is_known_by_names_and_contents_of_its_files() -> None:
    for root in ("one", "two"):
        for name, text in (("a/1.png", "x"), ("b/1.png", "y"), (".hidden", root), ("a/.DS_Store", root)):
            Path(root, name).parent.mkdir(parents=True, exist_ok=True)
            Path(root, name).write_text(text)
    assert content_of("one") == content_of("two")
    Path("two/b/1.png").rename("two/b/2.png")
    assert content_of("one") != content_of("two")
    Path("two/b/2.png").rename("two/a/2.png")
    Path("two/a/2.png").rename("two/b/1.png")
    assert content_of("one") == content_of("two")


def test_a_large_file_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    file = Path("images.npy")
    file.write_bytes(bytes(1000))
    long_ago = time.time() - 100
    os.utime(file, (long_ago, long_ago))
    read: list[Path] = []
    from dbn.data import content

    hashed = content._hash_of_file
    monkeypatch.setattr(content, "_hash_of_file", lambda path: [read.append(path), hashed(path)][1])
    first = content_of(file)
    assert [content_of(file), content_of(file.absolute())] == [first, first]
    assert len(read) == 1
    os.utime(file, (long_ago + 1, long_ago + 1))
    assert content_of(file) == first
    assert len(read) == 2
    file.write_bytes(bytes(1000))  # just now: it may be written again within one tick of the clock
    content_of(file)
    content_of(file)
    assert len(read) == 4


TINY = ["stack.layers=[8]", "stack.every_layer.epochs=1", "training.epochs=1", "data=npz", "data.path=mine.npz"]


def test_a_file_that_has_changed_is_another_data_set(compose: Composer) -> None:
    """Refused in the study that has results on the old images; both cures that the message names work."""
    write_images(Path("mine.npz"), 0)
    first = finetune(compose("finetune", [*TINY, "name=one"]))
    Path("mine.npz").rename("old.npz")
    write_images(Path("mine.npz"), 1)
    with pytest.raises(RunConflictError, match=r"data\.path=mine\.npz has changed.*study=\.\.\.") as refused:
        finetune(compose("finetune", [*TINY, "name=two"]))
    assert "finetune/one_seed0" in str(refused.value) or "pretrain/" in str(refused.value)
    second = finetune(compose("finetune", [*TINY, "name=two", "study=fresh"]))
    assert first["metrics"] != second["metrics"]
    Path("mine.npz").rename("new.npz")
    Path("old.npz").rename("mine.npz")
    finetune(compose("finetune", [*TINY, "name=three"]))
    renamed = finetune(compose("finetune", [*TINY, "data.path=new.npz", "name=two"]))
    assert renamed["metrics"] == second["metrics"]
    assert len(list(Path("runs/default/pretrain").iterdir())) == 2


def test_a_run_is_not_taken_for_one_on_other_images(compose: Composer) -> None:
    """Stopped before there was a result: the directory says which images it belongs to."""
    write_images(Path("mine.npz"), 0)
    result = finetune(compose("finetune", TINY))
    directory = Path("runs/default/finetune/dbn_seed0")
    (directory / "result.json").unlink()
    Path("runs/default/data.json").unlink()
    for stack in Path("runs/default/pretrain").iterdir():
        shutil.rmtree(stack)
    write_images(Path("mine.npz"), 1)
    with pytest.raises(RunConflictError, match=r"files that held something else.*data\.path=mine\.npz as it is now"):
        finetune(compose("finetune", TINY))
    write_images(Path("mine.npz"), 0)
    assert finetune(compose("finetune", TINY))["metrics"] == result["metrics"]


def test_the_same_images_in_another_folder_are_the_same_run(compose: Composer) -> None:
    write_images(Path("mine.npz"), 0)
    result = finetune(compose("finetune", TINY))
    Path("moved").mkdir()
    Path("mine.npz").rename("moved/mine.npz")
    again = finetune(compose("finetune", [*TINY, "data.path=moved/mine.npz"]))
    assert again == result


def test_a_file_that_changes_while_it_is_read_is_refused(compose: Composer, monkeypatch: pytest.MonkeyPatch) -> None:
    write_images(Path("mine.npz"), 0)

    load = from_config.load_splits

    def overwritten(*arguments: Any, **keywords: Any) -> Any:
        loaded = load(*arguments, **keywords)
        write_images(Path("mine.npz"), 1)
        return loaded

    monkeypatch.setattr(from_config, "load_splits", overwritten)
    with pytest.raises(DataError, match=r"data\.path=mine\.npz: it has changed while it was being read"):
        finetune(compose("finetune", TINY))


def test_a_stack_of_one_s_own_is_known_by_its_content(compose: Composer) -> None:
    write_images(Path("mine.npz"), 0)
    finetune(compose("finetune", TINY))
    (stack,) = Path("runs/default/pretrain").glob("*/dbn.safetensors")
    shutil.copy(stack, "own.safetensors")
    result = finetune(compose("finetune", [*TINY, "init.stack=own.safetensors", "name=own"]))
    assert json.loads(Path("runs/default/finetune/own_seed0/result.json").read_text())["config"]["init"]["content"]
    Path("own.safetensors").rename("renamed.safetensors")
    assert finetune(compose("finetune", [*TINY, "init.stack=renamed.safetensors", "name=own"])) == result
