"""Directions and limits in fits: resumed, in groups of seeds, over processes, in bfloat16, with any optimiser."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from dbn import RBM
from dbn.data import DataSet, Images, digits, load_data
from dbn.data.block_loader import BlockLoader
from dbn.models.dbn import DBN
from dbn.models.units import Bernoulli
from dbn.pretraining import LayerSettings, RBMPretraining, StackRun, pretrain_stack, pretrain_stacks
from dbn.pretraining.contrastive import ContrastiveStep, RBMTraining
from dbn.pretraining.gradients import Centered, Gradient
from dbn.random.streams import stream, streams
from dbn.samplers import ContrastiveDivergence, PersistentContrastiveDivergence
from helpers import make_rbm, stop_at
from two_processes import NoiseOfTheImage, in_two_processes

DIRECTIONS: list[Any] = ["centered", {"kind": "centered", "offsets": "average", "rate": 0.1}, "enhanced"]
LIMITED: dict[str, Any] = {"l1_cost": 1e-3, "max_norm": 2.0, "final_learning_rate": 0.01}
SMALL: dict[str, Any] = {"epochs": 2, "batch_size": 20, "learning_rate": 0.05}


@pytest.fixture(scope="module")
def data() -> DataSet:
    return load_data(digits())


def distance(a: DBN, b: DBN) -> float:
    """Of two stacks' weights, relative to their norm."""
    pairs = [(x.weight.detach(), y.weight.detach()) for x, y in zip(a, b, strict=True)]
    return float(sum((x - y).norm() for x, y in pairs) / sum(y.norm() for _, y in pairs))


@pytest.mark.parametrize("n_together", [1, 2])
@pytest.mark.parametrize("gradient", DIRECTIONS[:2])
def test_an_interrupted_fit_goes_on_bit_for_bit(
    gradient: Any, n_together: int, data: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the offsets that it had, of single stacks and of groups; with Adam, whose state goes on as well."""
    layers = [LayerSettings(n_hidden=n, gradient=gradient, **LIMITED, **SMALL) for n in (16, 8)]
    options: dict[str, Any] = {
        "method": RBMPretraining(PersistentContrastiveDivergence), "optimizer": torch.optim.Adam,
        "checkpoint_seconds": 0, "progress": False,
    }  # fmt: skip

    def train(folder: str) -> list[DBN]:
        runs = [StackRun(seed, tmp_path / folder / str(seed)) for seed in range(n_together)]
        return [own.stack for own in pretrain_stacks(data, layers, runs, directory=tmp_path / folder, **options)]

    undisturbed = train("undisturbed")
    for layer in (1, 2):
        with monkeypatch.context() as patch:
            stop_at(patch, layer, epoch=1)
            with pytest.raises(KeyboardInterrupt):
                train("disturbed")
    for found, expected in zip(train("disturbed"), undisturbed, strict=True):
        for (name, value), (_, other) in zip(found.state_dict().items(), expected.state_dict().items(), strict=True):
            assert torch.equal(value, other), name


@pytest.mark.parametrize("gradient", DIRECTIONS)
def test_members_train_as_they_would_alone(gradient: Any) -> None:
    """Steps with the same noise, within rounding of float64."""
    settings = LayerSettings(n_hidden=4, gradient=gradient, **LIMITED)
    v = torch.rand(5, 2, 20, 6, generator=stream(0, "images"), dtype=torch.float64).round()

    def trained(rbm: RBM, batches: torch.Tensor, seeds: list[int]) -> RBM:
        sampler = ContrastiveDivergence(sample_visible=True)
        step = ContrastiveStep(rbm, sampler, gradient=settings.direction, limits=settings.weight_limits)
        optimizer = torch.optim.SGD(rbm.parameters(), lr=0.1, momentum=0.5)
        for number, batch in enumerate(batches):
            step(
                batch,
                optimizer,
                streams(seeds, "gibbs", number) if len(seeds) > 1 else stream(seeds[0], "gibbs", number),
            )
        return rbm

    rbms = [RBM(Bernoulli(6), Bernoulli(4), generator=stream(seed, "init")).double() for seed in range(2)]
    group = trained(RBM.group(rbms), v, [0, 1])
    for seed, (rbm, member) in enumerate(zip(rbms, group.members(), strict=True)):
        before = rbm.weight.detach().clone()
        trained(rbm, v[:, seed], [seed])
        assert (rbm.weight - before).abs().max() > 1e-3
        for (name, alone), (_, found) in zip(rbm.named_parameters(), member.named_parameters(), strict=True):
            torch.testing.assert_close(found, alone, rtol=0, atol=1e-12, msg=name)


def test_stacks_of_several_seeds_are_those_of_one(data: DataSet) -> None:
    """Within what a draw that rounding turns makes of a few epochs; other seeds are far away."""
    layers = [LayerSettings(n_hidden=n, gradient="centered", **LIMITED, **SMALL) for n in (16, 8)]
    both = pretrain_stacks(data, layers, [StackRun(0), StackRun(1)], progress=False)
    alone = [pretrain_stack(data, layers, seed=seed, progress=False) for seed in (0, 1)]
    for found, expected in zip(both, alone, strict=True):
        assert distance(found.stack, expected) < 0.02
    assert distance(alone[0], alone[1]) > 0.3


def train_some(rank: int, world: int, gradient: Any) -> list[torch.Tensor]:
    """Parameters and offsets after an epoch of steps on this process's share of the minibatches."""
    rbm = make_rbm()
    images = Images.from_features(torch.rand(103, 5, generator=stream(0, "images")))
    settings = LayerSettings(n_hidden=4, gradient=gradient, **LIMITED)
    module = RBMTraining(rbm, settings, NoiseOfTheImage())
    optimizer = module.configure_optimizers()
    direction = settings.direction
    step = ContrastiveStep(rbm, module.sampler, gradient=direction, limits=settings.weight_limits)
    for block in BlockLoader(images, batch_size=10, seed=0, rank=rank, world_size=world):
        for batch in block.minibatches():
            step(batch.features.double(), optimizer, None, batch.count)
    assert direction is not None
    return [*(own.detach() for own in rbm.parameters()), *direction.state_dict().values()]


def trained_by_one_of_two(rank: int) -> list[list[Any]]:
    return [[own.numpy() for own in train_some(rank, 2, gradient)] for gradient in DIRECTIONS]


def test_two_processes_given_the_same_noise_are_one_on_the_same_minibatches() -> None:
    """Their minibatches' means, too: each process has less than half of some."""
    first, second = in_two_processes(trained_by_one_of_two)
    for number, gradient in enumerate(DIRECTIONS):
        for alone, one, other in zip(train_some(0, 1, gradient), first[number], second[number], strict=True):
            assert (one == other).all()
            torch.testing.assert_close(alone, torch.from_numpy(one), rtol=0, atol=1e-12)


@pytest.mark.parametrize("gradient", DIRECTIONS)
@pytest.mark.parametrize("n_members", [1, 2])
def test_bfloat16_products_are_centered_in_float32(gradient: Any, n_members: int) -> None:
    """What a step with such products would have taken, and the offsets, give what it takes: to float32's rounding."""
    v = torch.rand(n_members, 50, 60, generator=stream(0, "images")).round()
    direction = LayerSettings(n_hidden=40, gradient=gradient).direction

    def gradients(direction: Gradient | None) -> list[torch.Tensor]:
        rbms = [RBM(Bernoulli(60), Bernoulli(40), generator=stream(seed, "init")) for seed in range(n_members)]
        rbm, batch = (rbms[0], v[0]) if n_members == 1 else (RBM.group(rbms), v)
        noise = stream(0, "gibbs") if n_members == 1 else streams(range(n_members), "gibbs")
        optimizer = torch.optim.SGD(rbm.parameters(), lr=0.0)
        ContrastiveStep(rbm, ContrastiveDivergence(), "bf16", gradient=direction)(batch, optimizer, noise)
        found = [own.grad for own in (rbm.weight, rbm.visible.bias, rbm.hidden.bias) if own.grad is not None]
        return [own.view(n_members, -1, own.shape[-1]) for own in found]

    W, b, c = gradients(None)
    found = gradients(direction)
    assert isinstance(direction, Centered)
    assert direction.visible is not None
    assert direction.hidden is not None
    mu, lam = (own.view(n_members, 1, -1) for own in (direction.visible, direction.hidden))
    dW = W - mu.mT @ c - b.mT @ lam
    for own, wanted in zip(found, (dW, b - lam @ dW.mT, c - mu @ dW), strict=True):
        torch.testing.assert_close(own, wanted, rtol=0, atol=1e-5)
    assert (dW - W).norm() > 0.1 * W.norm()


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, partial(torch.optim.RMSprop, alpha=0.9)])
def test_any_optimiser_gets_the_direction(optimizer: Any, data: DataSet) -> None:
    """The first step of these moves every parameter by the sign of its gradient, or not at all."""
    layers = [LayerSettings(n_hidden=8, gradient="centered", epochs=1, batch_size=2000, learning_rate=0.01)]
    stack = pretrain_stack(data, layers, optimizer=optimizer, progress=False)
    plain = pretrain_stack(data, [LayerSettings(n_hidden=8, epochs=1, batch_size=2000, learning_rate=0.01)],
                           optimizer=optimizer, progress=False)  # fmt: skip
    moved = [float((own[0].hidden.bias != 0).float().mean()) for own in (stack, plain)]
    assert moved == [1.0, 1.0]
    assert not torch.equal(stack[0].hidden.bias.sign(), plain[0].hidden.bias.sign())
