"""The RBM against enumeration, quadrature, autograd, central differences, exact sampling: for every pair of units."""

import math
from copy import deepcopy
from functools import partial
from itertools import product

import pytest
import torch
from torch import Tensor

from dbn import RBM
from dbn.likelihood import log_likelihood, log_partition_function
from dbn.models.phases import Phases
from dbn.models.units import Mixed
from dbn.random.streams import stream
from helpers import (
    ENUMERABLE,
    KINDS,
    NORMALISED,
    PAIRS,
    Law,
    Route,
    exact_draws,
    given_binary_units,
    log_z,
    make_rbm,
    random_states,
    units_of,
)

DISCRETE = [pair for pair in NORMALISED if pair[0] in ENUMERABLE or pair[1] in ENUMERABLE]


def gaussian_grid(size: int, points: int, limit: float) -> tuple[Tensor, float]:
    """States on a grid over ``[-limit, limit]^size``, and the volume of a cell."""
    axis = torch.linspace(-limit, limit, points, dtype=torch.float64)
    return torch.tensor(list(product(axis.tolist(), repeat=size)), dtype=torch.float64), float(
        axis[1] - axis[0]
    ) ** size


def all_states(kind: str, size: int, points: int = 121, limit: float = 14.0) -> tuple[Tensor, float]:
    """States of a layer on a grid where they are real, and the volume of a cell."""
    units = units_of(kind, size)
    states, volume = torch.zeros(1, 0, dtype=torch.float64), 1.0
    for part in units.units if isinstance(units, Mixed) else [units]:
        finite = part.kind in ENUMERABLE
        own, cell = (part.states().double(), 1.0) if finite else gaussian_grid(part.size, points, limit)
        states = torch.cat([states.repeat_interleave(len(own), 0), own.repeat(len(states), 1)], 1)
        volume *= cell
    return states, volume


def log_sum_over(kind: str, size: int, minus_energy: object) -> Tensor:
    """``log sum`` (or integral) over all states of a layer of ``exp(minus_energy(states))``."""
    states, cell = all_states(kind, size)
    return torch.logsumexp(minus_energy(states), 0) + math.log(cell)  # type: ignore[operator]


@pytest.mark.parametrize(("visible", "hidden"), NORMALISED)
def test_free_energy_sums_the_hidden_units_out(visible: str, hidden: str) -> None:
    rbm = make_rbm(visible, hidden, 4, 2)
    for v in random_states(visible, 3, 4):
        expected = -log_sum_over(hidden, 2, lambda h, v=v: -rbm.energy(v.expand(len(h), -1), h))
        assert rbm.free_energy(v[None]).item() == pytest.approx(expected.item(), abs=1e-8)
    for h in random_states(hidden, 3, 2):
        rbm_small = make_rbm(visible, hidden, 2, 2)
        expected = -log_sum_over(visible, 2, lambda v, h=h, r=rbm_small: -r.energy(v, h.expand(len(v), -1)))
        assert rbm_small.free_energy_hidden(h[None]).item() == pytest.approx(expected.item(), abs=1e-8)


@pytest.mark.parametrize("visible", KINDS)
def test_free_energy_of_rectified_hidden_units_is_that_of_their_best_state(visible: str) -> None:
    rbm = make_rbm(visible, "relu", 4, 2)
    axis = torch.linspace(0, 6, 1201, dtype=torch.float64)
    h = torch.cartesian_prod(axis, axis)
    for v in random_states(visible, 3, 4):
        lowest = rbm.energy(v.expand(len(h), -1), h).min()
        assert rbm.free_energy(v[None]).item() == pytest.approx(lowest.item(), abs=2e-5)  # half a cell squared


@pytest.mark.parametrize(("visible", "hidden"), DISCRETE)
def test_partition_function_against_the_sum_over_both_layers(visible: str, hidden: str) -> None:
    rbm = make_rbm(visible, hidden, 2, 2)
    (v, cell_v), (h, cell_h) = (all_states(kind, 2, 181, 12.0) for kind in (visible, hidden))
    energies = rbm.energy(v.repeat_interleave(len(h), 0), h.repeat(len(v), 1))
    expected = torch.logsumexp(-energies, 0) + math.log(cell_v * cell_h)
    assert log_partition_function(rbm).item() == pytest.approx(expected.item(), abs=1e-6)


def phases_of(rbm: RBM, data: Tensor, model: Tensor) -> Phases:
    """Both phases, with field and means."""
    phases = Phases(rbm, len(data))
    for phase, v in ((phases.positive, data), (phases.negative, model)):
        phase.v.copy_(v)
        with torch.no_grad():
            phase.condition_on_visible(rbm)
    return phases


@pytest.mark.parametrize(("visible", "hidden"), PAIRS)
def test_explicit_gradient_against_autograd(visible: str, hidden: str, route: Route) -> None:
    rbm = make_rbm(visible, hidden, 6, 5).to(route.device)
    data, model = random_states(visible, 18, 6).to(route.device).split(9)
    loss = rbm.free_energy(data).mean() - rbm.free_energy(model).mean()
    expected = torch.autograd.grad(loss, list(rbm.parameters()))
    with torch.no_grad():
        trained = route.of(rbm)
        phases_of(trained, data, model).write_gradient(trained)
    for parameter, gradient in zip(rbm.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("visible", "hidden"), PAIRS)
def test_gradient_with_a_weight_for_each_state(visible: str, hidden: str, route: Route) -> None:
    """Any weights that add up to zero, against autograd of the weighted sum of free energies."""
    rbm = make_rbm(visible, hidden, 6, 5).to(route.device)
    v, weights = random_states(visible, 9, 6).to(rbm.weight), torch.randn(9).to(rbm.weight)
    weights -= weights.mean()
    expected = torch.autograd.grad(-(weights * rbm.free_energy(v)).sum(), list(rbm.parameters()))
    with torch.no_grad():
        field = rbm.hidden_field(v)
        trained = route.of(rbm)
        if trained.write_gradients_of_units is None:
            trained.write_gradient(v, field, rbm.hidden.mean(field), weights)
        else:
            trained.write_gradient_from_field(v, field, torch.empty_like(field), weights)
    for parameter, gradient in zip(rbm.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("visible", "hidden"), PAIRS)
def test_an_inverse_temperature_multiplies_the_interaction(visible: str, hidden: str) -> None:
    """A model at ``beta`` is the one whose weight is multiplied by it, in every method that takes one."""
    rbm, scaled = make_rbm(visible, hidden, 6, 5), make_rbm(visible, hidden, 6, 5)
    with torch.no_grad():
        scaled.weight.mul_(0.3)
    v, h = random_states(visible, 9, 6), random_states(hidden, 9, 5)
    close = partial(torch.testing.assert_close, rtol=0, atol=1e-12)
    close(rbm.energy(v, h, beta=0.3), scaled.energy(v, h))
    close(rbm.free_energy(v, beta=0.3), scaled.free_energy(v))
    close(rbm.free_energy_hidden(h, beta=0.3), scaled.free_energy_hidden(h))
    close(rbm.mean_hidden(v, beta=0.3), scaled.mean_hidden(v))
    close(rbm.mean_visible(h, beta=0.3), scaled.mean_visible(h))
    close(rbm.gibbs(v, 3, stream(0, "gibbs"), beta=0.3), scaled.gibbs(v, 3, stream(0, "gibbs")))
    several = rbm.free_energy(v, beta=(0.0, 0.3, 1.0))
    close(several[1], scaled.free_energy(v))
    close(several[2], rbm.free_energy(v))
    assert several.shape == (3, 9)


@pytest.mark.parametrize(("visible", "hidden"), PAIRS)
def test_gradient_with_exact_model_samples_is_that_of_the_log_likelihood(
    visible: str, hidden: str, route: Route
) -> None:
    """Central differences of the exact mean log-likelihood against the explicit gradient and the exact ``log Z``.

    The explicit gradient is that of the data against one state; the free energy's own gradient at that state and the
    gradient of ``log Z`` make it that of the log-likelihood.
    """
    rbm = make_rbm(visible, hidden, 3, 3)
    data = random_states(visible, 8, 3)
    anchor = random_states(visible, 1, 3)

    def mean_log_likelihood() -> float:
        return float((-rbm.free_energy(data)).mean() - log_z(rbm))

    differences = {}
    step = 1e-5
    for name, parameter in rbm.named_parameters():
        difference = torch.zeros_like(parameter)
        for index in product(*map(range, parameter.shape)):
            values = []
            for sign in (1, -1):
                with torch.no_grad():
                    parameter[index] += sign * step
                    values.append(mean_log_likelihood())
                    parameter[index] -= sign * step
            difference[index] = (values[0] - values[1]) / (2 * step)
        differences[name] = difference

    parameters = list(rbm.parameters())
    moved = deepcopy(rbm).to(route.device)
    with torch.no_grad():
        trained = route.of(moved)
        phases_of(trained, data, anchor.expand_as(data)).write_gradient(trained)
    at_anchor = torch.autograd.grad(rbm.free_energy(anchor).sum(), parameters)
    of_log_z = torch.autograd.grad(log_z(rbm), parameters)  # minus the model's mean of the free energy's gradient
    for (name, parameter), anchored, negative in zip(moved.named_parameters(), at_anchor, of_log_z, strict=True):
        assert parameter.grad is not None
        found = -(parameter.grad.cpu() + anchored) - negative
        torch.testing.assert_close(found, differences[name], rtol=0, atol=2e-8)


@pytest.mark.parametrize("steps", [1, 4, 16])
def test_gibbs_leaves_the_exact_distribution_where_it_is(steps: int, route: Route) -> None:
    """Binary units: total variation of many chains stays under four times its expectation for exact draws."""
    rbm = make_rbm("bernoulli", "bernoulli", 5, 4)
    states = rbm.visible.states()
    p = torch.softmax(-rbm.free_energy(states), 0)
    draws = route.draws
    generator = torch.Generator().manual_seed(3)
    v = states[torch.multinomial(p, draws, replacement=True, generator=generator)]
    moved = route.of(rbm.to(route.device)).gibbs(v.to(route.device), steps, route.noise(3)).cpu()
    q = torch.bincount((moved @ 2.0 ** torch.arange(4, -1, -1).double()).long(), minlength=32) / draws
    floor = (p * (1 - p) / draws).sqrt().sum() / 2
    assert (p - q).abs().sum() / 2 < 4 * floor


@pytest.mark.parametrize("steps", [1, 4, 16])
@pytest.mark.parametrize(("visible", "hidden"), [("bernoulli", "gaussian"), ("gaussian", "bernoulli")])
def test_gibbs_leaves_mixed_distributions_where_they_are(visible: str, hidden: str, steps: int, route: Route) -> None:
    """One real side: the exact law of the binary side, and the moments of the real one given exact draws, stay."""
    rbm = make_rbm(visible, hidden, 4, 3)
    moving, noise = route.of(deepcopy(rbm).to(route.device)), route.noise(4)
    draws, generator = route.draws, torch.Generator().manual_seed(4)
    if visible == "bernoulli":
        states = rbm.visible.states()
        p = torch.softmax(-rbm.free_energy(states), 0)
        v = states[torch.multinomial(p, draws, replacement=True, generator=generator)]
        binary = moving.gibbs(v.to(route.device), steps, noise).cpu()
    else:
        states = rbm.hidden.states()
        p = torch.softmax(-rbm.free_energy_hidden(states), 0)
        h = states[torch.multinomial(p, draws, replacement=True, generator=generator)]
        v = rbm.sample_visible(h, generator)
        moved = moving.gibbs(v.to(route.device), steps, noise).cpu()
        means = torch.stack([rbm.mean_visible(state[None])[0] for state in states])
        expected = p @ means
        variance = 1 + p @ (means - expected).square()
        assert ((moved.mean(0) - expected).abs() < 5 * (variance / draws).sqrt()).all()
        assert ((moved.var(0) / variance - 1).abs() < 5 * (2 / draws) ** 0.5).all()
        binary = rbm.sample_hidden(moved, generator)
    size = binary.shape[1]
    q = torch.bincount((binary @ 2.0 ** torch.arange(size - 1, -1, -1).double()).long(), minlength=2**size) / draws
    floor = (p * (1 - p) / draws).sqrt().sum() / 2
    assert (p - q).abs().sum() / 2 < 4 * floor


@pytest.mark.parametrize("steps", [1, 4, 16])
def test_gibbs_leaves_the_joint_gaussian_where_it_is(steps: int, route: Route) -> None:
    """Real units on both sides: mean and covariance of the exact marginal stay, within five standard errors."""
    rbm = make_rbm("gaussian", "gaussian", 3, 2)
    draws, generator = route.draws, torch.Generator().manual_seed(5)
    with torch.no_grad():
        precision = torch.eye(3, dtype=torch.float64) - rbm.weight @ rbm.weight.T
        covariance = torch.linalg.inv(precision)
        mean = covariance @ (rbm.visible.bias + rbm.weight @ rbm.hidden.bias)
        noise = torch.randn(draws, 3, generator=generator, dtype=torch.float64)
        v = mean + noise @ torch.linalg.cholesky(covariance).T
    moved = route.of(rbm.to(route.device)).gibbs(v.to(route.device), steps, route.noise(5)).cpu()
    assert ((moved.mean(0) - mean).abs() < 5 * (covariance.diag() / draws).sqrt()).all()
    error = (covariance.diag()[:, None] * covariance.diag() + covariance**2) / draws
    assert ((moved.T.cov() - covariance).abs() < 5 * error.sqrt()).all()


@pytest.mark.parametrize("visible", ["bernoulli", "binomial", "gaussian", "gaussian_with_variance", "softmax", "spin"])
def test_without_weights_the_likelihood_is_that_of_independent_units(visible: str) -> None:
    rbm = make_rbm(visible, "bernoulli", 4, 3)
    with torch.no_grad():
        rbm.weight.zero_()
    v = random_states(visible, 6, 4)
    mean = rbm.visible.mean(torch.zeros(1, 4, dtype=torch.float64))
    if visible == "bernoulli":
        expected = torch.distributions.Bernoulli(mean).log_prob(v).sum(1)
    elif visible == "binomial":
        expected = torch.distributions.Binomial(2, mean / 2).log_prob(v).sum(1)
    elif visible == "spin":
        expected = torch.distributions.Bernoulli((1 + mean) / 2).log_prob((1 + v) / 2).sum(1)
    elif visible == "softmax":
        groups = zip(mean.split(2, 1), v.split(2, 1), strict=True)
        expected = sum(torch.distributions.OneHotCategorical(p).log_prob(x) for p, x in groups)
    else:
        deviation = getattr(rbm.visible, "variance", torch.ones(4)).sqrt()
        expected = torch.distributions.Normal(mean, deviation).log_prob(v).sum(1)
    torch.testing.assert_close(log_likelihood(rbm, v), expected, rtol=0, atol=1e-10)


LEARNED = [
    ("gaussian_with_variance", "bernoulli"),
    ("softmax", "bernoulli"),
    ("mixed", "bernoulli"),
    ("mixed", "softmax"),
]
LEARNED += [(hidden, visible) for visible, hidden in LEARNED] + [("softmax", "softmax"), ("softmax", "gaussian")]
LEARNED += [("spin", "spin"), ("binomial", "binomial"), ("spin", "binomial"), ("binomial", "spin")]
LEARNED += [("spin", "gaussian"), ("gaussian_with_variance", "binomial"), ("mixed", "spin")]
LEARNED += [("gaussian_with_variance", "gaussian"), ("mixed", "gaussian_with_variance"), ("mixed", "mixed")]


@pytest.mark.parametrize("steps", [1, 4, 16])
@pytest.mark.parametrize(("visible", "hidden"), LEARNED)
def test_gibbs_leaves_distributions_of_several_types_where_they_are(visible: str, hidden: str, steps: int) -> None:
    """From exact draws: first and second moments of all units stay where sums over states and integrals say they are.

    Within five standard errors, which come from the draws themselves: values are bounded, or nearly normal.
    """
    rbm, generator = make_rbm(visible, hidden, 4, 3), torch.Generator().manual_seed(7)
    draws = 200_000
    v = rbm.gibbs(exact_draws(rbm, draws, generator), steps, generator)
    n = len(v)
    mean, second = exact_moments(rbm)
    for found, expected in ((v, mean), (v[:, :, None] * v[:, None], second)):
        error = found.std(0) / n**0.5 + 1e-9
        assert ((found.mean(0) - expected).abs() < 5 * error).all(), (found.mean(0) - expected) / error


@torch.no_grad()
def exact_moments(rbm: RBM) -> tuple[Tensor, Tensor]:
    """Mean ``(n,)`` and mean product ``(n, n)`` of visible units, by the law of real units given the binary ones."""
    law = Law.of(rbm.visible)
    binary, log_weights, real, precision = given_binary_units(rbm)
    p, k = torch.softmax(log_weights, 0), len(law.real)
    given = torch.empty(len(p), rbm.n_visible, dtype=torch.float64)
    given[:, law.binary], given[:, law.real] = binary, real[:, :k]
    second = (p[:, None] * given).T @ given
    covariance = torch.linalg.inv(precision)[:k, :k]
    for row, own in enumerate(law.real):
        second[own, law.real] += covariance[row]
    return p @ given, second


def test_probabilities_of_all_states_sum_to_one() -> None:
    rbm = make_rbm("bernoulli", "gaussian", 6, 3)
    assert log_likelihood(rbm, rbm.visible.states()).exp().sum().item() == pytest.approx(1, abs=1e-10)
