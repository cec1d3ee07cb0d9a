"""Samples by tempering: the modes' probabilities where the model's own chains stay in one."""

from copy import deepcopy

import pytest
import torch

from dbn import RBM
from dbn.errors import DataError, SettingError
from dbn.models.units import Bernoulli
from dbn.random.streams import stream
from dbn.samplers import parallel_tempering, trajectory_tempering
from helpers import make_rbm
from two_modes import is_up, probability_of_up, two_modes


def scaled(rbm: RBM, scale: float) -> RBM:
    """A model of an earlier time: every parameter times ``scale``."""
    other = deepcopy(rbm)
    with torch.no_grad():
        for own in other.parameters():
            own.mul_(scale)
    return other


def test_both_find_the_modes_that_gibbs_sampling_does_not() -> None:
    """From the smaller mode, within five standard errors of the enumerated probability."""
    rbm, start = two_modes(), torch.zeros(400, 8, dtype=torch.float64)
    both = torch.cat([start[:200], 1 + start[:300]])
    p = probability_of_up(rbm)
    error = (p * (1 - p) / 400) ** 0.5
    assert float(is_up(rbm.gibbs(start, 150, stream(0, "gibbs"))).double().mean()) < 0.1
    by_temperature = parallel_tempering(rbm, start, 400, 8, data=both, generator=stream(0, "gibbs"))
    along = [scaled(rbm, k / 8) for k in range(1, 9)]
    by_time = trajectory_tempering(along, start, 400, generator=stream(0, "gibbs"))
    for found in (by_temperature, by_time):
        assert float(is_up(found.v).double().mean()) == pytest.approx(p, abs=5 * error)
        assert torch.equal(found.v, found.chains[-1])
        assert found.round_trips > 5


@pytest.mark.parametrize("rounds", [1, 5])
@torch.no_grad()
def test_every_model_of_a_trajectory_keeps_its_distribution(rounds: int) -> None:
    """Chains drawn from each enumerated p(v), of models that differ in all parameters."""
    rows, models = 30_000, [make_rbm() for _ in range(4)]
    for number, rbm in enumerate(models):
        for own in rbm.parameters():
            own.add_(torch.randn(own.shape, generator=stream(number, "models"), dtype=own.dtype), alpha=0.4)
    states = models[0].visible.states()
    p = torch.stack([torch.softmax(-rbm.free_energy(states), 0) for rbm in models])
    draws = [torch.multinomial(own, rows, replacement=True, generator=stream(k, "data")) for k, own in enumerate(p)]
    chains = states[torch.stack(draws)]
    found = trajectory_tempering(models, chains, rounds, generator=stream(0, "gibbs"))
    code = 2.0 ** torch.arange(4, -1, -1, dtype=torch.float64)
    for own, v in zip(p, found.chains, strict=True):
        q = torch.bincount((v @ code).long(), minlength=32) / rows
        floor = (own * (1 - own) / rows).sqrt().sum() / 2
        assert (own - q).abs().sum() / 2 < 2 * floor
    assert float(found.rejections.min()) > 0.1
    assert float(found.rejections.max()) < 0.9


def test_the_hottest_chains_have_the_means_of_the_data() -> None:
    rbm, rates = make_rbm(), torch.tensor([0.1, 0.3, 0.5, 0.7, 0.9], dtype=torch.float64)
    start = torch.zeros(4000, 5, dtype=torch.float64)
    found = parallel_tempering(rbm, start, 4, 3, data=rates.expand(2, -1), generator=stream(0, "gibbs"))
    assert bool(((found.chains[0].mean(0) - rates).abs() < 5 * 0.5 / 4000**0.5).all())
    assert found.betas is not None
    assert (float(found.betas[0]), float(found.betas[-1])) == (0, 1)


def test_more_temperatures_than_recommended_have_the_same_barrier() -> None:
    rbm, start = two_modes(), (torch.arange(300)[:, None] % 3 > 0).double().expand(-1, 8)
    few, many = (parallel_tempering(rbm, start, 300, n, generator=stream(0, "gibbs")) for n in (8, 20))
    assert few.communication_barrier == pytest.approx(many.communication_barrier, rel=0.15)
    assert abs(few.recommended_distributions - many.recommended_distributions) <= 1


def test_what_cannot_be_is_refused() -> None:
    rbm, v = RBM(Bernoulli(5), Bernoulli(4)), torch.zeros(3, 5)
    with pytest.raises(SettingError, match="at least two"):
        trajectory_tempering([rbm], v, 1)
    with pytest.raises(SettingError, match="checkpoints of one training"):
        trajectory_tempering([rbm, RBM(Bernoulli(5), Bernoulli(3))], v, 1)
    with pytest.raises(SettingError, match="rounds=0"):
        trajectory_tempering([rbm, rbm], v, 0)
    with pytest.raises(SettingError, match="temperatures=1"):
        parallel_tempering(rbm, v, 10, 1)
    with pytest.raises(DataError, match="there are 5 visible units"):
        parallel_tempering(rbm, v, 10, 3, data=torch.zeros(3, 4))
    with pytest.raises(DataError, match="3 models"):
        trajectory_tempering([rbm, rbm, rbm], torch.zeros(2, 3, 5), 1)
