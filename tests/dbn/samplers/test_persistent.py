"""Persistent contrastive divergence: what its chains do, and that it learns."""

import pytest
import torch
from torch import Tensor

from dbn import RBM
from dbn.errors import SettingError
from dbn.likelihood import log_likelihood
from dbn.models.phases import Phases
from dbn.models.units import Bernoulli
from dbn.pretraining.contrastive import ContrastiveStep
from dbn.random.streams import stream
from dbn.samplers import PersistentContrastiveDivergence
from helpers import make_rbm


@torch.no_grad()
def negative_states(sampler: PersistentContrastiveDivergence, rbm: RBM, v: Tensor, call: int) -> Tensor:
    """What the sampler gives for the minibatch ``v``, with the noise of ``call``."""
    phases = Phases(rbm, len(v))
    phases.positive.v.copy_(v)
    phases.positive.condition_on_visible(rbm)
    sampler.write_negative_states(rbm, phases.positive, phases.negative.v, stream(0, "gibbs", call))
    return phases.negative.v


@pytest.mark.parametrize("steps", [1, 3])
def test_chains_go_on_where_they_stood(steps: int) -> None:
    """With the same noise: a Gibbs chain of 1 + k steps from the first data, then k from there, whatever the data."""
    rbm = make_rbm()
    first, second, third = torch.randint(2, (3, 40, 5)).double()
    sampler = PersistentContrastiveDivergence(steps)
    expected = rbm.gibbs(first, 1 + steps, stream(0, "gibbs", 0))
    assert torch.equal(negative_states(sampler, rbm, first, 0), expected)
    expected = rbm.gibbs(expected, steps, stream(0, "gibbs", 1))
    assert torch.equal(negative_states(sampler, rbm, second, 1), expected)
    moved = rbm.gibbs(expected[:30], steps, stream(0, "gibbs", 2))
    assert torch.equal(negative_states(sampler, rbm, third[:30], 2), moved)
    assert torch.equal(sampler.state_dict()["chains"], torch.cat([moved, expected[30:]]))


def test_chains_of_a_checkpoint_go_on() -> None:
    rbm, v = make_rbm(), torch.randint(2, (20, 5)).double()
    sampler, other = PersistentContrastiveDivergence(), PersistentContrastiveDivergence()
    negative_states(sampler, rbm, v, 0)
    other.load_state_dict({name: tensor.clone() for name, tensor in sampler.state_dict().items()}, v.device)
    assert torch.equal(negative_states(other, rbm, v, 1), negative_states(sampler, rbm, v, 1))


def test_more_images_than_chains_are_refused() -> None:
    rbm, sampler = make_rbm(), PersistentContrastiveDivergence()
    negative_states(sampler, rbm, torch.zeros(4, 5, dtype=torch.float64), 0)
    with pytest.raises(SettingError, match="5 images for 4 persistent chains"):
        negative_states(sampler, rbm, torch.zeros(5, 5, dtype=torch.float64), 1)


def test_chains_stay_in_the_models_distribution() -> None:
    """Chains drawn from the enumerated p(v) are still drawn from it after six calls, whatever the minibatches were."""
    rbm, n = make_rbm(), 100_000
    states = rbm.visible.states()
    p = torch.softmax(-rbm.free_energy(states), 0).detach()
    sampler = PersistentContrastiveDivergence(2)
    chains = states[torch.multinomial(p, n, replacement=True, generator=stream(1, "data"))]
    sampler.load_state_dict({"chains": chains.clone()}, chains.device)
    for call in range(6):
        v = negative_states(sampler, rbm, torch.ones(n, 5, dtype=torch.float64), call)
    q = torch.bincount((v @ (2.0 ** torch.arange(4, -1, -1, dtype=torch.float64))).long(), minlength=32) / n
    floor = (p * (1 - p) / n).sqrt().sum() / 2
    assert (p - q).abs().sum() / 2 < 2 * floor


def test_it_learns_a_teacher() -> None:
    """PCD-1 on draws from a teacher brings a student within 0.02 nats of the teacher, from nearly 0.2 away."""
    teacher = make_rbm(n_visible=6, n_hidden=3)
    states = teacher.visible.states()
    p = torch.softmax(-teacher.free_energy(states), 0).detach()
    v = states[torch.multinomial(p, 4000, replacement=True, generator=stream(0, "data"))]
    student = RBM(Bernoulli(6), Bernoulli(6), weight_std=0.01, generator=stream(0, "init")).double()

    def gap() -> float:
        return float((p * (log_likelihood(teacher, states) - log_likelihood(student, states))).sum())

    before = gap()
    step = ContrastiveStep(student, PersistentContrastiveDivergence())
    optimizer = torch.optim.SGD(student.parameters(), lr=0.05)
    for epoch in range(150):
        for number, batch in enumerate(v.split(100)):
            step(batch, optimizer, stream(0, "gibbs", epoch, number))
    assert before > 0.1
    assert gap() < 0.02
