"""Parallel tempering in training: it mixes where PCD does not, and says how well."""

import csv
import math

import pytest
import torch
from torch import Tensor

from dbn import RBM
from dbn.likelihood import log_likelihood
from dbn.models.phases import Phases
from dbn.models.units import Bernoulli
from dbn.pretraining import fit
from dbn.pretraining.contrastive import ContrastiveStep
from dbn.pretraining.stack_run import pretrain, pretraining_directory
from dbn.random.streams import stream
from dbn.samplers import ParallelTempering, PersistentContrastiveDivergence
from helpers import Composer, make_rbm
from two_modes import is_up, probability_of_up, two_modes


@torch.no_grad()
def negative_states(
    sampler: PersistentContrastiveDivergence, rbm: RBM, v: Tensor, calls: int, first: int = 0
) -> list[Tensor]:
    """What the sampler gives in successive calls for the minibatch ``v``, with the noise of call ``first`` and on."""
    found = []
    for call in range(first, first + calls):
        phases = Phases(rbm, len(v))
        phases.positive.v.copy_(v)
        phases.positive.condition_on_visible(rbm)
        sampler.write_negative_states(rbm, phases.positive, phases.negative.v, stream(0, "gibbs", call))
        found.append(phases.negative.v)
    return found


@torch.no_grad()
def draws_of(rbm: RBM, n: int) -> Tensor:
    """States from the enumerated p(v), ``(n, n_visible)``."""
    states = rbm.visible.states()
    p = torch.softmax(-rbm.free_energy(states), 0)
    return states[torch.multinomial(p, n, replacement=True, generator=stream(0, "data"))]


def test_chains_visit_both_modes_where_those_of_pcd_stay_in_theirs() -> None:
    """All 400 chains start in the smaller mode; within five standard errors of the enumerated probability.

    Images come from both modes. In the last 100 minibatches a chain changes its mode often, one of PCD never.
    """
    rbm, start, images = two_modes(), torch.zeros(400, 8, dtype=torch.float64), draws_of(two_modes(), 400)
    p = probability_of_up(rbm)
    assert 0.6 < p < 0.8
    ups, visits = [], []
    for sampler in (PersistentContrastiveDivergence(), ParallelTempering(temperatures=8)):
        negative_states(sampler, rbm, start, 1)
        negative_states(sampler, rbm, images, 20, first=1)
        sampler.end_epoch(rbm)
        for epoch in range(1, 6):
            negative_states(sampler, rbm, images, 100, first=100 * epoch)
            sampler.end_epoch(rbm)
        up = torch.stack([is_up(v) for v in negative_states(sampler, rbm, images, 100, first=600)])
        ups.append(float(up[-1].double().mean()))
        visits.append(float((up[1:] != up[:-1]).double().sum(0).mean()))
    assert ups[0] < 0.1
    assert visits[0] < 0.1
    assert ups[1] == pytest.approx(p, abs=5 * (p * (1 - p) / 400) ** 0.5)
    assert visits[1] > 5


def test_a_smaller_minibatch_gets_the_first_of_the_chains() -> None:
    """All chains move, whatever the minibatch."""
    rbm, v = make_rbm(), torch.randint(2, (20, 5)).double()
    one, other = ParallelTempering(temperatures=3), ParallelTempering(temperatures=3)
    for sampler in (one, other):
        negative_states(sampler, rbm, v, 1)
    (few,), (all_of_them,) = (negative_states(own, rbm, v[:n], 1) for own, n in ((one, 7), (other, 20)))
    assert torch.equal(few, all_of_them[:7])
    assert one.tempered is not None
    assert other.tempered is not None
    assert torch.equal(one.tempered.v, other.tempered.v)


def test_after_an_epoch_independent_units_have_the_base_rates_of_its_images() -> None:
    """The chains at the highest temperature, to within five standard errors; biases are far from these rates."""
    rbm, rows = make_rbm(), 4000
    rates = torch.tensor([0.1, 0.3, 0.5, 0.7, 0.9], dtype=torch.float64)
    v = (torch.rand(rows, 5, generator=stream(0, "images"), dtype=torch.float64) < rates).double()
    sampler = ParallelTempering(temperatures=3)
    negative_states(sampler, rbm, v, 2)
    sampler.end_epoch(rbm)
    negative_states(sampler, rbm, v, 1, first=2)
    assert sampler.tempered is not None
    hottest = sampler.tempered.by_temperature(sampler.tempered.v)[0].mean(0)
    assert bool(((hottest - v.mean(0)).abs() < 5 * 0.5 / rows**0.5).all())
    assert float((torch.sigmoid(rbm.visible.bias) - rates).abs().max().detach()) > 0.2
    hidden = torch.sigmoid(rbm.hidden.bias + sampler.tempered.hidden_reference)
    torch.testing.assert_close(hidden, rbm.mean_hidden(v).mean(0, keepdim=True), rtol=0, atol=1e-6)


def test_temperatures_come_to_swap_equally_often_and_metrics_say_what_is_needed() -> None:
    rbm = two_modes()
    sampler, v = ParallelTempering(temperatures=6), draws_of(rbm, 200)
    spread, metrics = [], {}
    for epoch in range(8):
        negative_states(sampler, rbm, v, 60, first=60 * epoch)
        assert sampler.tempered is not None
        rejections = sampler.tempered.swaps.mean_rejections()
        (metrics,) = sampler.end_epoch(rbm)
        spread.append(float(rejections.max() - rejections.min()))
    assert spread[0] > 0.3
    assert spread[-1] < 0.1
    barrier = metrics["communication_barrier"]
    assert barrier == pytest.approx(float(rejections.sum()))
    assert metrics["recommended_temperatures"] == math.ceil(2 * barrier) + 1
    assert 5 < metrics["round_trips"] < 1000 / (2 + 2 * barrier)


def test_metrics_are_in_the_file_of_each_epoch(compose: Composer) -> None:
    small = ["stack.layers=[6,5]", "stack.every_layer.epochs=2", "sampler=pt", "sampler.temperatures=4"]
    config = compose("pretrain", small)
    pretrain(config)
    with (pretraining_directory(config) / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    for number, row in enumerate(rows):
        own = f"layer{1 + number // 2}"
        barrier = float(row[f"{own}/communication_barrier"])
        assert 0 < barrier < 3
        assert float(row[f"{own}/recommended_temperatures"]) == max(2, math.ceil(2 * barrier) + 1)
        assert float(row[f"{own}/round_trips"]) > 0


def test_it_learns_a_teacher_of_two_modes() -> None:
    """On draws from it, a student comes within 0.03 nats of the teacher, from two nats away.

    With the exact gradient it comes to 0.004, with CD-1 to 0.04.
    """
    teacher = two_modes(n_visible=6, n_hidden=4)
    states = teacher.visible.states()
    p = torch.softmax(-teacher.free_energy(states), 0).detach()
    v = states[torch.multinomial(p, 2000, replacement=True, generator=stream(0, "data"))]
    student = RBM(Bernoulli(6), Bernoulli(6), weight_std=0.01, generator=stream(0, "init")).double()

    def gap() -> float:
        return float((p * (log_likelihood(teacher, states) - log_likelihood(student, states))).sum())

    before = gap()
    sampler = ParallelTempering(temperatures=5)
    step, optimizer = ContrastiveStep(student, sampler), torch.optim.SGD(student.parameters(), lr=0.2)
    for epoch in range(80):
        optimizer.param_groups[0]["lr"] = 0.2 if epoch < 40 else 0.01
        for number, batch in enumerate(v.split(100)):
            step(batch, optimizer, stream(0, "gibbs", epoch, number))
        sampler.end_epoch(student)
    assert before > 2
    assert gap() < 0.03


def test_fit_takes_it() -> None:
    rbm = fit(two_modes().float(), torch.rand(50, 8).round(), epochs=2, sampler=ParallelTempering(), batch_size=10)
    assert bool(rbm.weight.isfinite().all())
