"""Starting weights, biases and variances: what a new layer gives before it has learned anything."""

import math
from typing import Any

import pytest
import torch

from dbn import RBM, Bernoulli
from dbn.data import DataSet, Images, digits, load_data
from dbn.errors import SettingError
from dbn.models.units import GaussianWithVariance, PerMap, make_units
from dbn.pretraining import LayerSettings, RBMPretraining, fit, pretrain_stack
from dbn.random.streams import stream


@pytest.fixture(scope="module")
def data() -> DataSet:
    return load_data(digits())


def new_layer(visible: Any, features: torch.Tensor, **settings: Any) -> Any:
    """A layer on these inputs ``(n, n_features)``, untrained."""
    return RBMPretraining().new_layer(
        visible, (features.shape[1],), LayerSettings(**{"n_hidden": 7, **settings}),
        generator=stream(0, "init"), images=Images.from_features(features),
    )  # fmt: skip


def test_glorot_s_weights_have_the_variance_of_their_layer() -> None:
    """Within four standard errors of a standard deviation; fields keep a scale that does not grow with the layer."""
    for n_visible, n_hidden in ((100, 60), (400, 300)):
        layer = new_layer("bernoulli", torch.zeros(2, n_visible), n_hidden=n_hidden, weight_std="glorot")
        expected, n = math.sqrt(2 / (n_visible + n_hidden)), n_visible * n_hidden
        assert float(layer.weight.detach().std()) == pytest.approx(expected, abs=4 * expected / math.sqrt(2 * n))


def test_glorot_s_weights_of_filters_count_what_reaches_a_unit() -> None:
    settings = LayerSettings(
        n_hidden=24, connection={"kind": "convolution", "kernel": 5, "maps_first": True}, weight_std="glorot"
    )
    layer = RBMPretraining().new_layer("bernoulli", (3, 12, 12), settings, generator=stream(0, "init"))
    inner = layer.hidden_shape if hasattr(layer, "hidden_shape") else layer.connection.hidden_shape
    h = torch.zeros(inner)
    h[:, :, :] = 1
    with torch.no_grad():
        layer.connection.weight.fill_(1.0)
        reached = layer.connection.visible_field(h.flatten()[None]).view(3, 12, 12)[:, 6, 6]
        reaches = layer.connection.hidden_field(torch.ones(1, 3 * 12 * 12)).view(inner)[4, 4]
    assert layer.connection.fans == (int(reaches[0]), int(reached[0]))


def test_visible_units_start_at_the_moments_of_the_inputs() -> None:
    """Without weights, the model's means and variances of every column are the data's, of learned variances as well."""
    generator = torch.Generator().manual_seed(0)
    columns = torch.randn(500, 4, generator=generator) * torch.tensor([0.5, 1.0, 3.0, 20.0]) + 2.0
    layer = new_layer("gaussian_with_variance", columns, weight_std=0, bias_from_data=True, variance_from_data=True)
    torch.testing.assert_close(layer.visible.mean(torch.zeros(1, 4))[0], columns.mean(0))
    torch.testing.assert_close(layer.visible.variance, columns.var(0, correction=0))
    parts = [{"kind": "gaussian_with_variance", "n": 4}, {"kind": "softmax", "n": 3}, {"kind": "bernoulli", "n": 1}]
    chosen = torch.nn.functional.one_hot(torch.arange(500) % 10 // 7 + torch.arange(500) % 2, 3).float()
    table = torch.cat([columns, chosen, (torch.arange(500)[:, None] % 4 == 0).float()], 1)
    mixed = new_layer(
        {"kind": "mixed", "parts": parts}, table, weight_std=0, bias_from_data=True, variance_from_data=True
    )
    torch.testing.assert_close(mixed.visible.mean(torch.zeros(1, 8))[0], table.mean(0))
    torch.testing.assert_close(mixed.visible.units[0].variance, columns.var(0, correction=0))


def test_variances_of_maps_are_those_of_all_positions() -> None:
    x = torch.randn(50, 3, 3, 2, generator=torch.Generator().manual_seed(1)) * torch.tensor([0.5, 2.0])
    x[:, 0] += 3
    units = PerMap((3, 3, 2), "gaussian_with_variance")
    flat = x.flatten(1)
    units.initialise_variance(flat.mean(0), flat.var(0, correction=0))
    assert isinstance(units.own, GaussianWithVariance)
    torch.testing.assert_close(units.own.variance, x.view(-1, 2).var(0, correction=0))


@pytest.mark.parametrize("visible", ["bernoulli", "gaussian", "gaussian_with_variance", "relu", "softmax"])
def test_constant_pixels_start_and_stay_finite(visible: str) -> None:
    """All off, all on, a category that never occurs: parameters, free energies and a trained layer are finite."""
    x = torch.zeros(60, 4)
    x[:, 1] = 1
    if visible == "softmax":
        x = torch.nn.functional.one_hot(torch.arange(60) % 2, 4).float()
    learned = visible == "gaussian_with_variance"
    layer = new_layer(visible, x, bias_from_data=True, variance_from_data=learned, weight_std=0.01)
    assert all(bool(own.isfinite().all()) for own in layer.parameters())
    if learned:
        torch.testing.assert_close(layer.visible.variance, torch.full((4,), 2 * layer.visible.floor))
    fit(layer, x, epochs=3, learning_rate=0.001, batch_size=10)
    assert bool(layer.free_energy(x).isfinite().all())


def test_a_fit_starts_there_too() -> None:
    x = torch.randn(200, 3, generator=torch.Generator().manual_seed(0)) * 4 + 1
    rbm = RBM(make_units("gaussian_with_variance", 3), Bernoulli(2), weight_std=0.0)
    fit(rbm, x, epochs=1, learning_rate=1e-9, bias_from_data=True, variance_from_data=True)
    torch.testing.assert_close(rbm.visible.variance, x.var(0, correction=0), rtol=1e-4, atol=0)  # type: ignore[attr-defined]


def test_units_without_a_variance_are_refused_before_anything_is_trained(data: DataSet) -> None:
    settings: dict[str, Any] = {"n_hidden": 5, "epochs": 1, "weight_std": "glorot"}
    layers = [LayerSettings(**settings), LayerSettings(**settings, variance_from_data=True)]
    with pytest.raises(SettingError, match="variance_from_data=true: bernoulli visible units learn no variance"):
        pretrain_stack(data, layers, progress=False)
    with pytest.raises(SettingError, match="variance_from_data"):
        fit(RBM(Bernoulli(5), Bernoulli(3)), torch.rand(10, 5), epochs=1, variance_from_data=True)


@pytest.mark.parametrize("value", ["scaled", -1, math.nan, None, True, [0.1]])
def test_starting_weights_that_cannot_be_are_named(value: Any) -> None:
    with pytest.raises(SettingError, match="weight_std"):
        LayerSettings(n_hidden=4, weight_std=value)
