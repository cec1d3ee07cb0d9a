import math
from itertools import pairwise

import numpy as np
import pytest
import scipy.optimize
import torch
from torch import Tensor
from torch.nn import functional as F

from dbn.errors import DataError, SettingError
from finetune.baselines.logistic_pca import _fit_codes, _fit_loadings, logistic_pca
from finetune.baselines.pca import pca


def logistic_model(n: int, d: int, k: int, *, seed: int) -> Tensor:
    """Means ``(n, d)`` in float64 of a logistic model of rank ``k`` whose logits have a variance of about 5."""
    generator = torch.Generator().manual_seed(seed)
    Z, W, b = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((n, k), (d, k), (d,)))
    return torch.sigmoid(2 * Z @ W.T / math.sqrt(k) + b)


def draw(means: Tensor, *, seed: int) -> Tensor:
    return torch.bernoulli(means, generator=torch.Generator().manual_seed(seed))


def objective(x: Tensor, Z: Tensor, W: Tensor, b: Tensor, ridge: float) -> Tensor:
    """What logistic PCA minimises, written with the library's own cross-entropy."""
    penalty = Z.square().sum() + W.square().sum() + b.square().sum()
    return F.binary_cross_entropy_with_logits(Z @ W.T + b, x, reduction="sum") + ridge / 2 * penalty


def squared_error(reconstruction: Tensor, x: Tensor) -> float:
    return float((reconstruction - x).square().sum(1).mean())


def test_logistic_pca_explains_drawn_data_at_least_as_well_as_the_model_they_were_drawn_from():
    means = logistic_model(400, 30, 3, seed=2)
    x = draw(means, seed=3)
    fitted = logistic_pca(x, x, 3, seed=0, sweeps=20)
    assert F.binary_cross_entropy(fitted, x) < F.binary_cross_entropy(means, x)


def test_logistic_pca_recovers_the_means_of_a_model_of_its_own_rank():
    """Real-valued data that a code of size 3 can explain fully, new images included."""
    means = logistic_model(600, 30, 3, seed=4)
    fitted = logistic_pca(means[:500], means[500:], 3, seed=0, sweeps=100, ridge=1e-5)
    assert (fitted - means[500:]).abs().max() < 0.01
    assert squared_error(fitted, means[500:]) < 1e-3 * squared_error(pca(means[:500], means[500:], 3), means[500:])


def test_codes_are_stationary_points_of_cross_entropy_plus_ridge():
    """The gradient by autograd vanishes, from weights large enough to saturate most pixels, too."""
    generator = torch.Generator().manual_seed(5)
    x = draw(logistic_model(200, 50, 4, seed=5), seed=6)
    for scale in (0.1, 1.0, 10.0):
        W, b = scale * torch.randn(50, 4, generator=generator).double(), torch.randn(50, generator=generator).double()
        Z = _fit_codes(x, W, b, ridge=0.01).requires_grad_()
        (gradient,) = torch.autograd.grad(objective(x, Z, W, b, ridge=0.01), Z)
        assert gradient.abs().max() < 1e-4 * scale, scale


def test_the_objective_never_increases_from_one_sweep_to_the_next():
    x = draw(logistic_model(150, 20, 3, seed=7), seed=8)
    values = []
    for sweeps in range(1, 12):
        W, b = _fit_loadings(x, 3, sweeps=sweeps, ridge=0.1)
        values.append(float(objective(x, _fit_codes(x, W, b, ridge=0.1), W, b, ridge=0.1)))
    assert all(later <= earlier for earlier, later in pairwise(values)), values
    assert values[-1] < 0.95 * values[0]


def test_one_dimensional_codes_reach_the_minimum_that_scipy_finds():
    """Twenty starts of L-BFGS over codes, weights and biases together: none finds anything lower."""
    n, d, ridge = 40, 6, 0.5
    x = draw(logistic_model(n, d, 1, seed=9), seed=10)
    W, b = _fit_loadings(x, 1, sweeps=1000, ridge=ridge)
    ours = float(objective(x, _fit_codes(x, W, b, ridge=ridge), W, b, ridge))

    def value_and_gradient(flat: np.ndarray) -> tuple[float, np.ndarray]:
        point = torch.from_numpy(flat).requires_grad_()
        Z, W, b = point.split([n, d, d])
        value = objective(x, Z[:, None], W[:, None], b, ridge)
        (gradient,) = torch.autograd.grad(value, point)
        return float(value.detach()), gradient.numpy()

    starts = np.random.default_rng(0).normal(size=(20, n + 2 * d))
    lowest = min(scipy.optimize.minimize(value_and_gradient, start, jac=True).fun for start in starts)
    assert ours == pytest.approx(lowest, rel=1e-6)


def test_errors_decrease_with_the_size_of_the_code():
    means = logistic_model(700, 25, 8, seed=11).float()
    train, test = means[:500], means[500:]
    for baseline in (pca, lambda *given: logistic_pca(*given, seed=0)):
        errors = [squared_error(baseline(train, test, k), test) for k in (1, 2, 4, 8)]
        assert errors == sorted(errors, reverse=True), errors


def test_logistic_pca_is_a_function_of_its_seed():
    x = draw(logistic_model(300, 20, 3, seed=12), seed=13).float()
    first, again, other = (logistic_pca(x, x[:50], 3, seed=seed, n_fit=100) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=1e-3)


def test_constant_pixels_and_fewer_images_than_pixels_are_no_trouble():
    x = draw(logistic_model(30, 20, 3, seed=14), seed=15).float()
    x = torch.cat([torch.zeros(30, 15), x, torch.ones(30, 15)], 1)
    fitted = logistic_pca(x, x, 40, seed=0)
    assert torch.isfinite(fitted).all()
    assert fitted[:, :15].max() < 0.1
    assert fitted[:, 35:].min() > 0.9
    torch.testing.assert_close(pca(x, x, 40), x)


@pytest.mark.parametrize("code_size", [0, 7, 2.0, True])
def test_code_sizes_outside_one_to_the_number_of_pixels_are_refused(code_size):
    x = torch.rand(10, 6)
    with pytest.raises(SettingError, match=r"code_size=.* from 1 to 6"):
        pca(x, x, code_size)
    with pytest.raises(SettingError, match=r"code_size=.* from 1 to 6"):
        logistic_pca(x, x, code_size, seed=0)


@pytest.mark.parametrize(("key", "value"), [("n_fit", 0), ("sweeps", 0), ("ridge", 0.0)])
def test_settings_of_logistic_pca_are_checked(key, value):
    x = torch.rand(10, 6)
    with pytest.raises(SettingError, match=f"{key}="):
        logistic_pca(x, x, 2, seed=0, **{key: value})


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_not_finite_are_refused(bad):
    x = torch.rand(10, 6)
    damaged = x.clone()
    damaged[3, 2] = bad
    for baseline in (pca, lambda *given: logistic_pca(*given, seed=0)):
        with pytest.raises(DataError, match="train holds a value that is not finite"):
            baseline(damaged, x, 2)
        with pytest.raises(DataError, match="test holds a value that is not finite"):
            baseline(x, damaged, 2)


def test_logistic_pca_needs_values_from_zero_to_one_and_pca_does_not():
    x = torch.rand(10, 6)
    with pytest.raises(DataError, match="test ranges from -"):
        logistic_pca(x, x - 2, 2, seed=0)
    with pytest.raises(DataError, match="train ranges from"):
        logistic_pca(255 * x, x, 2, seed=0)
    assert pca(255 * x, x - 2, 2).shape == (10, 6)


@pytest.mark.parametrize(
    ("train", "test"),
    [
        (torch.rand(10, 6), torch.rand(10, 5)),
        (torch.rand(10, 6), torch.rand(10, 6).double()),
        (torch.rand(10, 2, 3), torch.rand(10, 2, 3)),
        (torch.rand(0, 6), torch.rand(10, 6)),
        (torch.zeros(10, 6, dtype=torch.uint8), torch.zeros(10, 6, dtype=torch.uint8)),
    ],
    ids=["widths differ", "dtypes differ", "not rows", "no images", "bytes"],
)
def test_images_that_do_not_fit_are_refused(train, test):
    for baseline in (pca, lambda *given: logistic_pca(*given, seed=0)):
        with pytest.raises(DataError, match="give"):
            baseline(train, test, 2)


def test_logistic_pca_of_mnist_is_below_the_published_error(mnist):
    """8.01 (Hinton & Salakhutdinov 2006); 3 sweeps over 5000 images do better already."""
    train, test = mnist
    assert squared_error(logistic_pca(train, test[::10], 30, seed=0, n_fit=5000, sweeps=3), test[::10]) < 8.01
