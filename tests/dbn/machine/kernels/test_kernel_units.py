"""Units and statistics by kernels against plain torch, with the same noise."""

from typing import Any

import pytest
import torch
from torch import Tensor

from dbn.models.units import Units, make_units
from helpers import Route
from reference_noise import normal, uniform

KINDS = ("bernoulli", "gaussian", "relu")
SHAPES = [(7, 13), (3, 5, 33)]
"""Of one layer, and of a group."""
DTYPES = [torch.float32, torch.bfloat16, torch.float64]


def made(kind: str, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Units:
    """Plain units with biases from N(0, 1); of a group if the shape has three dimensions."""
    units = make_units(kind, shape[-1])
    if len(shape) == 3:
        units = Units.group([units] * shape[0])
    torch.nn.init.normal_(units.bias)
    return units.to(device, torch.float64 if dtype == torch.float64 else torch.float32)


def in_kernels(units: Units) -> Any:
    from dbn.models.units.in_kernels import KernelUnits

    return KernelUnits(units)


def rounding(dtype: torch.dtype) -> float:
    """The interpreter truncates to bfloat16."""
    return {torch.float32: 1e-6, torch.bfloat16: 2**-7, torch.float64: 1e-12}[dtype]


def expected_sample(units: Units, field: Tensor, call: int) -> Tensor:
    """By the formulas of the units' docstrings, with the reference's noise of seeds 1, 2, ..."""
    members = units.bias.numel() // units.size
    reference = uniform if units.kind == "bernoulli" else normal
    noise = torch.stack([reference(seed, call, field.numel() // members) for seed in range(1, members + 1)])
    noise, a = noise.view(field.shape), (field + units.bias).double().cpu()
    if units.kind == "bernoulli":
        return (noise < torch.sigmoid(a)).double()
    return a + noise if units.kind == "gaussian" else (a + noise * torch.sigmoid(a).sqrt()).relu()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_means_and_samples(kind: str, shape: tuple[int, ...], dtype: torch.dtype, kernels: Route) -> None:
    from dbn.machine.kernels.philox import Philox

    units = made(kind, shape, dtype, kernels.device)
    fused = in_kernels(units)
    noise = Philox.seeded(range(1, units.bias.numel() // units.size + 1), kernels.device)
    field = torch.randn(shape, device=kernels.device).to(dtype)
    mean, state = torch.empty_like(field), torch.empty_like(field)
    with torch.no_grad():
        close = {"rtol": rounding(dtype), "atol": rounding(dtype)}
        expected = units.mean(field.to(units.bias.dtype))
        torch.testing.assert_close(fused.mean(field), expected, rtol=1e-5, atol=1e-6)
        fused.mean_and_sample(field, noise, mean, state)
        torch.testing.assert_close(mean, expected.to(dtype), **close)
        wanted = expected_sample(units, field, 0)
        torch.testing.assert_close(state.cpu().double(), wanted, rtol=max(1e-4, close["rtol"]), atol=1e-4)
        alone = fused.sample(field, noise)
        wanted = expected_sample(units, field, 1)
        torch.testing.assert_close(alone.cpu().double(), wanted, rtol=1e-4, atol=1e-4)
        noise.calls = 0
        assert fused.sample(field, noise, out=field) is field
        assert torch.equal(field, state)


def test_certain_units_are_certain(kernels: Route) -> None:
    """A mean of 0 gives no one, a mean of 1 nothing else: in all of 2^16 draws of each, half of them in bfloat16."""
    from dbn.machine.kernels.units import write_units

    for dtype in (torch.float32, torch.bfloat16):
        field = torch.tensor([-200.0, 200.0], device=kernels.device).repeat(1 << 15, 1).to(dtype)
        bias, state, mean = torch.zeros(2, device=kernels.device), torch.empty_like(field), torch.empty_like(field)
        write_units("sigmoid", field, bias, mean=mean, state=state, noise=kernels.noise(0))  # type: ignore[arg-type]
        assert torch.equal(state.float(), (field > 0).float())
        assert torch.equal(mean, state)


def test_other_sources_of_noise_are_those_of_plain_units(kernels: Route) -> None:
    units = made("relu", (7, 13), torch.float32, kernels.device)
    field = torch.randn(7, 13, device=kernels.device)
    draws = [own.sample(field, torch.Generator(kernels.device).manual_seed(3)) for own in (units, in_kernels(units))]
    assert torch.equal(*draws)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("members", "batch"), [((), 1), ((), 150), ((3,), 5), ((2,), 131)])
@pytest.mark.parametrize("kind", KINDS)
def test_statistics(kind: str, members: tuple[int, ...], batch: int, dtype: torch.dtype, kernels: Route) -> None:
    """Weighted means and both sums over states, of more states and units than a program holds."""
    from dbn.models.units.in_kernels import write_gradients_of_units

    n_visible, n_hidden = 37, 18
    shape = (2, *members, batch) if members else (2 * batch,)
    visible, hidden = (
        made("bernoulli" if n == n_visible else kind, (*members, batch, n), dtype, kernels.device)
        for n in (n_visible, n_hidden)
    )
    v = torch.rand(*shape, n_visible, device=kernels.device).to(dtype)
    field = torch.randn(*shape, n_hidden, device=kernels.device).to(dtype)
    weights = torch.randn(shape, device=kernels.device).to(hidden.bias.dtype)
    found = torch.empty_like(field)
    with torch.no_grad():
        write_gradients_of_units(in_kernels(visible), in_kernels(hidden), v, field, found, weights)
        gradients = [units.bias.grad.clone() for units in (visible, hidden) if units.bias.grad is not None]
        v, field = v.to(weights), field.to(weights)
        mean = hidden.mean(field)
        visible.write_minus_energy_gradient(v, weights)
        hidden.write_log_partition_gradient(field, mean, weights)
    close = {"rtol": 1e-5, "atol": 1e-10 if dtype == torch.float64 else 1e-4}
    for units, gradient in zip((visible, hidden), gradients, strict=True):
        torch.testing.assert_close(gradient, units.bias.grad, **close)
    expected = (mean * weights[..., None]).to(dtype)
    torch.testing.assert_close(found, expected, rtol=rounding(dtype), atol=1e-6)
