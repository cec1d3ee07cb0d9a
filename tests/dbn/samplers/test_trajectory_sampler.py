"""Trajectory tempering in training: it mixes where PCD does not, keeps the models that it needs, and says how well."""

import csv
import math
from copy import deepcopy

import pytest
import torch

from dbn import RBM
from dbn.errors import SettingError
from dbn.likelihood import log_likelihood
from dbn.models.phases import Phases
from dbn.models.units import Bernoulli, ReLU
from dbn.pretraining import fit
from dbn.pretraining.contrastive import ContrastiveStep
from dbn.pretraining.stack_run import pretrain, pretraining_directory
from dbn.random.streams import stream
from dbn.samplers import PersistentContrastiveDivergence, TrajectoryTempering
from helpers import Composer
from two_modes import is_up, probability_of_up, two_modes


def trained_towards(teacher: RBM, sampler: PersistentContrastiveDivergence, epochs: int, n: int = 1000) -> RBM:
    """A student of the teacher's shape, with the initial weights of seed 0, on draws from the enumerated teacher."""
    states = teacher.visible.states()
    p = torch.softmax(-teacher.free_energy(states), 0).detach()
    draws = states[torch.multinomial(p, n, replacement=True, generator=stream(0, "data"))]
    student = RBM(
        Bernoulli(teacher.n_visible), Bernoulli(teacher.n_hidden), weight_std=0.01, generator=stream(0, "init")
    )
    return fit(
        student.double(), draws, epochs=epochs, sampler=sampler, learning_rate=0.1, momentum=0,
        initial_momentum_epochs=0, weight_cost=0, batch_size=50, final_learning_rate=0,
    )  # fmt: skip


def test_it_learns_a_teacher_of_two_modes_and_keeps_models_in_the_order_of_time() -> None:
    """On draws from it, a student comes within 0.02 nats of the teacher, from two nats away; with PCD-1 to 0.03.

    The first model stays the initial one, and no pair of neighbours rejects nearly all swaps.
    """
    teacher, sampler = two_modes(n_visible=6, n_hidden=4), TrajectoryTempering(models=4)
    states = teacher.visible.states()
    p = torch.softmax(-teacher.free_energy(states), 0).detach()

    def distance(student: RBM) -> float:
        return float((p * (log_likelihood(teacher, states) - log_likelihood(student, states))).sum().detach())

    initial = RBM(Bernoulli(6), Bernoulli(4), weight_std=0.01, generator=stream(0, "init")).double()
    assert distance(initial) > 2
    student = trained_towards(teacher, sampler, epochs=150)
    assert 0 <= distance(student) < 0.02
    assert torch.equal(sampler.earlier[0].weight, initial.weight)
    norms = [float(rbm.weight.detach().norm()) for rbm in [*sampler.earlier, student]]
    assert norms == sorted(norms)
    assert len(set(norms)) >= 4
    assert sampler.row is not None
    again = deepcopy(sampler.row)
    again.swaps.begin_record()
    again.move([*sampler.earlier, student], 200, stream(1, "gibbs"))
    assert float(again.swaps.mean_rejections().max()) < 0.7


def test_chains_visit_both_modes_by_way_of_earlier_models() -> None:
    """All 400 start in the smaller mode; within five standard errors of the enumerated probability; PCD's stay."""
    rbm, start, p = two_modes(), torch.zeros(400, 8, dtype=torch.float64), probability_of_up(two_modes())
    ups = []
    for sampler in (PersistentContrastiveDivergence(), TrajectoryTempering(models=7)):
        ContrastiveStep(rbm, sampler)
        if isinstance(sampler, TrajectoryTempering):
            for number, earlier in enumerate(sampler.earlier):
                for own in earlier.parameters():
                    own.mul_((number + 1) / 8)
        with torch.no_grad():
            for call in range(400):
                phases = Phases(rbm, len(start))
                phases.positive.v.copy_(start)
                phases.positive.condition_on_visible(rbm)
                sampler.write_negative_states(rbm, phases.positive, phases.negative.v, stream(0, "gibbs", call))
        ups.append(float(is_up(phases.negative.v).double().mean()))
        metrics = sampler.end_epoch(rbm)
    assert ups[0] < 0.1
    assert ups[1] == pytest.approx(p, abs=5 * (p * (1 - p) / 400) ** 0.5)
    assert metrics[0]["round_trips"] > 5


def test_metrics_are_in_the_file_of_each_epoch(compose: Composer) -> None:
    config = compose("pretrain", ["stack.layers=[6]", "stack.every_layer.epochs=2", "sampler=ptt", "sampler.models=3"])
    pretrain(config)
    with (pretraining_directory(config) / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    for row in rows:
        barrier = float(row["layer1/communication_barrier"])
        assert 0 < barrier < 3
        assert float(row["layer1/recommended_models"]) == max(1, math.ceil(2 * barrier))
        assert float(row["layer1/round_trips"]) >= 0


def test_what_it_cannot_do_is_refused_before_the_first_step(compose: Composer) -> None:
    group = RBM.group([RBM(Bernoulli(5), Bernoulli(3)) for _ in range(2)])
    with pytest.raises(SettingError, match="n_parallel_seeds=1"):
        ContrastiveStep(group, TrajectoryTempering())
    with pytest.raises(SettingError, match="relu units have no likelihood"):
        ContrastiveStep(RBM(Bernoulli(5), ReLU(3)), TrajectoryTempering())
    with pytest.raises(SettingError, match=r"sampler\.models=0"):
        TrajectoryTempering(models=0)


def test_a_checkpoint_of_other_models_is_refused() -> None:
    sampler = TrajectoryTempering(models=3)
    rbm = RBM(Bernoulli(6), Bernoulli(4))
    ContrastiveStep(rbm, sampler)(torch.rand(10, 6).round(), torch.optim.SGD(rbm.parameters(), lr=0.1))
    with pytest.raises(SettingError, match=r"sampler.models=4.*sampler.models=3"):
        TrajectoryTempering(models=4).load_state_dict(sampler.state_dict(), torch.device("cpu"))
