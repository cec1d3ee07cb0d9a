"""Fast weights: they move the chains and nothing else, and learn from the gradient."""

from typing import Any

import torch
from torch import Tensor

from dbn import RBM
from dbn.likelihood import log_likelihood
from dbn.models.phases import Phases
from dbn.models.units import Bernoulli
from dbn.pretraining.contrastive import ContrastiveStep
from dbn.random.streams import stream
from dbn.samplers import FastPersistentContrastiveDivergence, PersistentContrastiveDivergence
from helpers import make_rbm


@torch.no_grad()
def negative_states(sampler: PersistentContrastiveDivergence, rbm: RBM, v: Tensor, call: int) -> Tensor:
    """What the sampler gives for the minibatch ``v``, with the noise of ``call``."""
    phases = Phases(rbm, len(v))
    phases.positive.v.copy_(v)
    phases.positive.condition_on_visible(rbm)
    sampler.write_negative_states(rbm, phases.positive, phases.negative.v, stream(0, "gibbs", call))
    return phases.negative.v


def train(sampler: Any, steps: int = 20) -> RBM:
    rbm = make_rbm(n_visible=6, n_hidden=3)
    step, optimizer = ContrastiveStep(rbm, sampler), torch.optim.SGD(rbm.parameters(), lr=0.1, momentum=0.5)
    for number in range(steps):
        v = torch.randint(2, (10, 6), generator=stream(1, "images", number)).double()
        step(v, optimizer, stream(0, "gibbs", number))
    return rbm


def test_without_a_rate_it_is_pcd_bit_for_bit() -> None:
    slow, fast = train(PersistentContrastiveDivergence(2)), train(FastPersistentContrastiveDivergence(2, None, 0.0))
    other = train(FastPersistentContrastiveDivergence(2, None, 0.1))
    for (name, own), (_, same), (_, differs) in zip(
        *(rbm.named_parameters() for rbm in (slow, fast, other)), strict=True
    ):
        assert torch.equal(own, same), name
        assert not torch.equal(own, differs), name


def test_fast_weights_follow_the_gradient_of_each_update() -> None:
    """The gradient is what plain gradient descent has taken from the weights, divided by its rate."""
    rbm, sampler = make_rbm(), FastPersistentContrastiveDivergence(1, None, 0.3, 0.9)
    step, optimizer = ContrastiveStep(rbm, sampler), torch.optim.SGD(rbm.parameters(), lr=0.1)
    expected = [torch.zeros_like(own) for own in rbm.parameters()]
    for number in range(3):
        before = [own.detach().clone() for own in rbm.parameters()]
        step(torch.randint(2, (10, 5)).double(), optimizer, stream(0, "gibbs", number))
        gradients = [(old - new.detach()) / 0.1 for old, new in zip(before, rbm.parameters(), strict=True)]
        expected = [0.9 * own - 0.3 * gradient for own, gradient in zip(expected, gradients, strict=True)]
        assert sampler.fast is not None
        for own, found in zip(expected, sampler.fast, strict=True):
            torch.testing.assert_close(found, own, rtol=0, atol=1e-12)
    assert float(expected[-1].abs().max()) > 0.01


def with_fast_weights() -> tuple[RBM, RBM, FastPersistentContrastiveDivergence]:
    """A model, the model that moves its chains, and the sampler."""
    rbm, moving, sampler = make_rbm(), make_rbm(), FastPersistentContrastiveDivergence(2)
    generator = stream(0, "fast")
    sampler.fast = [torch.randn(own.shape, generator=generator, dtype=own.dtype) * 0.3 for own in rbm.parameters()]
    with torch.no_grad():
        for own, fast in zip(moving.parameters(), sampler.fast, strict=True):
            own.add_(fast)
    return rbm, moving, sampler


def test_chains_are_moved_by_the_sum_of_both_weights() -> None:
    """With the same noise they are a Gibbs chain of that model, and the model itself is what it was."""
    rbm, moving, sampler = with_fast_weights()
    v = torch.randint(2, (40, 5)).double()
    sampler.chains = v.clone()
    before = [own.detach().clone() for own in rbm.parameters()]
    assert torch.equal(negative_states(sampler, rbm, v, 1), moving.gibbs(v, 2, stream(0, "gibbs", 1)))
    for own, old in zip(rbm.parameters(), before, strict=True):
        assert torch.equal(own, old)


def test_chains_stay_in_the_distribution_of_the_model_that_moves_them() -> None:
    rbm, moving, sampler = with_fast_weights()
    n, states = 100_000, rbm.visible.states()
    p, p_slow = (torch.softmax(-own.free_energy(states), 0).detach() for own in (moving, rbm))
    sampler.chains = states[torch.multinomial(p, n, replacement=True, generator=stream(1, "data"))]
    for call in range(4):
        v = negative_states(sampler, rbm, torch.ones(n, 5, dtype=torch.float64), call)
    q = torch.bincount((v @ (2.0 ** torch.arange(4, -1, -1, dtype=torch.float64))).long(), minlength=32) / n
    floor = (p * (1 - p) / n).sqrt().sum() / 2
    assert (p - q).abs().sum() / 2 < 2 * floor
    assert (p_slow - q).abs().sum() / 2 > 20 * floor


def test_it_learns_a_teacher() -> None:
    """On draws from a teacher it brings a student within 0.02 nats of the teacher, from more than 0.1 away."""
    teacher = make_rbm(n_visible=6, n_hidden=3)
    states = teacher.visible.states()
    p = torch.softmax(-teacher.free_energy(states), 0).detach()
    v = states[torch.multinomial(p, 4000, replacement=True, generator=stream(0, "data"))]
    student = RBM(Bernoulli(6), Bernoulli(6), weight_std=0.01, generator=stream(0, "init")).double()

    def gap() -> float:
        return float((p * (log_likelihood(teacher, states) - log_likelihood(student, states))).sum())

    before = gap()
    step = ContrastiveStep(student, FastPersistentContrastiveDivergence())
    optimizer = torch.optim.SGD(student.parameters(), lr=0.05)
    for epoch in range(150):
        for number, batch in enumerate(v.split(100)):
            step(batch, optimizer, stream(0, "gibbs", epoch, number))
    assert before > 0.1
    assert gap() < 0.02
