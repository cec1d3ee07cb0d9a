"""The L1 penalty and the largest norm: against formulas and torch's own, in single models, groups and convolutions."""

from typing import Any

import pytest
import torch

from dbn import RBM
from dbn.data import DataSet, digits, load_data
from dbn.errors import SettingError
from dbn.models.connections import Convolution
from dbn.models.units import Bernoulli, PerMap
from dbn.pretraining import LayerSettings, fit, pretrain_stack
from dbn.pretraining.contrastive import ContrastiveStep
from dbn.pretraining.weight_limits import WeightLimits
from dbn.random.streams import stream, streams
from dbn.samplers import ContrastiveDivergence
from helpers import make_rbm


@pytest.fixture(scope="module")
def data() -> DataSet:
    return load_data(digits())


def convolutional() -> RBM:
    connection = Convolution((1, 4, 4), 3, 3, padding=1, maps_first=True)
    connection.initialise(0.5, torch.Generator().manual_seed(2))
    return RBM(Bernoulli((1, 4, 4)), PerMap((4, 4, 3)), connection).double()


def step(rbm: RBM, limits: WeightLimits | None, learning_rate: float = 0.5) -> RBM:
    """The RBM after a step of CD-1, the same for all limits."""
    members = rbm.connection.members
    v = torch.rand(*members, 20, rbm.n_visible, generator=stream(0, "images"), dtype=torch.float64).round()
    noise = streams(range(*members), "gibbs") if members else stream(0, "gibbs")
    optimizer = torch.optim.SGD(rbm.parameters(), lr=learning_rate)
    ContrastiveStep(rbm, ContrastiveDivergence(), limits=limits)(v, optimizer, noise)
    return rbm


@pytest.mark.parametrize("make", [make_rbm, convolutional])
def test_the_penalty_is_the_derivative_of_the_sum_of_absolute_weights(make: Any) -> None:
    without, penalised = step(make(), None), step(make(), WeightLimits(l1_cost=0.3))
    weight = make().weight.detach().requires_grad_()
    (expected,) = torch.autograd.grad(0.3 * weight.abs().sum(), weight)
    assert without.weight.grad is not None
    assert penalised.weight.grad is not None
    torch.testing.assert_close(penalised.weight.grad - without.weight.grad, expected, rtol=0, atol=1e-12)
    for side in ("visible", "hidden"):
        assert torch.equal(getattr(penalised, side).bias, getattr(without, side).bias)


@pytest.mark.parametrize(("make", "dimension"), [(make_rbm, 1), (convolutional, 0)])
def test_weights_of_a_hidden_unit_are_scaled_back_to_the_largest_norm(make: Any, dimension: int) -> None:
    """As torch.renorm does, within its rounding; units below the norm keep their bits, and biases are left alone."""
    without = step(make(), None)
    norms = without.weight.detach().transpose(0, dimension).flatten(1).norm(dim=1)
    largest = float(norms.sort().values[1:3].mean())
    limited = step(make(), WeightLimits(max_norm=largest))
    expected = torch.renorm(without.weight.detach(), 2, dimension, largest)
    torch.testing.assert_close(limited.weight.detach(), expected, rtol=1e-6, atol=0)
    kept = norms <= largest
    assert 0 < kept.sum() < len(kept)
    pairs = [own.weight.detach().transpose(0, dimension)[kept] for own in (limited, without)]
    assert torch.equal(*pairs)
    assert torch.equal(limited.hidden.bias, without.hidden.bias)


@pytest.mark.parametrize("make", [make_rbm, convolutional])
def test_members_of_a_group_have_norms_of_their_own(make: Any) -> None:
    rbms = [make(), make()]
    with torch.no_grad():
        rbms[1].weight.mul_(0.01)
    limits = WeightLimits(l1_cost=0.02, max_norm=0.5)
    group = step(RBM.group(rbms), limits)
    for member, alone in zip(group.members(), rbms, strict=True):
        images = torch.rand(2, 20, alone.n_visible, generator=stream(0, "images"), dtype=torch.float64).round()
        number = rbms.index(alone)
        optimizer = torch.optim.SGD(alone.parameters(), lr=0.5)
        ContrastiveStep(alone, ContrastiveDivergence(), limits=limits)(
            images[number], optimizer, stream(number, "gibbs")
        )
        torch.testing.assert_close(member.weight, alone.weight.detach(), rtol=0, atol=1e-12)


def test_fits_end_with_small_and_with_sparse_weights(data: DataSet) -> None:
    common: dict[str, Any] = {"n_hidden": 30, "epochs": 4, "batch_size": 20, "weight_cost": 0.0}
    stacks = {
        name: pretrain_stack(data, [LayerSettings(**common, **own)], progress=False)
        for name, own in {"free": {}, "sparse": {"l1_cost": 1e-2}, "small": {"max_norm": 1.5}}.items()
    }
    weights = {name: stack[0].weight.detach() for name, stack in stacks.items()}
    norms = {name: weight.norm(dim=0) for name, weight in weights.items()}
    assert norms["free"].max() > 2
    assert norms["small"].max() < 1.5 * (1 + 1e-6)
    assert (weights["sparse"].abs() < 0.02).float().mean() > 2 * (weights["free"].abs() < 0.02).float().mean()


def test_what_cannot_be_used_is_named() -> None:
    for key, value in (("l1_cost", -1), ("max_norm", 0), ("max_norm", "small")):
        with pytest.raises(SettingError, match=key):
            LayerSettings(n_hidden=4, **{key: value})
    with pytest.raises(SettingError, match="max_norm"):
        fit(make_rbm().float(), torch.rand(20, 5), epochs=1, max_norm=-1)
