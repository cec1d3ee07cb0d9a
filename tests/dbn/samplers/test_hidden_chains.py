"""Persistent contrastive divergence with chains of hidden states: what the chains do, and that it learns."""

import numpy as np
import pytest
import torch
from sklearn.neural_network import BernoulliRBM
from torch import Tensor

from dbn import RBM
from dbn.errors import SettingError
from dbn.likelihood import log_likelihood
from dbn.models.phases import Phases
from dbn.models.units import Bernoulli
from dbn.pretraining.contrastive import ContrastiveStep
from dbn.random.streams import stream
from dbn.samplers import HiddenChains
from helpers import make_rbm


@torch.no_grad()
def negative_states(sampler: HiddenChains, rbm: RBM, v: Tensor, call: int) -> Tensor:
    """What the sampler gives for the minibatch ``v``, with the noise of ``call``; the chains go on."""
    phases, noise = Phases(rbm, len(v)), stream(0, "gibbs", call)
    phases.positive.v.copy_(v)
    phases.positive.condition_on_visible(rbm)
    sampler.write_negative_states(rbm, phases.positive, phases.negative.v, noise)
    phases.negative.condition_on_visible(rbm)
    sampler.continue_chains(rbm, phases, noise)
    return phases.negative.v


@pytest.mark.parametrize("steps", [1, 3])
def test_chains_go_on_where_they_stood(steps: int) -> None:
    """With the same noise: Gibbs chains from hidden zeros, whatever the data; small minibatches move the first ones."""
    rbm = make_rbm()
    sampler, h = HiddenChains(steps), torch.zeros(40, 4, dtype=torch.float64)
    for call, n in enumerate((40, 40, 30)):
        noise = stream(0, "gibbs", call)
        with torch.no_grad():
            v = rbm.gibbs(rbm.sample_visible(h[:n], noise), steps - 1, noise)
            h = torch.cat([rbm.sample_hidden(v, noise), h[n:]])
        data = torch.randint(2, (n, 5)).double()
        assert torch.equal(negative_states(sampler, rbm, data, call), v)
        assert torch.equal(sampler.state_dict()["chains"], h)


def test_a_larger_minibatch_adds_chains_at_zero() -> None:
    rbm, sampler = make_rbm(), HiddenChains()
    negative_states(sampler, rbm, torch.zeros(3, 5, dtype=torch.float64), 0)
    before = sampler.state_dict()["chains"].clone()
    noise = stream(0, "gibbs", 1)
    expected = rbm.sample_visible(torch.cat([before, torch.zeros(2, 4, dtype=torch.float64)]), noise)
    assert torch.equal(negative_states(sampler, rbm, torch.zeros(5, 5, dtype=torch.float64), 1), expected)


def test_chains_of_another_rbm_are_refused() -> None:
    sampler = HiddenChains()
    negative_states(sampler, make_rbm(), torch.zeros(3, 5, dtype=torch.float64), 0)
    with pytest.raises(SettingError, match=r"4 hidden units, those of another RBM; this one has 3"):
        negative_states(sampler, make_rbm(n_hidden=3), torch.zeros(3, 5, dtype=torch.float64), 0)


def test_chains_stay_in_the_models_distribution() -> None:
    """Chains drawn from the enumerated p(h) give visible states of the enumerated p(v) in every one of six calls."""
    rbm, n = make_rbm(), 100_000
    states, hidden = rbm.visible.states(), rbm.hidden.states()
    p = torch.softmax(-rbm.free_energy(states), 0).detach()
    p_hidden = torch.softmax(-rbm.free_energy_hidden(hidden), 0).detach()
    sampler = HiddenChains(2)
    chains = hidden[torch.multinomial(p_hidden, n, replacement=True, generator=stream(1, "data"))]
    sampler.load_state_dict({"chains": chains}, chains.device)
    floor = (p * (1 - p) / n).sqrt().sum() / 2
    for call in range(6):
        v = negative_states(sampler, rbm, torch.ones(n, 5, dtype=torch.float64), call)
        q = torch.bincount((v @ (2.0 ** torch.arange(4, -1, -1, dtype=torch.float64))).long(), minlength=32) / n
        assert (p - q).abs().sum() / 2 < 2 * floor, call


def test_its_mean_update_is_that_of_bernoulli_rbm() -> None:
    """From the same weights and chains, over 4000 draws of the noise, within five standard errors.

    The second update of ``BernoulliRBM.partial_fit``: its chains have left their start, and sampling is random.
    """
    v = np.array([[0.0, 1, 1], [1, 1, 0], [1, 0, 1], [0, 1, 0]])
    reference = BernoulliRBM(2, learning_rate=1.0, batch_size=4, random_state=0)
    for _ in range(3):
        reference.partial_fit(v)
    weight, chains = reference.components_.copy(), reference.h_samples_.copy()
    hidden_bias, visible_bias = reference.intercept_hidden_.copy(), reference.intercept_visible_.copy()

    def of_reference(number: int) -> list[float]:
        reference.components_, reference.h_samples_ = weight.copy(), chains.copy()
        reference.intercept_hidden_, reference.intercept_visible_ = hidden_bias.copy(), visible_bias.copy()
        reference.random_state_ = np.random.RandomState(number)
        reference.partial_fit(v)
        return [*(reference.components_ - weight).T.ravel(), *reference.h_samples_.ravel()]

    def of_ours(number: int) -> list[float]:
        rbm, sampler = RBM(Bernoulli(3), Bernoulli(2)).double(), HiddenChains()
        with torch.no_grad():
            rbm.weight.copy_(torch.from_numpy(weight.T))
            rbm.hidden.bias.copy_(torch.from_numpy(hidden_bias))
            rbm.visible.bias.copy_(torch.from_numpy(visible_bias))
        sampler.load_state_dict({"chains": torch.from_numpy(chains.copy())}, rbm.weight.device)
        optimizer = torch.optim.SGD(rbm.parameters(), lr=1.0)
        ContrastiveStep(rbm, sampler)(torch.from_numpy(v), optimizer, stream(number, "gibbs"))
        change = rbm.weight.detach().numpy() - weight.T
        return [*change.ravel(), *sampler.state_dict()["chains"].numpy().ravel()]

    ours, theirs = (np.array([one(number) for number in range(4000)]) for one in (of_ours, of_reference))
    error = np.sqrt((ours.var(0) + theirs.var(0)) / 4000)
    assert np.all(np.abs(ours.mean(0) - theirs.mean(0)) < 5 * error + 1e-12)
    assert error.max() < 0.02


def test_it_learns_a_teacher() -> None:
    """On draws from a teacher it brings a student within 0.02 nats of the teacher, from nearly 0.2 away."""
    teacher = make_rbm(n_visible=6, n_hidden=3)
    states = teacher.visible.states()
    p = torch.softmax(-teacher.free_energy(states), 0).detach()
    v = states[torch.multinomial(p, 4000, replacement=True, generator=stream(0, "data"))]
    student = RBM(Bernoulli(6), Bernoulli(6), weight_std=0.01, generator=stream(0, "init")).double()

    def gap() -> float:
        return float((p * (log_likelihood(teacher, states) - log_likelihood(student, states))).sum())

    before = gap()
    step = ContrastiveStep(student, HiddenChains())
    optimizer = torch.optim.SGD(student.parameters(), lr=0.05)
    for epoch in range(150):
        for number, batch in enumerate(v.split(100)):
            step(batch, optimizer, stream(0, "gibbs", epoch, number))
    assert before > 0.1
    assert gap() < 0.02
