"""Dropout of hidden units while an RBM trains: each image has an RBM without the units that are left out."""

from pathlib import Path
from typing import Any

import pytest
import torch

from dbn import RBM
from dbn.data import DataSet, digits, load_data
from dbn.errors import SettingError
from dbn.models.connections import Convolution
from dbn.models.units import Bernoulli, MaxPooled, PerMap, Softmax
from dbn.pretraining import LayerSettings, RBMPretraining, pretrain_stack
from dbn.pretraining.contrastive import ContrastiveStep
from dbn.pretraining.hidden_dropout import HiddenDropout
from dbn.random.streams import stream, streams
from dbn.samplers import ContrastiveDivergence, PersistentContrastiveDivergence
from helpers import make_rbm, stop_at


@pytest.fixture(scope="module")
def data() -> DataSet:
    return load_data(digits())


@pytest.mark.parametrize("hidden", ["bernoulli", "gaussian", "gaussian_with_variance", "relu"])
def test_a_step_is_one_of_the_rbms_of_the_units_that_are_kept(hidden: str) -> None:
    """For each image the gradient, by autograd, of the free energies of an RBM without the others; means of these."""
    rbm = make_rbm("bernoulli", hidden)
    v = torch.rand(12, 5, generator=stream(0, "images"), dtype=torch.float64).round()
    dropout = HiddenDropout(0.5)
    step = ContrastiveStep(rbm, ContrastiveDivergence(), dropout=dropout)
    step(v, torch.optim.SGD(rbm.parameters(), lr=0.0), stream(0, "gibbs"))
    assert dropout.mask is not None
    kept = dropout.mask[0].bool()
    assert 0 < kept.sum() < kept.numel()
    phases = step.phases_of(12)
    found = {name: own.grad.clone() for name, own in rbm.named_parameters() if own.grad is not None}

    h, data, reconstructed = (own.clone() for own in (phases.positive.h, phases.positive.v, phases.negative.v))
    assert bool((h[~kept] == 0).all())
    torch.testing.assert_close(reconstructed, rbm.mean_visible(h).detach())
    if hidden == "bernoulli":
        assert bool((h[kept] == 1).any())
    rbm.zero_grad()
    losses = []
    for states, sign in ((data, 1), (reconstructed, -1)):
        for state, own in zip(states, kept, strict=True):
            few = type(rbm.hidden)(int(own.sum())) if own.any() else None
            energy = rbm.visible.energy(state[None])
            if few is not None:
                parts = {name: value[own] for name, value in rbm.hidden.named_parameters()}
                for name in parts:
                    del few._parameters[name]
                    setattr(few, name, parts[name])
                energy = energy - few.double().log_partition((state @ rbm.weight)[own][None])
            losses.append(sign * energy.sum() / 12)
    torch.stack(losses).sum().backward()
    for name, parameter in rbm.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, rtol=0, atol=1e-10, msg=name)


def test_units_are_left_out_at_the_rate_of_each_seed_s_own_noise() -> None:
    """Within four standard errors; a member's masks are those that it has alone."""
    dropout, v = HiddenDropout(0.3), torch.zeros(2, 400, 5)
    dropout.draw(v, 50, streams([0, 1], "gibbs"))
    assert dropout.mask is not None
    together = dropout.mask.clone()
    rate = float((together[0] == 0).float().mean())
    assert rate == pytest.approx(0.3, abs=4 * (0.3 * 0.7 / 40_000) ** 0.5)
    assert torch.equal(together[0], together[1])
    assert not torch.equal(together[0, 0], together[0, 1])
    dropout.draw(v[1], 50, stream(1, "gibbs"))
    assert torch.equal(dropout.mask[0], together[0, 1])


def test_filters_train_without_some_of_their_units() -> None:
    connection = Convolution((1, 4, 4), 3, 3, padding=1, maps_first=True)
    connection.initialise(0.5, torch.Generator().manual_seed(2))
    rbm = RBM(Bernoulli((1, 4, 4)), PerMap((4, 4, 3)), connection).double()
    dropout, v = HiddenDropout(0.5), torch.rand(6, 16, generator=stream(0, "images"), dtype=torch.float64).round()
    step = ContrastiveStep(rbm, ContrastiveDivergence(), dropout=dropout)
    step(v, torch.optim.SGD(rbm.parameters(), lr=0.0), stream(0, "gibbs"))
    assert dropout.mask is not None
    phases, positions = step.phases_of(6), 16
    means = [
        dropout.mask[0] * rbm.mean_hidden(own).detach()
        for own in (phases.positive.v.clone(), phases.negative.v.clone())
    ]
    expected = (means[1] - means[0]).view(6 * positions, 3).sum(0) / 6 / positions
    torch.testing.assert_close(rbm.hidden.bias.grad, expected, rtol=0, atol=1e-12)


def test_it_goes_on_bit_for_bit_and_with_all_else(
    data: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers = [LayerSettings(n_hidden=12, epochs=2, batch_size=100, dropout_hidden=0.4, gradient="centered", max_norm=3)]
    options: dict[str, Any] = {"checkpoint_seconds": 0, "progress": False}
    whole = pretrain_stack(data, layers, progress=False)
    with monkeypatch.context() as patch:
        stop_at(patch, 1, epoch=1)
        with pytest.raises(KeyboardInterrupt):
            pretrain_stack(data, layers, directory=tmp_path, **options)
    resumed = pretrain_stack(data, layers, directory=tmp_path, **options)
    for own, other in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(own, other)
    free = pretrain_stack(data, [LayerSettings(n_hidden=12, epochs=2, batch_size=100)], progress=False)
    assert not torch.equal(free[0].weight, whole[0].weight)


def test_what_does_not_go_with_it_is_refused_before_anything_is_trained(data: DataSet) -> None:
    layers = [LayerSettings(n_hidden=4), LayerSettings(n_hidden=4, dropout_hidden=0.5)]
    with pytest.raises(SettingError, match=r"dropout_hidden=0\.5: the chains of Persistent.*sampler=cd"):
        pretrain_stack(data, layers, method=RBMPretraining(PersistentContrastiveDivergence), progress=False)
    shape = (1, 4, 4)
    for rbm in (
        RBM(Bernoulli(shape), MaxPooled((4, 4, 2)), Convolution(shape, 2, 3, padding=1, maps_first=True)),
        RBM(Bernoulli(5), Softmax(4)),
    ):
        with pytest.raises(SettingError, match="cannot be left out one by one"):
            ContrastiveStep(rbm, ContrastiveDivergence(), dropout=HiddenDropout(0.5))
