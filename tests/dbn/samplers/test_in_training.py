"""Every sampler in fits: groups of seeds, resuming, recorded steps."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from dbn import RBM
from dbn.data import DataSet, block_loader
from dbn.data.blocks import Block
from dbn.errors import SettingError
from dbn.fitting import block_module
from dbn.models.connections import Convolution
from dbn.models.units import Bernoulli, make_units
from dbn.pretraining import LayerSettings, RBMPretraining, StackRun, pretrain_stacks
from dbn.pretraining.contrastive import ContrastiveStep, RBMTraining
from dbn.pretraining.stack_run import pretrain_seeds, pretraining_directory
from dbn.random.streams import streams
from dbn.samplers import (
    ContrastiveDivergence,
    FastPersistentContrastiveDivergence,
    HiddenChains,
    ParallelTempering,
    PersistentContrastiveDivergence,
    Sampler,
    TrajectoryTempering,
)
from helpers import Composer, Route
from recorded import CpuGraphs

SAMPLERS: dict[str, Callable[[], Sampler]] = {
    "pcd": partial(PersistentContrastiveDivergence, 2),
    "hidden chains": partial(HiddenChains, 2),
    "fpcd": FastPersistentContrastiveDivergence,
    "pt": partial(ParallelTempering, temperatures=3),
}


def dense(seed: int) -> RBM:
    return RBM(Bernoulli(64), Bernoulli(9), weight_std=0.2, generator=torch.Generator().manual_seed(seed)).double()


def convolutional(seed: int) -> RBM:
    connection = Convolution((1, 8, 8), 4, 3, padding=1, maps_first=True)
    above = make_units(connection.units_of_hidden("bernoulli", 2), connection.hidden_shape)
    connection.initialise(0.2, torch.Generator().manual_seed(seed))
    return RBM(make_units("bernoulli", (1, 8, 8)), above, connection).double()


def trained(rbm: RBM, sampler: Sampler, v: torch.Tensor, seeds: list[int]) -> list[Any]:
    """Two epochs of four steps; returns the metrics."""
    step, optimizer = ContrastiveStep(rbm, sampler), torch.optim.SGD(rbm.parameters(), lr=0.1, momentum=0.5)
    metrics: list[Any] = []
    for epoch in range(2):
        for number in range(4):
            step(v, optimizer, streams(seeds, "gibbs", epoch, number))
        metrics += sampler.end_epoch(rbm)
    return metrics


@pytest.mark.parametrize("make", [dense, convolutional])
@pytest.mark.parametrize("name", SAMPLERS)
def test_members_of_a_group_have_the_chains_that_they_would_have_alone(name: str, make: Callable[[int], RBM]) -> None:
    """In float64, where no draw lies within rounding of its probability; ladders and metrics are their own, too."""
    v = torch.rand(3, 10, 64, dtype=torch.float64).round()
    group = RBM.group([make(seed) for seed in range(3)])
    metrics = trained(group, SAMPLERS[name](), v, [0, 1, 2])
    for seed, member in enumerate(group.members()):
        alone = make(seed)
        own = trained(alone, SAMPLERS[name](), v[seed], [seed])
        for (part, expected), (_, found) in zip(alone.named_parameters(), member.named_parameters(), strict=True):
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-12, msg=part)
        assert metrics[seed::3] == [pytest.approx(row) for row in own]


def test_seeds_that_train_together_have_no_chains_of_a_number_of_their_own() -> None:
    group = RBM.group([dense(seed) for seed in range(2)])
    with pytest.raises(SettingError, match=r"sampler.chains=7.*n_parallel_seeds=1"):
        trained(group, PersistentContrastiveDivergence(chains=7), torch.rand(2, 10, 64, dtype=torch.float64), [0, 1])


@pytest.mark.parametrize(
    "sampler",
    [
        PersistentContrastiveDivergence,
        partial(ParallelTempering, temperatures=2),
        partial(TrajectoryTempering, models=2),
    ],
)
@pytest.mark.parametrize("chains", [3, 25])
def test_every_minibatch_moves_and_counts_a_given_number_of_chains(chains: int, sampler: Any, route: Route) -> None:
    """The gradient: a mean over the images, and one over all chains, by autograd of their free energies."""
    rbm, own = dense(0).float().to(route.device), sampler(chains=chains)
    step, optimizer = ContrastiveStep(rbm, own), torch.optim.SGD(rbm.parameters(), lr=0.0)
    for number, n in enumerate((10, 6)):
        v = torch.rand(n, 64, device=route.device).round()
        before = None if own.chains is None else own.chains.clone()
        step(v, optimizer, route.noise(number))
        assert own.chains.shape == (chains, 64)
        assert before is None or bool((own.chains != before).any(1).all())
        written = [parameter.grad.clone() for parameter in rbm.parameters()]
        loss = rbm.free_energy(v).mean() - rbm.free_energy(own.chains.clone()).mean()
        for gradient, found in zip(torch.autograd.grad(loss, list(rbm.parameters())), written, strict=True):
            torch.testing.assert_close(found, gradient, rtol=0, atol=1e-5)


class StoppedError(Exception):
    """A crash."""


INTERRUPTED = {
    "schedule": ["sampler=pcd", "sampler.steps={0:1,1:3,2:2}"],
    "schedule of cd": ["sampler=cd", "sampler.steps={0:1,1:3,2:2}"],
    "chains": ["sampler=pcd", "sampler.chains=13"],
    "fpcd": ["sampler=fpcd", "sampler.fast_learning_rate=0.2"],
    "fpcd together": ["sampler=fpcd", "n_parallel_seeds=2"],
    "pt": ["sampler=pt", "sampler.temperatures=4", "sampler.chains=9"],
    "ptt": ["sampler=ptt", "sampler.models=3", "sampler.chains=9"],
    "pt together": ["sampler=pt", "sampler.temperatures=3", "n_parallel_seeds=2"],
}


@pytest.mark.parametrize("name", INTERRUPTED)
def test_interrupted_within_an_epoch_it_ends_with_the_same_bits(
    name: str, compose: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped at the third block of the second epoch, and again at the first block of the third."""
    monkeypatch.setitem(block_loader.IMAGES_PER_BLOCK, "cpu", 300)
    small = ["stack.layers=[12]", "stack.every_layer.epochs=3", "stack.every_layer.batch_size=20", *INTERRUPTED[name]]
    config = compose("pretrain", [*small, "checkpoint_seconds=1e-9", "study=disturbed"])
    begin = RBMTraining.begin_block
    for moment in ((1, 2), (2, 0)):

        def crash(self: RBMTraining, block: Block, moment: tuple[int, int] = moment) -> Block:
            if (self.current_epoch, block.number) == moment:
                raise StoppedError
            return begin(self, block)

        with monkeypatch.context() as patch:
            patch.setattr(RBMTraining, "begin_block", crash)
            with pytest.raises(StoppedError):
                pretrain_seeds(config)
    disturbed = pretrain_seeds(config)
    undisturbed = pretrain_seeds(compose("pretrain", [*small, "study=undisturbed"]))
    for found, expected in zip(disturbed, undisturbed, strict=True):
        for file in ("dbn.safetensors", "metrics.csv"):
            one, other = (Path(pretraining_directory(own["config"]) / file) for own in (found, expected))
            assert one.read_bytes() == other.read_bytes(), file


def test_a_checkpoint_of_other_temperatures_is_refused() -> None:
    sampler = ParallelTempering(temperatures=3)
    trained(dense(0), sampler, torch.rand(10, 64, dtype=torch.float64), [0])
    state = sampler.state_dict()
    with pytest.raises(SettingError, match=r"sampler.temperatures=4.*sampler.temperatures=3"):
        ParallelTempering(temperatures=4).load_state_dict(state, torch.device("cpu"))


RECORDED: dict[str, Callable[[], Sampler]] = {
    "schedule of cd": partial(ContrastiveDivergence, {0: 1, 2: 3}),
    "schedule of pcd": partial(PersistentContrastiveDivergence, {0: 2, 1: 1}),
    "fpcd": FastPersistentContrastiveDivergence,
    "pt": partial(ParallelTempering, temperatures=3),
    "ptt": partial(TrajectoryTempering, models=3),
}
TOGETHER = [name for name in RECORDED if name != "ptt"]
"""Those that train several seeds together."""


@pytest.mark.parametrize(
    ("name", "n_seeds"), [(name, n) for name in RECORDED for n in (1, 2) if (name, n) != ("ptt", 2)]
)
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_recorded_steps_are_those_taken_one_by_one(
    precision: str, name: str, n_seeds: int, digits_data: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same bits, from recordings as of a GPU, in which the host may not wait for the device."""
    monkeypatch.setattr("dbn.data.block_loader.IMAGES_PER_BLOCK", {"cpu": 200})
    layers = [LayerSettings(n_hidden=30, epochs=3, batch_size=20, initial_momentum_epochs=2)]
    runs = [StackRun(seed) for seed in range(n_seeds)]

    def weights() -> list[torch.Tensor]:
        found = pretrain_stacks(
            digits_data, layers, runs, method=RBMPretraining(RECORDED[name]), precision=precision, progress=False
        )
        return [parameter for own in found for parameter in own.stack.parameters()]

    expected, recorder = weights(), CpuGraphs()
    monkeypatch.setattr(block_module, "recorder_for", lambda device: recorder)
    found = weights()
    assert recorder.replays > 10
    for own, other in zip(found, expected, strict=True):
        assert torch.equal(own, other)
