"""Lower layers' representations in memory, computed, and on disk: the same stack; bounded, resumed, cleared away."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dbn import DBN, RBM
from dbn.data import DataSet, Images, StreamedImages, load_data, memmap
from dbn.data.block_loader import BlockLoader
from dbn.errors import DataError, SettingError
from dbn.pretraining import LayerSettings, pretrain_stack
from dbn.pretraining.representations import PropagatedImages, on_disk, propagate
from dbn.pretraining.stack_run import pretrain
from finetune.runs import network_run
from finetune.runs.network_run import finetune
from helpers import Composer

LAYERS = [LayerSettings(n_hidden=n, epochs=2, batch_size=20, bias_from_data=True) for n in (30, 20, 10)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, digits_data: DataSet) -> Path:
    """The embedded digits' training images as .npy files, test images apart."""
    path = tmp_path_factory.mktemp("digits")
    for prefix, images in (("", digits_data.train), ("test_", digits_data.test)):
        assert images.labels is not None
        np.save(path / f"{prefix}images.npy", images.pixels.reshape(-1, 8, 8).numpy())
        np.save(path / f"{prefix}labels.npy", images.labels.numpy().astype(np.uint8))
    return path


def streamed(folder: Path, window: float = 64) -> DataSet:
    return load_data(memmap(folder, 16, window), validation=100)


def same(first: DBN, second: DBN) -> bool:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(one, other) for one, other in pairs)


def trained(data: DataSet, **options: Any) -> DBN:
    return pretrain_stack(data, LAYERS, progress=False, **options)


def difference(first: DBN, second: DBN) -> float:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return max(float((one - other).abs().max()) for one, other in pairs)


ROUNDING = 0.02
"""Rounding may turn a comparison with noise, and so a state of a hidden unit, over: a step of 0.1 / 20 and its wake."""


def test_all_ways_give_the_same_stack_where_the_order_is_the_same(folder: Path, tmp_path: Path) -> None:
    """In one window. Memory and disk: bit for bit. Computed in blocks instead of all at once: but for rounding."""
    data = streamed(folder)
    in_memory = replace(data, train=data.train.take(torch.arange(len(data.train))))
    expected = trained(in_memory)
    for source, images in (("file", data), ("memory", in_memory)):
        for kind in ("memory", "disk"):
            assert same(trained(images, representations=kind, directory=tmp_path / source / kind), expected), kind
        assert difference(trained(images, representations="compute"), expected) < ROUNDING


def test_computed_and_on_disk_give_the_same_stack_in_many_windows(folder: Path, tmp_path: Path) -> None:
    data = streamed(folder, window=0.02)
    assert isinstance(data.train, StreamedImages)
    assert data.train.layout.with_room_for(4 * 30).window < 200
    computed = trained(data, representations="compute")
    assert difference(computed, trained(data, representations="disk", directory=tmp_path)) < ROUNDING
    assert difference(computed, trained(streamed(folder), representations="compute")) > 5 * ROUNDING  # another order


def test_raised_images_are_the_images_a_layer_up(folder: Path) -> None:
    images = streamed(folder, window=0.02).train
    rbm = trained_one(images)
    raised, expected = PropagatedImages(images, rbm), propagate(rbm, images)
    assert len(raised) == len(expected)
    index = torch.tensor([5, 900, 3])
    torch.testing.assert_close(raised.features(index), expected.features(index))
    torch.testing.assert_close(raised.take(index).features(), expected.features(index))
    torch.testing.assert_close(torch.cat(list(raised.chunks())), expected.features())
    torch.testing.assert_close(raised.sample(50), rbm.mean_hidden(images.sample(50)))
    options: dict[str, Any] = {"batch_size": 50, "seed": 4}
    order = raised.order(BlockLoader(raised, **options).generator())
    assert torch.equal(order, images.order(BlockLoader(images, **options).generator()))
    found = torch.cat([block.features for block in BlockLoader(raised.to("cpu"), **options)])
    torch.testing.assert_close(found, expected.features(order))
    labels = torch.cat([block.labels for block in BlockLoader(raised, **options) if block.labels is not None])
    assert images.labels is not None
    assert torch.equal(labels, images.labels[order])


def trained_one(images: Images) -> RBM:
    from dbn.models.units import Bernoulli
    from dbn.pretraining import fit

    return fit(RBM(Bernoulli(64), Bernoulli(7)), images, epochs=1).requires_grad_(False)


def test_on_disk_is_written_once_and_deleted_at_the_end(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stop in layer 3, go on: what is on disk is not written again, and the stack is that of no interruption."""
    from dbn.pretraining import greedy

    expected = trained(streamed(folder), representations="disk", directory=tmp_path / "undisturbed")
    assert not list(tmp_path.rglob("*.npy"))
    train_layer = greedy.train_layer

    def failing(*arguments: Any, number: int, **options: Any) -> float:
        if number == 3:
            raise KeyboardInterrupt
        return train_layer(*arguments, number=number, **options)

    monkeypatch.setattr(greedy, "train_layer", failing)
    with pytest.raises(KeyboardInterrupt):
        trained(streamed(folder), representations="disk", directory=tmp_path)
    files = sorted((tmp_path / "checkpoints").glob("*.npy"))
    assert [file.name for file in files] == ["representations1.npy", "representations2.npy"]
    assert np.load(files[0]).shape == (1049, 30)
    monkeypatch.setattr(greedy, "train_layer", train_layer)
    monkeypatch.setattr("dbn.pretraining.representations._write", lambda *_: pytest.fail("written again"))
    assert same(trained(streamed(folder), representations="disk", directory=tmp_path), expected)
    assert not list(tmp_path.rglob("*.npy"))
    np.save(files[0], np.zeros(3))  # as if killed between the last layer and deleting
    assert same(trained(streamed(folder), representations="disk", directory=tmp_path), expected)
    assert not list(tmp_path.rglob("*.npy"))


def test_a_file_is_whole_or_not_there(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = streamed(folder).train
    raised = PropagatedImages(images, trained_one(images))
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(DataError, match=r"one\.npy cannot be written.*No space left.*GiB.*representations=compute"):
        on_disk(raised, tmp_path / "one.npy")
    assert not list(tmp_path.iterdir())
    np.save(tmp_path / "other.npy", np.zeros((3, 7), np.float32))
    with pytest.raises(DataError, match=r"other\.npy holds float32 of shape \(3, 7\), not float32 of \(1049, 7\)"):
        on_disk(raised, tmp_path / "other.npy")


def test_settings_that_cannot_be_used(folder: Path) -> None:
    with pytest.raises(SettingError, match=r"data\.representations='cached'.*compute, disk, memory"):
        trained(streamed(folder), representations="cached")
    with pytest.raises(SettingError, match=r"data\.representations=disk needs the run's directory"):
        trained(streamed(folder), representations="disk")


SMALL = ["stack.layers=[12,8]", "stack.every_layer.epochs=3", "checkpoint_seconds=0"]


@pytest.mark.parametrize("kind", ["compute", "disk", "memory"])
def test_the_command_pretrains_and_resumes(
    kind: str, folder: Path, compose: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = [f"data.path={folder}", "data.maximum=16", "data.validation=100", "data.window=0.02"]
    settings = ["data=memmap", *data, f"data.representations={kind}", *SMALL]
    done = pretrain(compose("pretrain", [*settings, "study=undisturbed"]))
    assert done["metrics"]["layer2/reconstruction_error"] > 0
    from dbn.pretraining.contrastive import RBMTraining

    at_end = RBMTraining.on_train_epoch_end

    def failing(self: RBMTraining) -> None:
        if self.number == 2 and self.current_epoch == 1:
            raise KeyboardInterrupt
        at_end(self)

    monkeypatch.setattr(RBMTraining, "on_train_epoch_end", failing)
    config = compose("pretrain", [*settings, "study=disturbed"])
    with pytest.raises(BaseException):  # noqa: B017, PT011  # Lightning ends an interrupted fit by leaving the process
        pretrain(config)
    monkeypatch.setattr(RBMTraining, "on_train_epoch_end", at_end)
    pretrain(config)
    stacks = sorted(Path("runs").rglob("dbn.safetensors"))
    assert len(stacks) == 2
    assert same(*map(DBN.load, stacks))
    assert not list(Path("runs").rglob("*.npy"))


@pytest.mark.parametrize("n_labelled", ["100", "null"])
def test_fine_tuning_holds_the_labelled_images_only_or_streams(
    n_labelled: str, folder: Path, compose: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:

    kinds = []
    fit_networks = network_run.fit_networks

    def watched(networks: Any, data: list[DataSet], *arguments: Any) -> Any:
        kinds.append((type(data[0].train), len(data[0].train)))
        return fit_networks(networks, data, *arguments)

    monkeypatch.setattr(network_run, "fit_networks", watched)
    data = [f"data.path={folder}", "data.maximum=16", "data.validation=100", "data.window=0.02"]
    result = finetune(
        compose("finetune", ["data=memmap", *data, f"data.n_labelled={n_labelled}", "training.epochs=5", *SMALL])
    )
    assert kinds == [(Images, 100)] if n_labelled == "100" else kinds == [(StreamedImages, 1049)]
    assert result["metrics"]["train/nll"] < 2.4  # ln 10 is 2.3
    assert result["metrics"].keys() >= {"train/error", "validation/error", "test/error"}
    with pytest.raises(SettingError, match=r"data\.n_labelled=2000 is too many for data=memmap.*1049"):
        finetune(compose("finetune", ["data=memmap", *data, "data.n_labelled=2000", "study=other"]))


def test_baselines_that_need_all_images_in_memory_are_refused(folder: Path, compose: Composer) -> None:
    data = ["data=memmap", f"data.path={folder}", "data.maximum=16", "data.validation=100"]
    with pytest.raises(SettingError, match=r"task\.baselines=.*Use task\.baselines=\[\]"):
        finetune(compose("finetune", [*data, "task=autoencoder"]))
