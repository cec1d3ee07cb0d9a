"""Double rectified units against quadrature, Gaussian units, autograd and exact draws, in both tails."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from scipy import integrate
from torch import Tensor

from dbn import DBN, RBM, Bernoulli
from dbn.errors import SettingError
from dbn.likelihood import log_likelihood, log_partition_function
from dbn.models.phases import Phases
from dbn.models.truncated_normal import log_integral, sample_positive, scaled_moments
from dbn.models.units import DoubleReLU, Gaussian, Units, make_units
from dbn.pretraining.contrastive import ContrastiveStep
from dbn.random.streams import streams
from dbn.samplers import ContrastiveDivergence
from finetune.networks.network import Network
from finetune.networks.unrolling import unroll
from helpers import units_of

FIELDS = [-40.0, -3.0, 0.0, 1.3, 40.0]


def made(size: int, seed: int = 1) -> DoubleReLU:
    """Units with both biases of either sign, and widths from 0.3 to 3."""
    units, generator = DoubleReLU(size).double(), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in units.parameters():
            parameter.copy_(torch.rand(size, generator=generator, dtype=torch.float64) * 2 - 1)
    return units


def model(visible: str = "bernoulli", n_visible: int = 4, n_hidden: int = 3, seed: int = 1) -> RBM:
    """A small float64 RBM."""
    generator = torch.Generator().manual_seed(seed)
    rbm = RBM(units_of(visible, n_visible), DoubleReLU(n_hidden)).double()
    with torch.no_grad():
        for parameter in rbm.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.3)
    return rbm


def integral(units: Units, field: float, power: int) -> float:
    """``integral x^power exp(-E(x) + field x) dx`` of one unit, over its half-lines, relative to its largest value."""

    def exponent(x: float) -> float:
        return -units.energy(torch.tensor([[x]], dtype=torch.float64)).item() + field * x

    grid = np.linspace(-150, 150, 30001)
    values = -units.energy(torch.from_numpy(grid)[:, None]).detach().numpy() + field * grid
    top, place = values.max(), grid[values.argmax()]
    near = sorted({0.0, place - 5, place, place + 5})
    total = 0.0
    for low, high in zip([-150.0, *near], [*near, 150.0], strict=True):
        total += integrate.quad(lambda x: x**power * math.exp(exponent(x) - top), low, high, limit=200)[0]
    return total * math.exp(top) if top < 600 else math.inf


@pytest.mark.parametrize("field", [-12.0, -3.0, 0.0, 1.3, 12.0])
def test_log_partition_and_mean_are_integrals(field: float) -> None:
    units, f = made(1), torch.tensor([[field]], dtype=torch.float64)
    total = integral(units, field, 0)
    assert units.log_partition(f).item() == pytest.approx(math.log(total), abs=1e-8)
    assert units.mean(f).item() == pytest.approx(integral(units, field, 1) / total, rel=1e-7, abs=1e-8)


def test_mean_and_gradients_are_those_of_autograd() -> None:
    """Of the log partition by the field and by all parameters, for fields far in both tails; of the energy."""
    units = made(5)
    field = torch.tensor([FIELDS] * 5, dtype=torch.float64).T.contiguous().requires_grad_()
    x, weights = torch.randn(5, 5, dtype=torch.float64), torch.randn(5, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(units.log_partition(field).sum(), field)
    torch.testing.assert_close(units.mean(field), gradient, rtol=1e-9, atol=1e-10)
    for value, write in (
        (-units.energy(x) @ weights, lambda: units.write_minus_energy_gradient(x, weights)),
        (
            units.log_partition(field.detach()) @ weights,
            lambda: units.write_log_partition_gradient(field.detach(), units.mean(field.detach()), weights),
        ),
    ):
        expected = torch.autograd.grad(value, list(units.parameters()))
        with torch.no_grad():
            write()
        for parameter, gradient in zip(units.parameters(), expected, strict=True):
            torch.testing.assert_close(parameter.grad, gradient, rtol=1e-9, atol=1e-9)


def test_with_equal_sides_they_are_gaussian_units() -> None:
    units, real = DoubleReLU(4).double(), Gaussian(4).double()
    bias = torch.tensor([-2.0, 0.0, 0.7, 3.0], dtype=torch.float64)
    units.initialise_bias(bias)
    real.initialise_bias(bias)
    field = torch.randn(6, 4, dtype=torch.float64) * 3
    torch.testing.assert_close(units.mean(field), real.mean(field), rtol=0, atol=1e-12)
    constant = 0.5 * bias.square().sum()  # which Gaussian units have in their energy
    torch.testing.assert_close(units.log_partition(field) - constant, real.log_partition(field), rtol=0, atol=1e-11)


def test_draws_have_the_moments_of_the_law() -> None:
    """Mean and mean square of 400000 draws, within five standard errors, with either side likely or not."""
    units, n = made(5), 400_000
    field = torch.tensor([FIELDS], dtype=torch.float64)
    draws = units.sample(field.expand(n, -1), torch.Generator().manual_seed(2)).detach()
    above, above_square, below, below_square = (own[0].detach() for own in units._weighted_moments(field))
    for found, expected in ((draws, above + below), (draws.square(), above_square + below_square)):
        assert ((found.mean(0) - expected).abs() < 5 * found.std(0) / n**0.5).all()
    assert (draws[:, [0, 4]].sign().mean(0) == torch.tensor([-1.0, 1.0])).all()


@pytest.mark.parametrize("t", [-1e6, -300.0, -50.1, -49.9, -5.0, 0.0, 0.4, 50.0, 1e4])
def test_half_a_normal_density_in_both_tails(t: float) -> None:
    """Moments against draws, and where quadrature can be had, against it; draws are finite and not negative."""
    location = torch.tensor([t], dtype=torch.float64)
    u = torch.rand(200_000, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    y = sample_positive(location.expand(len(u)), u)
    assert y.isfinite().all()
    assert (y >= 0).all()
    first, second = scaled_moments(location)
    assert abs(float(y.mean() - first)) < 5 * float(y.std()) / len(u) ** 0.5
    assert abs(float(y.square().mean() - second)) < 5 * float(y.square().std()) / len(u) ** 0.5
    if abs(t) < 7:
        found = [integrate.quad(lambda x, k=k: x**k * math.exp(t * x - x * x / 2), 0, 30)[0] for k in range(3)]
        assert float(log_integral(location)) == pytest.approx(math.log(found[0]), abs=1e-9)
        assert float(first) == pytest.approx(found[1] / found[0], rel=1e-8)
        assert float(second) == pytest.approx(found[2] / found[0], rel=1e-8)


def hidden_integral(rbm: RBM, v: Tensor) -> float:
    """Free energy of one state by quadrature over each hidden unit."""
    total = rbm.visible.energy(v[None]).item()
    for unit, field in enumerate((v @ rbm.weight).tolist()):
        own = DoubleReLU(1).double()
        with torch.no_grad():
            for name, parameter in own.named_parameters():
                parameter.copy_(rbm.hidden.get_parameter(name)[unit : unit + 1])
        total -= math.log(integral(own, field, 0))
    return total


@torch.no_grad()
def test_free_energy_integrates_the_hidden_units_out() -> None:
    rbm = model()
    states = rbm.visible.states()
    for state in states[::5]:
        assert rbm.free_energy(state[None]).item() == pytest.approx(hidden_integral(rbm, state), abs=1e-7)
    assert log_partition_function(rbm).item() == pytest.approx(
        torch.logsumexp(-rbm.free_energy(states), 0).item(), abs=1e-10
    )


@pytest.mark.parametrize("visible", ["bernoulli", "spin", "softmax", "gaussian"])
def test_explicit_gradient_against_autograd(visible: str) -> None:
    rbm = model(visible, 6, 5)
    data, negative = rbm.visible.sample(torch.randn(18, 6, dtype=torch.float64)).detach().split(9)
    loss = rbm.free_energy(data).mean() - rbm.free_energy(negative).mean()
    expected = torch.autograd.grad(loss, list(rbm.parameters()))
    phases = Phases(rbm, 9)
    with torch.no_grad():
        for phase, v in ((phases.positive, data), (phases.negative, negative)):
            phase.v.copy_(v)
            phase.condition_on_visible(rbm)
        phases.write_gradient(rbm)
    for parameter, gradient in zip(rbm.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=0, atol=1e-10)


def test_gradient_with_exact_samples_is_that_of_the_log_likelihood() -> None:
    """Central differences of the mean log-likelihood, with log Z summed over the visible states."""
    rbm = model()
    states = rbm.visible.states()
    data = states[[1, 6, 11, 12]]

    @torch.no_grad()
    def mean_log_likelihood() -> float:
        return float(-rbm.free_energy(data).mean() - torch.logsumexp(-rbm.free_energy(states), 0))

    v = torch.cat([data, states])
    weights = torch.cat([torch.full((4,), 0.25, dtype=torch.float64), -log_likelihood(rbm, states).exp()])
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


@pytest.mark.parametrize("steps", [1, 4])
def test_gibbs_leaves_the_exact_distribution_where_it_is(steps: int) -> None:
    rbm, draws, generator = model(), 100_000, torch.Generator().manual_seed(3)
    states = rbm.visible.states()
    p = log_likelihood(rbm, states).exp()
    v = states[torch.multinomial(p, draws, replacement=True, generator=generator)]
    moved = rbm.gibbs(v, steps, generator)
    q = torch.bincount((moved @ 2.0 ** torch.arange(3, -1, -1).double()).long(), minlength=16) / draws
    assert (p - q).abs().sum() / 2 < 4 * (p * (1 - p) / draws).sqrt().sum() / 2


def test_every_member_of_a_group_takes_the_steps_it_would_take_alone() -> None:
    v, sampler = torch.rand(2, 10, 4, dtype=torch.float64), ContrastiveDivergence()
    members = [model(seed=seed) for seed in (1, 2)]
    group = RBM.group([model(seed=seed) for seed in (1, 2)])
    for rbm, batch, seeds in ((group, v, [0, 1]), (members[0], v[0], [0]), (members[1], v[1], [1])):
        step, optimizer = ContrastiveStep(rbm, sampler), torch.optim.SGD(rbm.parameters(), lr=0.02)
        for number in range(5):
            step(batch, optimizer, streams(seeds, "gibbs", number))
    for seed, (alone, found) in enumerate(zip(members, group.members(), strict=True), start=1):
        for (name, own), (_, other) in zip(alone.named_parameters(), found.named_parameters(), strict=True):
            torch.testing.assert_close(other, own, rtol=0, atol=1e-11, msg=name)
            if name != "visible.bias":
                assert not torch.allclose(own, model(seed=seed).get_parameter(name), atol=1e-5), name


def test_networks_have_no_such_activation_and_say_so() -> None:
    stack = DBN([RBM(Bernoulli(6), make_units("drelu", 5))])
    with pytest.raises(SettingError, match=r"drelu.*no activation of a network.*hidden=relu"):
        unroll(stack, Network.dense([6, 5, 3]))
    stack.save("dbn.safetensors")
    again = DBN.load("dbn.safetensors")
    assert torch.equal(again.up(torch.ones(2, 6)), stack.up(torch.ones(2, 6)))


def test_a_field_is_the_same_as_more_of_both_biases() -> None:
    """As centering moves them, see :class:`dbn.pretraining.gradients.Centered`."""
    units, shift = made(5), torch.tensor([[-2.0, -0.3, 0.0, 0.7, 3.0]], dtype=torch.float64)
    field = torch.randn(8, 5, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    expected = units.log_partition(field + shift)
    for parameter in units.parameters():
        parameter.grad = torch.zeros_like(parameter)
    units.add_field_gradient(shift)
    with torch.no_grad():
        for parameter in units.parameters():
            parameter.add_(parameter.grad)
    torch.testing.assert_close(units.log_partition(field), expected, rtol=0, atol=1e-12)
