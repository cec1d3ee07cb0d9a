"""A block's steps replayed from a recording are the steps."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from dbn import RBM
from dbn.data import DataSet, Images
from dbn.data.block_loader import BlockLoader
from dbn.data.blocks import Minibatch
from dbn.fitting import block_module
from dbn.machine.cuda_graphs import BlockGraphs
from dbn.pretraining import LayerSettings, RBMPretraining, StackRun, pretrain_stacks
from dbn.pretraining.contrastive import RBMTraining
from dbn.samplers import ContrastiveDivergence, PersistentContrastiveDivergence, Sampler
from recorded import CpuGraphs

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
LAYERS = [
    LayerSettings(n_hidden=60, epochs=4, batch_size=20, initial_momentum_epochs=2),
    LayerSettings(n_hidden=30, hidden="gaussian", epochs=4, batch_size=20, learning_rate=0.001),
]


def pretrained(
    data: DataSet, n_seeds: int, sampler: type[Sampler] = ContrastiveDivergence, **options: Any
) -> list[RBM]:
    """Every RBM of stacks of two layers."""
    method = RBMPretraining(partial(sampler, steps=2))
    runs = [StackRun(seed) for seed in range(n_seeds)]
    found = pretrain_stacks(data, LAYERS, runs, method=method, progress=False, **options)
    return [rbm for own in found for rbm in own.stack]


def assert_equal(found: list[RBM], expected: list[RBM]) -> None:
    """Bit by bit."""
    for rbm, other in zip(found, expected, strict=True):
        for (name, parameter), (_, same) in zip(rbm.named_parameters(), other.named_parameters(), strict=True):
            assert torch.equal(parameter, same), name


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("sampler", [ContrastiveDivergence, PersistentContrastiveDivergence])
@pytest.mark.parametrize("n_seeds", [1, 2])
def test_recorded_blocks_are_those_taken_step_by_step(
    n_seeds: int, sampler: type[Sampler], precision: str, digits_data: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same bits: momentum that changes between epochs, last blocks that are shorter, layers, members."""
    monkeypatch.setattr("dbn.data.block_loader.IMAGES_PER_BLOCK", {"cpu": 200})
    expected = pretrained(digits_data, n_seeds, sampler, precision=precision)
    recorder = CpuGraphs()
    monkeypatch.setattr(block_module, "recorder_for", lambda device: recorder)
    assert_equal(pretrained(digits_data, n_seeds, sampler, precision=precision), expected)
    # 1149 images make 5 blocks of 10 minibatches and one of 8. Per layer: two kinds of block, with two momenta in the
    # first layer and one in the second (5 epochs of initial momentum); the first block with each is not recorded.
    assert recorder.recordings == 4 + 2
    assert recorder.replays == 4 * 6 - 2 + 4 * 6 - 1


@pytest.mark.parametrize("at_once", [1, 10_000])
def test_every_step_of_every_block_has_its_own_images(
    at_once: int, digits_data: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the images of one or a few minibatches are decoded at a time, into the same buffer."""
    monkeypatch.setattr("dbn.data.block_loader.IMAGES_PER_BLOCK", {"cpu": 200})
    expected = pretrained(digits_data, 1)
    monkeypatch.setattr("dbn.data.blocks.FEATURES_AT_ONCE", {"cpu": at_once})
    monkeypatch.setattr(block_module, "recorder_for", lambda device: CpuGraphs())
    assert_equal(pretrained(digits_data, 1), expected)


@pytest.mark.parametrize("n_seeds", [1, 2])
def test_steps_of_recorded_blocks_see_features_and_labels(
    n_seeds: int, digits_data: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each replayed step sees the images of its own block, and their own labels."""
    monkeypatch.setattr("dbn.data.block_loader.IMAGES_PER_BLOCK", {"cpu": 200})
    take_step = RBMTraining.minibatch_step
    found: list[Tensor] = []

    def watched(self: RBMTraining, batch: Minibatch, optimizer: Any) -> None:
        """Add up, on the device, what tells one order of images, and of labels, from another."""
        assert batch.labels is not None
        if not found or found[-1].shape != (*batch.features.shape[:-2], 2):
            found.append(torch.zeros(*batch.features.shape[:-2], 2))
        pixels = batch.features.square().mean((-1, -2))
        labels = (batch.labels * batch.features.sum(-1)).mean(-1)
        found[-1].mul_(1.01).add_(torch.stack([pixels, labels], -1))
        take_step(self, batch, optimizer)

    monkeypatch.setattr(RBMTraining, "minibatch_step", watched)
    pretrained(digits_data, n_seeds)
    expected = found.copy()
    found.clear()
    monkeypatch.setattr(block_module, "recorder_for", lambda device: CpuGraphs())
    pretrained(digits_data, n_seeds)
    assert len(found) == len(expected) == 1
    assert torch.equal(found[0], expected[0])


def test_images_are_kept_as_they_are_stored() -> None:
    """A recording reads bytes and decodes them itself."""
    pixels = torch.randint(256, (60, 5), dtype=torch.uint8)
    images = Images(pixels, None, torch.tensor(3.0), torch.tensor(1 / 255))
    graphs = BlockGraphs(CpuGraphs())
    block = next(iter(BlockLoader(images, batch_size=20)))
    fixed = graphs.in_fixed_memory(block)
    assert graphs.images is not None
    assert graphs.images.dtype == torch.uint8
    found = torch.cat([batch.features.clone() for batch in fixed.minibatches()])
    assert torch.equal(found, images.features())


@needs_cuda
@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("n_seeds", [1, 3])
def test_on_a_gpu_recorded_blocks_are_those_launched_one_by_one(
    precision: str, n_seeds: int, digits_data: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dbn.data.block_loader.IMAGES_PER_BLOCK", {"cpu": 200, "cuda": 200})
    options = {"trainer_options": {"accelerator": "gpu", "devices": 1}, "precision": precision}
    recorded = pretrained(digits_data, n_seeds, **options)
    monkeypatch.setattr(block_module, "recorder_for", lambda device: None)
    assert_equal(recorded, pretrained(digits_data, n_seeds, **options))


@needs_cuda
def test_a_gpu_learns_what_a_processor_learns(digits_data: DataSet) -> None:
    """Its noise is its own, so free energies agree within what another seed makes of them."""

    def free_energies(options: dict[str, Any]) -> torch.Tensor:
        rbms = pretrained(digits_data, 5, trainer_options=options)[::2]
        v = digits_data.test.features()
        return torch.stack([rbm.free_energy(v).mean().detach() for rbm in rbms])

    gpu, cpu = free_energies({"accelerator": "gpu", "devices": 1}), free_energies({"accelerator": "cpu"})
    error = ((gpu.var() + cpu.var()) / 5).sqrt()
    assert (gpu.mean() - cpu.mean()).abs() < 4 * error
