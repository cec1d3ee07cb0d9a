"""The training step and the module round it."""

import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from dbn import RBM
from dbn.data import Images
from dbn.data.block_loader import BlockLoader
from dbn.errors import DivergenceError, SettingError
from dbn.models.phases import Phases
from dbn.models.units import Bernoulli, Gaussian
from dbn.pretraining import LayerSettings, fit
from dbn.pretraining.contrastive import ContrastiveStep, RBMTraining
from dbn.pretraining.rbm_metrics import rbm_metrics
from dbn.random.streams import stream
from dbn.samplers import ContrastiveDivergence, Sampler
from helpers import make_rbm
from two_processes import NoiseOfTheImage, in_two_processes


def test_one_step_is_the_textbook_s() -> None:
    """CD-1 with momentum and weight cost, written out: Hinton & Salakhutdinov's update, two steps of it."""
    rbm = make_rbm(n_visible=6, n_hidden=4)
    W, b, c = rbm.weight.detach().clone(), rbm.hidden.bias.detach().clone(), rbm.visible.bias.detach().clone()
    module = RBMTraining(rbm, LayerSettings(n_hidden=4, learning_rate=0.05, weight_cost=0.01), ContrastiveDivergence())
    optimizer = module.configure_optimizers()
    for group in optimizer.param_groups:
        group["momentum"] = 0.7
    dW, db, dc = torch.zeros_like(W), torch.zeros_like(b), torch.zeros_like(c)
    v = torch.rand(10, 6, dtype=torch.float64)
    for step in range(2):
        noise = torch.rand(10, 4, generator=stream(1, "gibbs", step), dtype=torch.float64)
        h = torch.sigmoid(v @ W + b)
        v1 = torch.sigmoid((noise < h).double() @ W.T + c)
        h1 = torch.sigmoid(v1 @ W + b)
        dW = 0.7 * dW + 0.05 * ((v.T @ h - v1.T @ h1) / 10 - 0.01 * W)
        db = 0.7 * db + 0.05 * (h - h1).mean(0)
        dc = 0.7 * dc + 0.05 * (v - v1).mean(0)
        W, b, c = W + dW, b + db, c + dc
        ContrastiveStep(rbm, ContrastiveDivergence())(v, optimizer, stream(1, "gibbs", step))
    for found, expected in ((rbm.weight, W), (rbm.hidden.bias, b), (rbm.visible.bias, c)):
        torch.testing.assert_close(found.detach(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("steps", [1, 3])
def test_contrastive_divergence_is_a_gibbs_chain_from_the_data(steps: int) -> None:
    """With the same noise: k steps of the chain; the last visible states as means unless they are to be sampled."""
    rbm = make_rbm()
    v = torch.randint(2, (50, 5)).double()

    def negative_states(sampler: Sampler) -> Tensor:
        phases = Phases(rbm, 50)
        phases.positive.v.copy_(v)
        with torch.no_grad():
            phases.positive.condition_on_visible(rbm)
            before = phases.positive.mean.clone()
            sampler.write_negative_states(rbm, phases.positive, phases.negative.v, stream(0, "gibbs"))
        assert torch.equal(phases.positive.v, v)
        assert torch.equal(phases.positive.mean, before)
        return phases.negative.v

    sampled = negative_states(ContrastiveDivergence(steps, sample_visible=True))
    assert torch.equal(sampled, rbm.gibbs(v, steps, stream(0, "gibbs")))
    mean = negative_states(ContrastiveDivergence(steps))
    assert not torch.equal(mean, sampled)
    assert (mean - sampled).abs().max() < 1


def test_contrastive_divergence_learns_a_teacher() -> None:
    """CD-10 on draws from a teacher brings a student within 0.02 nats of the teacher; it starts nearly 0.2 away."""
    from dbn.likelihood import log_likelihood

    teacher = make_rbm(n_visible=6, n_hidden=3)
    states = teacher.visible.states()
    p = torch.softmax(-teacher.free_energy(states), 0)
    v = states[torch.multinomial(p, 4000, replacement=True, generator=stream(0, "data"))]
    student = RBM(Bernoulli(6), Bernoulli(6), weight_std=0.01, generator=stream(0, "init"))
    goal = log_likelihood(teacher, v).mean().item()
    before = log_likelihood(student, v.float()).mean().item()
    options: dict[str, Any] = {"learning_rate": 0.02, "weight_cost": 0.0, "batch_size": 50}
    fit(student, v.float(), epochs=160, sampler=ContrastiveDivergence(10), **options)
    after = log_likelihood(student, v.float()).mean().item()
    assert after > goal - 0.02
    assert before < goal - 0.15


def test_any_torch_optimiser_will_do() -> None:
    rbm = make_rbm()
    module = RBMTraining(
        rbm, LayerSettings(n_hidden=4), ContrastiveDivergence(), optimizer=partial(torch.optim.Adam, fused=True)
    )
    optimizer = module.configure_optimizers()
    before = rbm.weight.detach().clone()
    ContrastiveStep(rbm, ContrastiveDivergence())(torch.rand(10, 5, dtype=torch.float64), optimizer)
    assert isinstance(optimizer, torch.optim.Adam)
    assert not torch.equal(rbm.weight, before)


def test_weight_cost_is_on_weights_only() -> None:
    groups = (
        RBMTraining(make_rbm(), LayerSettings(n_hidden=4), ContrastiveDivergence()).configure_optimizers().param_groups
    )
    assert [(len(g["params"]), g["weight_decay"]) for g in groups] == [(1, 2e-4), (2, 0.0)]


def test_momentum_follows_its_schedule() -> None:
    settings = LayerSettings(n_hidden=4, initial_momentum=0.5, initial_momentum_epochs=3, momentum=0.8)
    assert [settings.momentum_at(epoch) for epoch in range(5)] == [0.5, 0.5, 0.5, 0.8, 0.8]


def test_monitored_quantities_by_their_definitions() -> None:
    rbm = make_rbm(n_visible=6, n_hidden=4)
    with torch.no_grad():
        rbm.hidden.bias.copy_(torch.tensor([-40.0, 40.0, 0.0, 0.0]))
    train, validation = torch.rand(20, 6, dtype=torch.float64), torch.rand(30, 6, dtype=torch.float64)
    found = rbm_metrics(rbm, train, validation)
    h = torch.sigmoid(train @ rbm.weight + rbm.hidden.bias)
    reconstruction = torch.sigmoid(h @ rbm.weight.T + rbm.visible.bias)
    assert found["reconstruction_error"] == pytest.approx((train - reconstruction).square().sum(1).mean().item())
    assert found["free_energy_gap"] == pytest.approx(
        (rbm.free_energy(validation).mean() - rbm.free_energy(train).mean()).item()
    )
    assert found["weight_norm"] == pytest.approx(rbm.weight.square().sum().sqrt().item())
    assert (found["fraction_inactive"], found["fraction_saturated"]) == (0.25, 0.25)
    assert "free_energy_gap" not in rbm_metrics(rbm, train)


def test_what_is_watched_is_the_same_for_two_models_of_one_distribution() -> None:
    """A hidden unit without weights shifts every free energy by -log(1 + e^b), which Z takes out: no metric moves.

    So metrics of runs can be laid side by side whatever shifts their free energies: a seed, an epoch, a precision.
    """
    rbm, other = make_rbm(n_visible=6, n_hidden=4), make_rbm(n_visible=6, n_hidden=4)
    with torch.no_grad():
        for model, bias in ((rbm, 0.0), (other, 2.0)):
            model.weight[:, 3] = 0
            model.hidden.bias[3] = bias
    train, validation = torch.rand(20, 6, dtype=torch.float64), torch.rand(30, 6, dtype=torch.float64)
    shift = (other.free_energy(train) - rbm.free_energy(train)).detach()
    torch.testing.assert_close(shift, torch.full_like(shift, -math.log((1 + math.exp(2)) / 2)))
    assert rbm_metrics(other, train, validation) == pytest.approx(rbm_metrics(rbm, train, validation), rel=1e-12)


def test_training_that_blows_up_stops_with_layer_epoch_and_cure() -> None:
    rbm = RBM(Gaussian(5), Gaussian(5), generator=stream(0, "init"))
    with pytest.raises(DivergenceError, match=r"Layer 1 diverged in epoch \d+.*learning_rate.*standardise"):
        fit(rbm, torch.randn(200, 5) * 50, epochs=20, learning_rate=5.0)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("learning_rate", 0),
        ("learning_rate", "fast"),
        ("learning_rate", math.nan),
        ("momentum", 1.0),
        ("epochs", 0),
        ("batch_size", 2.5),
        ("weight_cost", -1),
        ("hidden", "binary"),
    ],
)
def test_settings_that_cannot_be_used_are_named(key: str, value: Any) -> None:
    with pytest.raises(SettingError, match=key):
        LayerSettings(**{"n_hidden": 4, key: value})


def train_some(rank: int, world: int, rbm: RBM) -> None:
    """An epoch of steps on this process's share."""
    images = Images.from_features(torch.rand(103, 5, generator=stream(0, "images")))
    module = RBMTraining(rbm, LayerSettings(n_hidden=4), NoiseOfTheImage())
    optimizer = module.configure_optimizers()
    step = ContrastiveStep(rbm, module.sampler)
    for block in BlockLoader(images, batch_size=10, seed=0, rank=rank, world_size=world):
        for batch in block.minibatches():
            step(batch.features.double(), optimizer, None, batch.count)


def trained_by_one_of_two(rank: int) -> list[Any]:
    rbm = make_rbm()
    train_some(rank, 2, rbm)
    return [parameter.detach().numpy() for parameter in rbm.parameters()]


def test_two_processes_given_the_same_noise_are_one_on_the_same_minibatches() -> None:
    first, second = in_two_processes(trained_by_one_of_two)
    alone = make_rbm()
    before = alone.weight.detach().clone()
    train_some(0, 1, alone)
    assert not torch.equal(alone.weight, before)
    for parameter, one, other in zip(alone.parameters(), first, second, strict=True):
        assert (one == other).all()
        torch.testing.assert_close(parameter.detach(), torch.from_numpy(one), rtol=0, atol=1e-12)
