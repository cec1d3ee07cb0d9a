"""Word counts: the replicated softmax against sums over all documents of a length, word by word."""

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dbn import DBN, RBM, Bernoulli
from dbn.errors import SettingError
from dbn.likelihood import (
    annealed_importance_sampling,
    log_likelihood,
    log_partition_function,
    reverse_annealed_importance_sampling,
)
from dbn.models.phases import Phases
from dbn.models.units import Gaussian, Mixed, ReplicatedSoftmax, make_units
from dbn.pretraining import fit
from dbn.pretraining.contrastive import ContrastiveStep
from dbn.random.streams import streams
from dbn.samplers import ContrastiveDivergence, PersistentContrastiveDivergence
from finetune.networks.network import Network
from finetune.networks.unrolling import unroll
from helpers import randomise

WORDS, TOPICS, LENGTH = 4, 3, 3


def topic_model(hidden: str = "bernoulli", words: int = WORDS, topics: int = TOPICS, seed: int = 1) -> RBM:
    """A small float64 model with weights and biases away from zero; those of real topics are small."""
    rbm = RBM(ReplicatedSoftmax(words), make_units(hidden, topics)).double()
    generator = torch.Generator().manual_seed(seed)
    std = 0.15 if hidden == "gaussian" else 0.8
    with torch.no_grad():
        rbm.weight.copy_(torch.randn(words, topics, generator=generator, dtype=torch.float64) * std)
    randomise(rbm.visible, generator)
    randomise(rbm.hidden, generator)
    return rbm


def of_length(rbm: RBM, length: int) -> RBM:
    """The model of documents of one length."""
    assert isinstance(rbm.visible, ReplicatedSoftmax)
    return RBM(rbm.visible.of_length(length), rbm.hidden, rbm.connection)


def sequences(length: int, words: int = WORDS) -> tuple[Tensor, Tensor]:
    """Every document as the words in their order ``(words ** length, length)``, and its counts."""
    texts = torch.tensor(list(product(range(words), repeat=length)))
    return texts, torch.stack([(texts == word).sum(1) for word in range(words)], 1).double()


def minus_energy(rbm: RBM, texts: Tensor, h: Tensor) -> Tensor:
    """Equation 1 of the paper, word by word: ``(texts, hidden states)``."""
    b, a, w = rbm.visible.bias, rbm.hidden.bias, rbm.weight
    return (b[texts].sum(1))[:, None] + w[texts].sum(1) @ h.T + texts.shape[1] * (h @ a)


def exact_log_z(rbm: RBM, length: int) -> Tensor:
    """``log Z`` over all orders of words and binary hidden units, by equation 1."""
    texts, _ = sequences(length)
    return torch.logsumexp(minus_energy(rbm, texts, rbm.hidden.states()).flatten(), 0)


@pytest.mark.parametrize("length", [1, 3, 5])
def test_probabilities_of_counts_are_sums_over_the_orders_of_words(length: int) -> None:
    """The model of counts against the model of words in their order: the same log Z, and multinomial coefficients."""
    rbm = topic_model()
    fixed = of_length(rbm, length)
    texts, counts = sequences(length)
    of_texts = torch.logsumexp(minus_energy(rbm, texts, rbm.hidden.states()), 1) - exact_log_z(rbm, length)
    assert log_partition_function(fixed).item() == pytest.approx(exact_log_z(rbm, length).item(), abs=1e-12)
    states = fixed.visible.states()
    assert len(states) == math.comb(length + WORDS - 1, length)
    of_counts = log_likelihood(fixed, states)
    assert of_counts.exp().sum().item() == pytest.approx(1, abs=1e-12)
    for state, found in zip(states, of_counts, strict=True):
        same = (counts == state).all(1)
        assert found.item() == pytest.approx(torch.logsumexp(of_texts[same], 0).item(), abs=1e-11)


@pytest.mark.parametrize("hidden", ["bernoulli", "gaussian", "spin", "relu"])
def test_both_sides_sum_the_other_out(hidden: str) -> None:
    """The energy of pairs, and the free energy given hidden states, for any hidden units; log Z from the other side."""
    fixed = of_length(topic_model(hidden), LENGTH)
    states = fixed.visible.states()
    h = fixed.hidden.sample(torch.randn(5, TOPICS, dtype=torch.float64), torch.Generator().manual_seed(2)).detach()
    for own in h:
        pairs = fixed.energy(states, own.expand(len(states), -1))
        found = fixed.free_energy_hidden(own[None])
        assert found.item() == pytest.approx(-torch.logsumexp(-pairs, 0).item(), abs=1e-11)
    if hidden in ("bernoulli", "spin"):
        hidden_states = fixed.hidden.states()
        for state in states:
            pairs = fixed.energy(state.expand(len(hidden_states), -1), hidden_states)
            assert fixed.free_energy(state[None]).item() == pytest.approx(-torch.logsumexp(-pairs, 0).item(), abs=1e-11)


@pytest.mark.parametrize("hidden", ["bernoulli", "gaussian", "gaussian_with_variance", "spin", "relu"])
def test_the_gradient_is_that_of_autograd(hidden: str) -> None:
    """Of documents of several lengths, whose hidden biases count as often."""
    rbm = topic_model(hidden, 6, 5)
    data, model = (torch.randint(4, (9, 6), dtype=torch.float64) for _ in range(2))
    loss = rbm.free_energy(data).mean() - rbm.free_energy(model).mean()
    expected = torch.autograd.grad(loss, list(rbm.parameters()))
    phases = Phases(rbm, 9)
    with torch.no_grad():
        for phase, v in ((phases.positive, data), (phases.negative, model)):
            phase.v.copy_(v)
            phase.condition_on_visible(rbm)
        phases.write_gradient(rbm)
    for parameter, gradient in zip(rbm.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=0, atol=1e-10)


def test_the_gradient_with_exact_samples_is_that_of_the_log_likelihood() -> None:
    """Central differences of the exact mean log-likelihood of documents of one length, by equation 1."""
    rbm = topic_model()
    _, counts = sequences(LENGTH)
    data = counts[[1, 7, 30, 62]]
    fixed = of_length(rbm, LENGTH)

    def mean_log_likelihood() -> float:
        return float(-rbm.free_energy(data).mean() - exact_log_z(rbm, LENGTH))

    states = fixed.visible.states()
    p = log_likelihood(fixed, states).exp().detach()
    v = torch.cat([data, states])
    weights = torch.cat([torch.full((len(data),), 1 / len(data), dtype=torch.float64), -p])
    with torch.no_grad():
        field = rbm.hidden_field(v)
        rbm.write_gradient(v, field, rbm.hidden.mean(field), weights)
    for parameter in rbm.parameters():
        for index in product(*map(range, parameter.shape)):
            values = []
            for step in (1e-5, -1e-5):
                with torch.no_grad():
                    parameter[index] += step
                    values.append(mean_log_likelihood())
                    parameter[index] -= step
            assert parameter.grad is not None
            assert parameter.grad[index].item() == pytest.approx((values[0] - values[1]) / 2e-5, abs=2e-8)


@pytest.mark.parametrize("steps", [1, 4, 16])
def test_gibbs_leaves_the_exact_distribution_where_it_is(steps: int) -> None:
    """Documents of two lengths side by side: total variation under four times its expectation for exact draws."""
    rbm = topic_model()
    generator, draws = torch.Generator().manual_seed(3), 100_000
    laws = {length: of_length(rbm, length) for length in (2, 5)}
    starts, exact = [], {}
    for length, own in laws.items():
        states = own.visible.states()
        exact[length] = (states, log_likelihood(own, states).exp())
        starts.append(states[torch.multinomial(exact[length][1], draws, replacement=True, generator=generator)])
    moved = rbm.gibbs(torch.cat(starts), steps, generator)
    for own, (states, p) in zip(moved.split(draws), exact.values(), strict=True):
        q = (own[:, None] == states).all(2).double().mean(0)
        assert q.sum().item() == pytest.approx(1), "a length changed"
        assert (p - q).abs().sum() / 2 < 4 * (p * (1 - p) / draws).sqrt().sum() / 2


def test_moments_of_draws() -> None:
    """Mean and variance of multinomial counts of 9 words, within five standard errors of 200000 draws."""
    units = ReplicatedSoftmax(5).double().of_length(9)
    field = torch.tensor([[0.3, -2.0, 1.1, 0.0, -0.4]], dtype=torch.float64)
    p, n = field.softmax(-1)[0], 200_000
    draws = units.sample(field.expand(n, -1), torch.Generator().manual_seed(4))
    torch.testing.assert_close(units.mean(field)[0].detach(), 9 * p)
    assert torch.equal(draws.sum(1), torch.full((n,), 9.0).double())
    assert ((draws.mean(0) - 9 * p).abs() < 5 * (9 * p * (1 - p) / n).sqrt()).all()
    variance = 9 * p * (1 - p)
    fourth = 9 * p * (1 - p) * (1 + 3 * (9 - 2) * p * (1 - p))
    assert ((draws.var(0) - variance).abs() < 5 * ((fourth - variance**2) / n).sqrt()).all()


def test_without_weights_words_are_drawn_by_their_rates() -> None:
    """The likelihood is then the multinomial one, and biases from data give the shares of words."""
    rbm = topic_model()
    with torch.no_grad():
        rbm.weight.zero_()
    rates = torch.tensor([4.0, 1.0, 2.0, 0.5], dtype=torch.float64)
    rbm.visible.initialise_bias(rates)
    fixed = of_length(rbm, 5)
    states = fixed.visible.states()
    expected = torch.distributions.Multinomial(5, rates / rates.sum()).log_prob(states)
    torch.testing.assert_close(log_likelihood(fixed, states), expected, rtol=0, atol=1e-12)


def test_annealing_estimates_log_z_of_every_length_at_once() -> None:
    """Chains of documents of several lengths, forward and, from exact samples, back: within five standard errors."""
    rbm, lengths, chains = topic_model(), (1, 3, 6), 400
    generator, betas = torch.Generator().manual_seed(5), torch.linspace(0, 1, 100)
    exact = [float(log_partition_function(of_length(rbm, length))) for length in lengths]
    starts = []
    for length in lengths:
        own = of_length(rbm, length)
        states = own.visible.states()
        p = log_likelihood(own, states).exp()
        starts.append(states[torch.multinomial(p, chains, replacement=True, generator=generator)])
    v = torch.cat(starts)
    forward = annealed_importance_sampling(rbm.given(v), betas, len(v), generator).log_weights
    back = reverse_annealed_importance_sampling(rbm.given(v), v, betas, generator).log_weights
    for sign, log_weights in ((1, forward), (-1, back)):
        for expected, own in zip(exact, log_weights.split(chains), strict=True):
            weights = (sign * (own - expected)).exp()
            assert abs(weights.mean().item() - 1) < 5 * weights.std().item() / chains**0.5
            assert weights.std() < 1, "or this tests little"


@pytest.mark.parametrize("sampler", [ContrastiveDivergence(), ContrastiveDivergence(3, sample_visible=True)])
def test_a_step_keeps_the_lengths_and_moves_every_member_as_it_would_alone(sampler: ContrastiveDivergence) -> None:
    v = torch.randint(3, (2, 10, WORDS), dtype=torch.float64)
    members = [topic_model(seed=seed) for seed in (1, 2)]
    group = RBM.group([topic_model(seed=seed) for seed in (1, 2)])
    for rbm, batch, seeds in ((group, v, [0, 1]), (members[0], v[0], [0]), (members[1], v[1], [1])):
        step = ContrastiveStep(rbm, sampler)
        optimizer = torch.optim.SGD(rbm.parameters(), lr=0.01)
        for number in range(5):
            step(batch, optimizer, streams(seeds, "gibbs", number))
            (phases,) = step.phases.values()
            torch.testing.assert_close(phases.negative.v.sum(-1), batch.sum(-1))
    for alone, found in zip(members, group.members(), strict=True):
        assert not torch.allclose(alone.weight, topic_model(seed=1).weight, atol=1e-3)
        for (name, own), (_, other) in zip(alone.named_parameters(), found.named_parameters(), strict=True):
            torch.testing.assert_close(other, own, rtol=0, atol=1e-12, msg=name)


def test_unrolled_it_is_the_way_up() -> None:
    """Of documents of any length: the bias that counts for every word is one on every weight."""
    stack = DBN([topic_model(), RBM(Bernoulli(TOPICS), Bernoulli(2)).double()])
    network = Network.dense([WORDS, TOPICS, 2, 5]).double()
    unroll(stack, network)
    v = torch.randint(6, (20, WORDS), dtype=torch.float64)
    expected = torch.sigmoid(v @ stack[0].weight + v.sum(1, keepdim=True) * stack[0].hidden.bias)
    torch.testing.assert_close(stack.up(v, 1), expected, rtol=0, atol=1e-14)
    for layers, found in enumerate(network.hidden(v)[:2], start=1):
        torch.testing.assert_close(found, stack.up(v, layers), rtol=0, atol=1e-14)
    with pytest.raises(SettingError, match="no decoder"):
        unroll(stack, Network.dense([WORDS, TOPICS, 2, TOPICS, WORDS], code=2).double())


def test_an_empty_document_has_no_words_and_says_nothing() -> None:
    rbm = topic_model()
    nothing = torch.zeros(2, WORDS, dtype=torch.float64)
    assert rbm.free_energy(nothing).tolist() == pytest.approx([-TOPICS * math.log(2)] * 2)
    assert torch.equal(rbm.gibbs(nothing, 2, torch.Generator().manual_seed(1)), nothing)


def test_files_hold_it() -> None:
    stack = DBN([topic_model()])
    stack.save("topics.safetensors")
    again = DBN.load("topics.safetensors")
    v = np.array([[1.0, 0.0, 2.0, 1.0]])
    torch.testing.assert_close(again[0].free_energy(v), stack[0].free_energy(v))


def test_what_it_cannot_be_part_of_is_refused() -> None:
    rbm = topic_model()
    h = torch.zeros(2, TOPICS, dtype=torch.float64)
    for wanted in (rbm.mean_visible, rbm.sample_visible, rbm.free_energy_hidden):
        with pytest.raises(SettingError, match=r"of_length\(100\)"):
            wanted(h)
    with pytest.raises(SettingError, match="hidden=replicated_softmax"):
        RBM(Bernoulli(3), ReplicatedSoftmax(3))
    with pytest.raises(SettingError, match="cannot be a part"):
        Mixed(5, [{"kind": "replicated_softmax", "n": 5}])
    with pytest.raises(SettingError, match="documents are no maps"):
        make_units({"kind": "per_map", "units": "replicated_softmax"}, (2, 2, 3))
    with pytest.raises(SettingError, match="mixed units have none of one piece"):
        RBM(ReplicatedSoftmax(4), Mixed(3, [{"kind": "bernoulli", "n": 3}]))
    with pytest.raises(SettingError, match=r"sampler=Persistent.*sampler=cd"):
        ContrastiveStep(rbm, PersistentContrastiveDivergence())
    with pytest.raises(SettingError, match="length=0"):
        ReplicatedSoftmax(3).of_length(0)
    with pytest.raises(SettingError, match="enumeration stops"):
        ReplicatedSoftmax(100).of_length(20).states()
    assert RBM(ReplicatedSoftmax(4), Gaussian(3)).n_hidden == 3


@pytest.mark.parametrize("hidden", ["drelu", {"kind": "bernoulli_with_label", "n_labels": 3}])
def test_hidden_units_whose_bias_is_not_all_are_refused(hidden: Any) -> None:
    with pytest.raises(SettingError, match="visible=replicated_softmax: such units scale the hidden units' bias"):
        RBM(ReplicatedSoftmax(5), make_units(hidden, 3))


def test_a_fit_with_dropout_of_hidden_units() -> None:
    documents = torch.randint(0, 3, (40, 6), generator=torch.Generator().manual_seed(0)).float() + 1
    rbm = fit(RBM(ReplicatedSoftmax(6), Bernoulli(4)), documents, epochs=2, batch_size=20, dropout_hidden=0.5)
    assert all(bool(own.isfinite().all()) for own in rbm.parameters())
    assert float(rbm.hidden.bias.abs().max()) > 0
