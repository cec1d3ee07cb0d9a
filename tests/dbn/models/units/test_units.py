"""Unit types against quadrature, autograd and sampling."""

import json
import math

import numpy as np
import pytest
import torch
from scipy import integrate, optimize, stats

from dbn.errors import SettingError
from dbn.models.units import (
    Bernoulli,
    Binomial,
    Gaussian,
    GaussianWithVariance,
    Mixed,
    ReLU,
    Softmax,
    Spin,
    Units,
    make_units,
)
from helpers import ENUMERABLE, KINDS, Route, units_of


def made(kind: str, size: int) -> Units:
    """Units with biases away from zero and variances from 0.2 to 3.3, in float64."""
    units = units_of(kind, size).double()
    with torch.no_grad():
        for parameter in units.parameters():
            parameter.copy_(torch.linspace(-1.5, 1.2, parameter.numel(), dtype=torch.float64))
    return units


@pytest.mark.parametrize("field", [-3.0, -0.4, 0.0, 2.5])
def test_log_partition_is_the_sum_or_integral_over_states(field: float) -> None:
    binary = made("bernoulli", 1)
    f = torch.tensor([[field]], dtype=torch.float64)
    total = sum(
        math.exp(-binary.energy(torch.tensor([[x]], dtype=torch.float64)).item() + field * x) for x in (0.0, 1.0)
    )
    assert binary.log_partition(f).item() == pytest.approx(math.log(total), abs=1e-12)

    for kind in ("gaussian", "gaussian_with_variance"):
        real = made(kind, 1)

        def integrand(x: float, real: Units = real) -> float:
            return math.exp(-real.energy(torch.tensor([[x]], dtype=torch.float64)).item() + field * x)

        integral, _ = integrate.quad(integrand, -30, 30, epsabs=1e-12)
        assert real.log_partition(f).item() == pytest.approx(math.log(integral), abs=1e-9)


@pytest.mark.parametrize("kind", ENUMERABLE)
def test_log_partition_of_units_with_states_is_the_sum_over_them(kind: str) -> None:
    units, fields = made(kind, 5), torch.randn(4, 5, dtype=torch.float64)
    states = units.states()
    expected = torch.logsumexp(fields @ states.T - units.energy(states), 1)
    torch.testing.assert_close(units.log_partition(fields), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("field", [-3.0, -0.4, 0.0, 2.5])
def test_log_partition_of_rectified_units_is_that_of_the_best_state(field: float) -> None:
    units = made("relu", 1)
    f = torch.tensor([[field]], dtype=torch.float64)

    def energy_in_field(x: float) -> float:
        return units.energy(torch.tensor([[x]], dtype=torch.float64)).item() - field * x

    best = optimize.minimize_scalar(energy_in_field, bounds=(0, 30), method="bounded", options={"xatol": 1e-10})
    assert units.log_partition(f).item() == pytest.approx(-best.fun, abs=1e-8)
    assert units.mean(f).item() == pytest.approx(best.x, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_mean_is_the_gradient_of_the_log_partition(kind: str) -> None:
    units = made(kind, 6)
    field = torch.randn(7, 6, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(units.log_partition(field).sum(), field)
    torch.testing.assert_close(units.mean(field), gradient, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_parameter_gradients_against_autograd(kind: str) -> None:
    units = made(kind, 6)
    x, field = torch.rand(14, 6, dtype=torch.float64), torch.randn(14, 6, dtype=torch.float64)
    weights = torch.randn(14, dtype=torch.float64)
    weights -= weights.mean()
    for function, write in (
        (lambda: -units.energy(x) @ weights, lambda: units.write_minus_energy_gradient(x, weights)),
        (
            lambda: torch.stack([units.log_partition(f) for f in field]) @ weights,
            lambda: units.write_log_partition_gradient(field, units.mean(field), weights),
        ),
    ):
        expected = torch.autograd.grad(function(), list(units.parameters()))
        with torch.no_grad():
            write()
        for parameter, gradient in zip(units.parameters(), expected, strict=True):
            torch.testing.assert_close(parameter.grad, gradient, rtol=0, atol=1e-11)


REAL = ("gaussian", "gaussian_with_variance")


@pytest.mark.parametrize("kind", KINDS)
def test_moments_of_a_million_samples(kind: str, route: Route) -> None:
    """Mean and variance within five standard errors, for fields on both sides of zero."""
    units = made(kind, 3)
    drawn = units
    if route.in_kernels:
        pytest.importorskip("triton")
        if kind not in ("bernoulli", "gaussian", "relu"):
            pytest.skip("there is no kernel for it")
        from dbn.models.units.in_kernels import KernelUnits

        drawn = KernelUnits(made(kind, 3).to(route.device))
    field = torch.tensor([[0.7, -1.1, 2.0]], dtype=torch.float64)
    n = 1_000_000
    draws = drawn.sample(field.expand(n, 3).contiguous().to(route.device), route.noise(1)).cpu()
    if kind == "relu":
        check_rectified_normal(units, field[0], draws)
        return
    mean = units.mean(field)[0]
    real = torch.tensor([kind in REAL or (kind == "mixed" and place == 0) for place in range(3)])
    own = units.gain()
    low, high = units.interval if kind == "spin" else (0, 1)  # of a trial, of which a binomial unit has several
    trials = units.trials if isinstance(units, Binomial) else 1
    p = (mean / trials - low) / (high - low)
    variance = torch.where(
        real, torch.ones(3).double() if own is None else own, trials * (high - low) ** 2 * p * (1 - p)
    )
    of_counts = trials * p * (1 - p) * (1 + 3 * (trials - 2) * p * (1 - p)) * (high - low) ** 4
    fourth = torch.where(real, 3 * variance**2, of_counts)
    assert ((draws.mean(0) - mean).abs() < 5 * (variance / n).sqrt()).all()
    assert ((draws.var(0) - variance).abs() < 5 * ((fourth - variance**2).clamp(min=1e-12) / n).sqrt() + 1e-5).all()


def check_rectified_normal(units: Units, field: torch.Tensor, draws: torch.Tensor) -> None:
    """Of max(0, a + s z): E[x] = a P(s z > -a) + s phi(a/s) and E[x^2] = (a^2 + s^2) Phi(a/s) + a s phi(a/s)."""
    a = (field + units.bias).detach().numpy()
    s = (1 / (1 + np.exp(-a))) ** 0.5
    mean = a * stats.norm.cdf(a / s) + s * stats.norm.pdf(a / s)
    second = (a**2 + s**2) * stats.norm.cdf(a / s) + a * s * stats.norm.pdf(a / s)
    x = draws.detach().numpy()
    assert (np.abs(x.mean(0) - mean) < 5 * np.sqrt((second - mean**2) / len(x))).all()
    assert (np.abs((x**2).mean(0) - second) < 5 * (x**2).std(0) / np.sqrt(len(x))).all()
    assert (x >= 0).all()


def test_a_rectified_draw_is_near_a_sum_of_shifted_binary_units() -> None:
    """What it stands for: E[sum_k sigma(a - k + 1/2)], which is log(1 + e^a) to 1 % (Nair & Hinton, section 2)."""
    units = ReLU(1).double()
    for a in (3.0, 6.0):
        field = torch.full((400_000, 1), a, dtype=torch.float64)
        exact = sum(1 / (1 + math.exp(-(a - k + 0.5))) for k in range(1, 200))
        assert exact == pytest.approx(math.log1p(math.exp(a)), rel=0.01)
        assert units.sample(field, torch.Generator().manual_seed(2)).mean().item() == pytest.approx(exact, rel=0.02)


@pytest.mark.parametrize("kind", KINDS)
def test_bias_from_data_gives_the_base_rates(kind: str) -> None:
    units = units_of(kind, 4).double()
    rates = torch.tensor([0.01, 0.99, 0.27, 0.73], dtype=torch.float64)
    units.initialise_bias(rates)
    torch.testing.assert_close(units.mean(torch.zeros(1, 4, dtype=torch.float64))[0], rates, rtol=0, atol=1e-12)


def test_no_overflow_and_no_nan_gradient_at_huge_fields() -> None:
    units = Bernoulli(2)
    field = torch.tensor([[1e4, -1e4]], requires_grad=True)
    value = units.log_partition(field)
    value.sum().backward()
    assert value.item() == pytest.approx(1e4)
    assert field.grad is not None
    assert field.grad.tolist() == [[1.0, 0.0]]


def test_states_are_all_different_and_in_counting_order() -> None:
    assert Bernoulli(3).states().tolist()[:3] == [[0, 0, 0], [0, 0, 1], [0, 1, 0]]
    assert len({tuple(state) for state in Bernoulli(6).states().tolist()}) == 64


@pytest.mark.parametrize(
    "units",
    [Bernoulli(21), Gaussian(2), Softmax(44, 2), units_of("mixed", 3), Mixed(40, [{"kind": "bernoulli", "n": 20}] * 2)],
)
def test_too_many_states_are_refused(units: Units) -> None:
    with pytest.raises(SettingError, match="states"):
        units.states()


@pytest.mark.parametrize("size", [0, -3, 2.5, "4", True])
def test_bad_sizes_are_refused(size: object) -> None:
    with pytest.raises(SettingError, match="whole number"):
        Bernoulli(size)  # type: ignore[arg-type]


def test_an_unknown_unit_type_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        SettingError,
        match=r"bernoulli_with_label, binomial, drelu, gaussian, .*max_pooled, mixed, per_map, relu, .*, spin",
    ):
        make_units("binary", 3)


def test_every_draw_of_categories_has_one_in_each_group() -> None:
    """Also where probabilities are 0 or 1 in float32, and for means given beforehand."""
    units = Softmax(9, [4, 2, 3])
    field = 200 * torch.randn(5000, 9, generator=torch.Generator().manual_seed(1))
    draws = units.sample(field, torch.Generator().manual_seed(2)).detach()
    assert {tuple(group.sum(1).unique().tolist()) for group in draws.split([4, 2, 3], 1)} == {(1.0,)}
    assert (units.mean(field)[draws == 1] > 0).all()
    again = units.sample(field, torch.Generator().manual_seed(2), mean=units.mean(field))
    assert torch.equal(again, draws)


def test_writing_over_the_field_gives_what_a_new_tensor_does() -> None:
    """Samplers write means and draws into the memory of the field."""
    for kind in KINDS:
        units, field = made(kind, 6), torch.randn(7, 6, dtype=torch.float64)
        with torch.no_grad():
            for function in (
                units.mean,
                lambda f, out=None, u=units: u.sample(f, torch.Generator().manual_seed(3), out),
            ):
                expected, over = function(field), field.clone()
                assert function(over, out=over) is over
                assert torch.equal(over, expected), kind


def test_variances_start_at_one_and_stay_above_their_floor() -> None:
    units = GaussianWithVariance(3, floor=0.05)
    torch.testing.assert_close(units.variance, torch.ones(3))
    with torch.no_grad():
        units.log_variance.copy_(torch.tensor([-200.0, 0.0, 3.0]))
    assert units.variance.tolist() == pytest.approx([0.05, 1.05, 0.05 + math.exp(3)])


@pytest.mark.parametrize("trials", [0, -1, 2.5, "3", True])
def test_trials_that_are_no_number_of_trials_are_refused(trials: object) -> None:
    with pytest.raises(SettingError, match="trials="):
        Binomial(5, trials)  # type: ignore[arg-type]


@pytest.mark.parametrize("field", [-1e4, -50.0, 50.0, 1e4])
def test_spins_and_counts_far_in_the_tails_stay_finite(field: float) -> None:
    """There ``log 2 cosh a`` is ``|a|``, and N trials all fail or all succeed, in float32 as well."""
    f = torch.tensor([[field]])
    assert Spin(1).log_partition(f).item() == pytest.approx(abs(field), abs=1e-6)
    assert Spin(1).sample(f).item() == math.copysign(1, field)
    assert Binomial(1, 7).log_partition(f).item() == pytest.approx(max(7 * field, 0.0), abs=1e-6)
    assert Binomial(1, 7).sample(f).item() == (7 if field > 0 else 0)


@pytest.mark.parametrize("categories", [1, 4, [3, 3], [3, 1, 1], "a", 2.5, [], True, [2.0, 3.0]])
def test_categories_that_do_not_fit_are_refused(categories: object) -> None:
    with pytest.raises(SettingError, match="categories="):
        Softmax(5, categories)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("parts", "match"),
    [
        ([], "made of parts"),
        (["bernoulli"], "number of its units"),
        ([{"kind": "bernoulli", "n": 3}], "3 units together, of 5"),
        ([{"kind": "bernoulli", "n": 0}], r"parts\.n=0"),
        ([{"kind": "nothing", "n": 5}], "no such choice"),
        ([{"kind": "mixed", "n": 5, "parts": [{"kind": "bernoulli", "n": 5}]}], "side by side"),
        ([{"kind": "softmax", "n": 5, "categories": [4, 4]}], "should be 8"),
    ],
)
def test_parts_that_do_not_fit_are_refused(parts: list[object], match: str) -> None:
    with pytest.raises(SettingError, match=match):
        make_units({"kind": "mixed", "parts": parts}, 5)


@pytest.mark.parametrize("kind", KINDS)
def test_units_are_made_again_from_their_description(kind: str) -> None:
    units = units_of(kind, 6)
    again = make_units(json.loads(json.dumps(units.spec())), [6])
    assert again.matches(units)
    assert {name: p.shape for name, p in again.named_parameters()} == {
        name: p.shape for name, p in units.named_parameters()
    }
    low, high = again.bounds()
    assert low.shape == high.shape == (6,)
