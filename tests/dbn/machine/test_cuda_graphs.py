"""A block's steps replayed from a recording are the steps."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
import torch

from dbn import RBM
from dbn.data import DataSet
from dbn.data.blocks import Minibatch
from dbn.machine.cuda_graphs import BlockGraphs
from dbn.pretraining import LayerSettings, RBMPretraining, StackRun, pretrain_stacks
from dbn.pretraining.contrastive import RBMTraining
from dbn.samplers import ContrastiveDivergence

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
LAYERS = [
    LayerSettings(n_hidden=60, epochs=4, batch_size=20, initial_momentum_epochs=2),
    LayerSettings(n_hidden=30, hidden="gaussian", epochs=4, batch_size=20, learning_rate=0.001),
]


class Recorder:
    """Stands for the GPU: does recorded work by doing it, in memory that must not move."""

    def __init__(self) -> None:
        self.recordings = 0
        self.replays = 0

    def __call__(self, work: Callable[[], None], generators: Sequence[torch.Generator]) -> Callable[[], None]:
        assert generators
        self.recordings += 1

        def replay() -> None:
            self.replays += 1
            work()

        return replay


def pretrained(data: DataSet, n_seeds: int, **options: Any) -> list[RBM]:
    """Every RBM of stacks of two layers."""
    method = RBMPretraining(partial(ContrastiveDivergence, steps=2))
    runs = [StackRun(seed) for seed in range(n_seeds)]
    found = pretrain_stacks(data, LAYERS, runs, method=method, progress=False, **options)
    return [rbm for own in found for rbm in own.stack]


def assert_equal(found: list[RBM], expected: list[RBM]) -> None:
    """Bit by bit."""
    for rbm, other in zip(found, expected, strict=True):
        for (name, parameter), (_, same) in zip(rbm.named_parameters(), other.named_parameters(), strict=True):
            assert torch.equal(parameter, same), name


@pytest.mark.parametrize("n_seeds", [1, 2])
def test_recorded_blocks_are_those_taken_step_by_step(
    n_seeds: int, digits_data: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same bits: momentum that changes between epochs, last blocks that are shorter, layers, members."""
    monkeypatch.setattr("dbn.data.block_loader.IMAGES_PER_BLOCK", {"cpu": 200})
    expected = pretrained(digits_data, n_seeds)
    recorder, on_fit_start = Recorder(), RBMTraining.on_fit_start

    def recording(self: RBMTraining) -> None:
        on_fit_start(self)
        self.graphs = BlockGraphs(recorder)

    monkeypatch.setattr(RBMTraining, "on_fit_start", recording)
    assert_equal(pretrained(digits_data, n_seeds), expected)
    # 1149 images make 5 blocks of 10 minibatches and one of 8. Per layer: two kinds of block, with two momenta in the
    # first layer and one in the second (5 epochs of initial momentum); the very first block of a layer is not recorded.
    assert recorder.recordings == 4 + 2
    assert recorder.replays == 2 * (4 * 6 - 1)


@pytest.mark.parametrize("n_seeds", [1, 2])
def test_steps_of_recorded_blocks_see_features_and_labels(
    n_seeds: int, digits_data: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each replayed step sees the images of its own block, and their own labels."""
    monkeypatch.setattr("dbn.data.block_loader.IMAGES_PER_BLOCK", {"cpu": 200})
    on_fit_start, take_step = RBMTraining.on_fit_start, RBMTraining.minibatch_step
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def watched(self: RBMTraining, batch: Minibatch, optimizer: Any) -> None:
        assert batch.labels is not None
        seen.append((batch.features.sum(-1), batch.labels.clone()))
        take_step(self, batch, optimizer)

    def recording(self: RBMTraining) -> None:
        on_fit_start(self)
        self.graphs = BlockGraphs(Recorder())

    monkeypatch.setattr(RBMTraining, "minibatch_step", watched)
    pretrained(digits_data, n_seeds)
    one_by_one = seen.copy()
    seen.clear()
    monkeypatch.setattr(RBMTraining, "on_fit_start", recording)
    pretrained(digits_data, n_seeds)
    assert len(seen) == len(one_by_one) > 100
    for (features, labels), (expected, expected_labels) in zip(seen, one_by_one, strict=True):
        assert torch.equal(features, expected)
        assert torch.equal(labels, expected_labels)


@needs_cuda
@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("n_seeds", [1, 3])
def test_on_a_gpu_recorded_blocks_are_those_launched_one_by_one(
    precision: str, n_seeds: int, digits_data: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dbn.data.block_loader.IMAGES_PER_BLOCK", {"cpu": 200, "cuda": 200})
    options = {"trainer_options": {"accelerator": "gpu", "devices": 1}, "precision": precision}
    recorded = pretrained(digits_data, n_seeds, **options)
    monkeypatch.setattr(RBMTraining, "on_fit_start", without_graphs(RBMTraining.on_fit_start))
    assert_equal(recorded, pretrained(digits_data, n_seeds, **options))


def without_graphs(on_fit_start: Callable[[RBMTraining], None]) -> Callable[[RBMTraining], None]:
    """The hook, then no recordings."""

    def hook(self: RBMTraining) -> None:
        on_fit_start(self)
        self.graphs = None

    return hook


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
