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
from dbn.machine.optimizer import SGD
from dbn.models.units import Bernoulli, make_units
from dbn.pretraining import fit
from dbn.pretraining.contrastive import ContrastiveStep, RBMTraining
from dbn.random.device_noise import DeviceNoise
from dbn.random.streams import stream, stream_seed
from dbn.samplers import (
    ContrastiveDivergence,
    FastPersistentContrastiveDivergence,
    ParallelTempering,
    PersistentContrastiveDivergence,
    Sampler,
)
from helpers import Route
from reference_noise import normal, uniform

CASES: list[tuple[Callable[[], Sampler], str]] = [
    (ContrastiveDivergence, "float32"),
    (lambda: ContrastiveDivergence(2, sample_visible=True), "bf16"),
    (PersistentContrastiveDivergence, "float32"),
    (FastPersistentContrastiveDivergence, "bf16"),
    (lambda: ParallelTempering(temperatures=3), "float32"),
    (lambda: ParallelTempering(temperatures=3), "bf16"),
]


def images(n: int, device: torch.device) -> Images:
    """Random binary images of 12 pixels."""
    return Images.from_features(torch.rand(n, 12, generator=stream(0, "images")).round()).to(device)


def trained(kernels: Route, sampler: Sampler, **options: Any) -> RBM:
    """An RBM after two epochs of 60 images in minibatches of 10, which come in two blocks."""
    rbm = RBM(Bernoulli(12), Bernoulli(9), generator=stream(0, "init")).to(kernels.device)
    return fit(
        rbm, images(60, kernels.device), epochs=2, sampler=sampler, batch_size=10, initial_momentum_epochs=1,
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
        parameters = [parameter.data for parameter in self.module.parameters()]  # restored without a trace in torch
        buffers = [own["momentum_buffer"] for own in optimizer.state.values()]
        copies = [copy for copy in map(copy_of, self.module.parameters()) if copy is not None]
        return [*parameters, *buffers, *copies, *self.module.sampler.state_dict().values()]

    def warm_up(self, work: Callable[[], None]) -> bool:
        """See :class:`dbn.machine.cuda_graphs.Recorder`."""
        work()
        return False

    def record(self, work: Callable[[], None], generators: Sequence[torch.Generator]) -> Callable[[], None]:
        """See :class:`dbn.machine.cuda_graphs.Recorder`."""
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


@pytest.mark.parametrize(("make_sampler", "precision"), CASES)
def test_recorded_steps_are_those_launched_one_by_one(
    make_sampler: Callable[[], Sampler], precision: str, kernels: Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same bits; on a GPU, see ``test_cuda_graphs.py``, by CUDA graphs."""
    monkeypatch.setattr("dbn.data.block_loader.IMAGES_PER_BLOCK", {kernels.device.type: 30})
    monkeypatch.setattr("dbn.fitting.block_module.recorder_for", lambda device: None)
    on_train_start = RBMTraining.on_train_start
    recorders = []

    def recorded(self: RBMTraining) -> None:
        on_train_start(self)
        recorders.append(Recorder(self))
        self.graphs = BlockGraphs(recorders[-1])

    expected = trained(kernels, make_sampler(), precision=precision)
    monkeypatch.setattr(RBMTraining, "on_train_start", recorded)
    found = trained(kernels, make_sampler(), precision=precision)
    assert [recorder.replays for recorder in recorders] == [2]  # of each momentum the second block of its epoch
    for one, other in zip(found.parameters(), expected.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(("make_sampler", "precision"), CASES)
def test_members_train_as_they_would_alone(precision: str, make_sampler: Callable[[], Sampler], kernels: Route) -> None:
    """Each with the noise of its own seed: weights of three steps agree within the rounding of products."""
    rbms = [RBM(Bernoulli(12), Bernoulli(9), generator=stream(seed, "init")) for seed in range(3)]
    data = torch.rand(3, 3, 10, 12, generator=stream(0, "images")).to(kernels.device)
    group, sampler = RBM.group(rbms).to(kernels.device), make_sampler()
    optimizer = torch.optim.SGD(group.parameters(), lr=0.1)
    step, noise = ContrastiveStep(group, sampler, precision), kernels.noise(0, 1, 2)
    for k in range(3):
        step(data[:, k], optimizer, noise)
    for seed, rbm in enumerate(rbms):
        rbm.to(kernels.device)
        optimizer = torch.optim.SGD(rbm.parameters(), lr=0.1)
        step, noise = ContrastiveStep(rbm, make_sampler(), precision), kernels.noise(seed)
        for k in range(3):
            step(data[seed, k], optimizer, noise)
        member = group.members()[seed]
        for one, other in zip(member.parameters(), rbm.parameters(), strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-5 if precision == "float32" else 5e-3)


def test_kernels_draw_the_noise_of_a_fit_and_blocks_have_noise_of_their_own(
    kernels: Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dbn.data.block_loader.IMAGES_PER_BLOCK", {kernels.device.type: 30})
    begin_block, seeds = RBMTraining.begin_block, []

    def watched(self: RBMTraining, block: Block) -> Block:
        found = begin_block(self, block)
        assert isinstance(self.generator, DeviceNoise)
        assert self.generator.calls == 0
        seeds.append(int(self.generator.seeds))
        return found

    monkeypatch.setattr(RBMTraining, "begin_block", watched)
    trained(kernels, ContrastiveDivergence())
    assert len(set(seeds)) == len(seeds) == 4


@pytest.mark.parametrize(("visible", "hidden"), [("bernoulli", "bernoulli"), ("gaussian", "relu")])
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_steps_are_those_of_the_formulas(visible: str, hidden: str, precision: str, kernels: Route) -> None:
    """Three steps of CD-1 with momentum and weight cost, written out, with the noise of the reference."""
    seed, sigmoid, bits = stream_seed(0, "route"), torch.sigmoid, (lambda x: x.bfloat16().double())
    rounded = bits if precision == "bf16" else (lambda x: x)
    rbm = RBM(make_units(visible, 12), make_units(hidden, 9), generator=stream(0, "init"))
    W, b, c = rbm.weight.detach().double(), torch.zeros(9).double(), torch.zeros(12).double()
    dW, db, dc = torch.zeros_like(W), torch.zeros_like(b), torch.zeros_like(c)
    data = torch.rand(3, 10, 12, generator=stream(0, "images"))
    rbm.to(kernels.device)
    groups = [{"params": rbm.weights(), "weight_decay": 0.1}, {"params": [rbm.visible.bias, rbm.hidden.bias]}]
    optimizer = SGD(groups, lr=0.2, momentum=0.5)
    step, noise = ContrastiveStep(rbm, ContrastiveDivergence(), precision), kernels.noise(0)

    def mean(kind: str, a: torch.Tensor) -> torch.Tensor:
        return {"bernoulli": sigmoid(a), "gaussian": a, "relu": a.relu()}[kind]

    for k, v in enumerate(data.double()):
        step(data[k].to(kernels.device), optimizer, noise)
        v0, W16 = rounded(v), rounded(W)
        a = v0 @ W16 + b
        if hidden == "bernoulli":
            h = (uniform(seed, k, 90).view(10, 9) < sigmoid(a)).double()
        else:
            h = (a + normal(seed, k, 90).view(10, 9) * sigmoid(a).sqrt()).relu()
        v1 = rounded(mean(visible, rounded(h) @ W16.T + c))
        means = [mean(hidden, x @ W16 + b) for x in (v0, v1)]
        dW = 0.5 * dW + (v1.T @ means[1] - v0.T @ means[0]) / 10 + 0.1 * W
        db = 0.5 * db + (means[1] - means[0]).mean(0)
        dc = 0.5 * dc + (v1 - v0).mean(0)
        W, b, c = W - 0.2 * dW, b - 0.2 * db, c - 0.2 * dc
    tolerance = 1e-5 if precision == "float32" else 2e-2
    for found, expected in ((rbm.weight, W), (rbm.hidden.bias, b), (rbm.visible.bias, c)):
        torch.testing.assert_close(found.detach().cpu().double(), expected, rtol=0, atol=tolerance)


def test_units_of_one_s_own_are_not_computed_by_kernels(kernels: Route) -> None:
    """Nor do they get noise that only kernels draw quickly; a subclass of a built-in type is one's own."""

    class Rounded(Bernoulli):
        """Overrides what a kernel would not call."""

        def mean(self, field: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
            return super().mean(field, out).round_()

    rbm = RBM(Rounded(12), make_units("bernoulli", 9)).to(kernels.device)
    assert ContrastiveStep(rbm, ContrastiveDivergence()).rbm is rbm
    fit(rbm, images(20, kernels.device), epochs=1, batch_size=10)
