"""Contrastive divergence by kernels, through the public path: recorded steps, groups, precision, what is learned."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from dbn import RBM
from dbn.data.blocks import Block
from dbn.data.images import Images
from dbn.machine.cuda_graphs import BlockGraphs
from dbn.machine.kernels.copies import copy_of
from dbn.models.units import Bernoulli, make_units
from dbn.pretraining import fit
from dbn.pretraining.contrastive import ContrastiveStep, RBMTraining
from dbn.random.device_noise import DeviceNoise
from dbn.random.streams import stream
from dbn.samplers import ContrastiveDivergence, PersistentContrastiveDivergence, Sampler
from helpers import Route
from own.spin import Spin

SAMPLERS: list[Callable[[], Sampler]] = [
    ContrastiveDivergence,
    lambda: ContrastiveDivergence(2, sample_visible=True),
    PersistentContrastiveDivergence,
]


def images(n: int, device: torch.device) -> Images:
    """Random binary images of 12 pixels, whose halves are equal."""
    half = torch.rand(n, 6, generator=stream(0, "images")).round()
    return Images.from_features(torch.cat([half, half], 1)).to(device)


def trained(kernels: Route, sampler: Sampler, **options: Any) -> RBM:
    """An RBM after three epochs of 75 images in minibatches of 10, in blocks of up to 4."""
    rbm = RBM(Bernoulli(12), Bernoulli(9), generator=stream(0, "init")).to(kernels.device)
    return fit(
        rbm, images(75, kernels.device), epochs=3, sampler=sampler, batch_size=10, initial_momentum_epochs=1,
        learning_rate=0.1, **options,
    )  # fmt: skip


class Recorder:
    """Stands for a CUDA graph: recording changes no memory, and a replay runs no Python that others could see."""

    def __init__(self, module: RBMTraining) -> None:
        self.module = module
        self.replays = 0

    def memory(self) -> list[torch.Tensor]:
        """What a step changes for the next one."""
        optimizer = self.module.lightning_optimizer().optimizer
        parameters = [parameter.detach() for parameter in self.module.parameters()]
        buffers = [own["momentum_buffer"] for own in optimizer.state.values()]
        copies = [copy for copy in map(copy_of, self.module.parameters()) if copy is not None]
        return [*parameters, *buffers, *copies, *self.module.sampler.state_dict().values()]

    def __call__(self, work: Callable[[], None], generators: Sequence[torch.Generator]) -> Callable[[], None]:
        assert not generators, "kernels draw the noise"
        assert self.module.graphs is not None
        noise = self.module.graphs.noise
        assert noise is not None
        first, before = noise.calls, [tensor.clone() for tensor in self.memory()]
        work()
        for tensor, value in zip(self.memory(), before, strict=True):
            tensor.copy_(value)

        def replay() -> None:
            self.replays += 1
            calls, noise.calls = noise.calls, first
            work()
            noise.calls = calls

        return replay


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("make_sampler", SAMPLERS)
def test_recorded_steps_are_those_launched_one_by_one(
    make_sampler: Callable[[], Sampler], precision: str, kernels: Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same bits; on a GPU, see ``test_cuda_graphs.py``, by CUDA graphs."""
    monkeypatch.setattr("dbn.data.block_loader.IMAGES_PER_BLOCK", {kernels.device.type: 40})
    on_fit_start = RBMTraining.on_fit_start
    recorders = []

    def launched(self: RBMTraining) -> None:
        on_fit_start(self)
        self.graphs = None

    def recorded(self: RBMTraining) -> None:
        on_fit_start(self)
        recorders.append(Recorder(self))
        self.graphs = BlockGraphs(recorders[-1])

    monkeypatch.setattr(RBMTraining, "on_fit_start", launched)
    expected = trained(kernels, make_sampler(), precision=precision)
    monkeypatch.setattr(RBMTraining, "on_fit_start", recorded)
    found = trained(kernels, make_sampler(), precision=precision)
    assert [recorder.replays for recorder in recorders] == [5]  # two blocks in each of three epochs but the first
    for one, other in zip(found.parameters(), expected.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("make_sampler", SAMPLERS)
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_members_train_as_they_would_alone(precision: str, make_sampler: Callable[[], Sampler], kernels: Route) -> None:
    """Each with the noise of its own seed: weights of ten steps agree within the rounding of products."""
    rbms = [RBM(Bernoulli(12), Bernoulli(9), generator=stream(seed, "init")) for seed in range(3)]
    data = torch.rand(3, 10, 10, 12, generator=stream(0, "images")).to(kernels.device)
    group, sampler = RBM.group(rbms).to(kernels.device), make_sampler()
    optimizer = torch.optim.SGD(group.parameters(), lr=0.1)
    step, noise = ContrastiveStep(group, sampler, precision), kernels.noise(0, 1, 2)
    for k in range(10):
        step(data[:, k], optimizer, noise)
    for seed, rbm in enumerate(rbms):
        rbm.to(kernels.device)
        optimizer = torch.optim.SGD(rbm.parameters(), lr=0.1)
        step, noise = ContrastiveStep(rbm, make_sampler(), precision), kernels.noise(seed)
        for k in range(10):
            step(data[seed, k], optimizer, noise)
        member = group.members()[seed]
        for one, other in zip(member.parameters(), rbm.parameters(), strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-5 if precision == "float32" else 5e-3)


def test_kernels_draw_the_noise_of_a_fit_and_blocks_have_noise_of_their_own(
    kernels: Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dbn.data.block_loader.IMAGES_PER_BLOCK", {kernels.device.type: 40})
    begin_block, seeds = RBMTraining.begin_block, []

    def watched(self: RBMTraining, block: Block) -> Block:
        found = begin_block(self, block)
        assert isinstance(self.generator, DeviceNoise)
        assert self.generator.calls == 0
        seeds.append(int(self.generator.seeds))
        return found

    monkeypatch.setattr(RBMTraining, "begin_block", watched)
    trained(kernels, ContrastiveDivergence())
    assert len(set(seeds)) == len(seeds) == 6


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_kernels_learn_what_plain_torch_learns(precision: str, kernels: Route, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mean reconstruction errors of six seeds by either agree within four standard errors, and both have learned."""
    data = images(75, kernels.device)
    v, errors = data.features(), torch.zeros(2, 6)
    for row, devices in zip(errors, ((), (kernels.device.type,)), strict=True):
        monkeypatch.setattr("dbn.machine.kernels.DEVICES", devices)
        for seed in range(6):
            rbm = RBM(Bernoulli(12), Bernoulli(9), generator=stream(seed, "init")).to(kernels.device)
            fit(rbm, data, epochs=20, learning_rate=0.2, batch_size=15, seed=seed, precision=precision)
            with torch.no_grad():
                row[seed] = (rbm.mean_visible(rbm.mean_hidden(v)) - v).square().sum(1).mean()
    assert (errors[0] != errors[1]).all()
    assert errors.mean(1).max() < 2  # of 3, which independent pixels would give
    assert errors.mean(1).diff().abs() < 4 * (errors.var(1) / 6).sum().sqrt()


def test_units_of_one_s_own_are_not_computed_by_kernels(kernels: Route) -> None:
    """Nor do they get noise that only kernels can draw: the same bits with kernels as without."""

    class Rounded(Bernoulli):
        """Overrides what a kernel would not call."""

        def mean(self, field: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
            return super().mean(field, out).round_()

    for own in (Spin(12), Rounded(12)):
        rbm = RBM(own, make_units("bernoulli", 9)).to(kernels.device)
        assert ContrastiveStep(rbm, ContrastiveDivergence()).rbm is rbm
        fit(rbm, images(75, kernels.device).features() * 2 - 1 if isinstance(own, Spin) else images(75, kernels.device))
