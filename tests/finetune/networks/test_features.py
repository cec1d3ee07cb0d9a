"""Pictures of what higher units look for, and how far the weights of each layer move."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from dbn import RBM
from dbn.data import DataSet
from dbn.errors import SettingError
from dbn.models.convolution_layer import Convolution2d
from dbn.models.dbn import DBN
from dbn.models.linear import Linear
from dbn.models.pooling import Pooling
from dbn.models.units import Bernoulli
from dbn.pretraining.pictures import sheets
from finetune.networks.features import combine, features_of, field, maximise, units_shown
from finetune.networks.network import Network
from finetune.networks.unrolling import unroll
from finetune.networks.weight_changes import weight_changes
from finetune.runs.network_run import finetune, finetuning_directory
from helpers import Composer


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def test_a_linear_unit_is_excited_most_by_its_own_weights() -> None:
    """Under a limit on the norm the maximum of ``w . x + b`` is ``rho w / ||w||``."""
    network = Network.dense([30, 8]).double()
    weight = network.layers[0].weight
    found = maximise(network, 1, torch.tensor([6, 0, 3]), norm=2.5, steps=100, generator=generator())
    expected = 2.5 * weight / weight.norm(dim=1, keepdim=True)
    torch.testing.assert_close(found, expected[[6, 0, 3]].detach(), rtol=0, atol=1e-4)


def test_a_unit_above_is_excited_most_where_scipy_says() -> None:
    torch.manual_seed(1)
    network = Network.dense([5, 7, 3], activation="sigmoid", dropout_hidden=0.3).double().eval()
    with torch.no_grad():
        network.layers[0].weight.mul_(4)
    found = maximise(network, 2, torch.arange(3), norm=3.0, steps=200, restarts=10, generator=generator())
    torch.testing.assert_close(found.norm(dim=1), torch.full((3,), 3.0, dtype=torch.float64))
    for unit in range(3):

        def negative(x: Any, unit: int = unit) -> float:
            point = torch.from_numpy(x / np.linalg.norm(x) * 3.0)
            return -float(network(point[None]).detach()[0, unit])

        starts = np.random.default_rng(0).normal(size=(20, 5))
        best = min(minimize(negative, start).fun for start in starts)
        assert float(field(network, found, 2).detach()[unit, unit]) == pytest.approx(-best, abs=1e-4)


def test_maximisation_leaves_the_network_as_it_was() -> None:
    network = Network.dense([6, 5, 4], dropout_input=0.5, activation="relu")
    network.layers[0].requires_grad_(False)
    before = {name: (p.clone(), p.requires_grad, p.grad) for name, p in network.named_parameters()}
    first = maximise(network, 2, torch.arange(4), norm=1.0, generator=generator())
    assert torch.equal(first, maximise(network, 2, torch.arange(4), norm=1.0, generator=generator()))
    assert network.training
    for name, parameter in network.named_parameters():
        value, learns, gradient = before[name]
        assert torch.equal(parameter, value)
        assert (parameter.requires_grad, parameter.grad) == (learns, gradient)


def test_dead_units_give_finite_pictures() -> None:
    network = Network.dense([6, 5, 4], activation="relu")
    with torch.no_grad():
        network.layers[0].bias.fill_(-100.0)
    found = maximise(network, 2, torch.arange(4), norm=2.0, generator=generator())
    torch.testing.assert_close(found.norm(dim=1), torch.full((4,), 2.0))


def test_the_field_is_the_activation_before_the_activation_function() -> None:
    network = Network.dense([6, 5, 4, 3], activation="tanh", dropout_input=0.2, dropout_hidden=0.4).eval()
    x = torch.randn(10, 6)
    for layer, output in enumerate(network.hidden(x), start=1):
        fields = field(network, x, layer)
        torch.testing.assert_close(torch.tanh(fields) if layer < 3 else fields, output)


def test_combined_filters_are_what_a_linear_network_computes() -> None:
    network = Network.dense([6, 5, 4, 3])
    first, second, third = (layer.weight.detach().numpy().astype(float) for layer in network.layers)
    found = combine(network, 3, torch.tensor([2, 0])).numpy()
    np.testing.assert_allclose(found, (third @ second @ first)[[2, 0]], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(combine(network, 1, torch.tensor([1])).numpy(), first[[1]])


def test_a_stack_s_top_units_are_shown_through_the_unrolled_network(digits_data: DataSet) -> None:
    """Two copies of one layer under a diagonal second RBM: unit k of layer 2 looks for what unit k of layer 1 does."""
    torch.manual_seed(0)
    lower, upper = RBM(Bernoulli(64), Bernoulli(12)), RBM(Bernoulli(12), Bernoulli(12))
    with torch.no_grad():
        upper.weight.copy_(torch.eye(12))
    network = Network.dense([64, 12, 12, 10])
    unroll(DBN([lower, upper]), network)
    pictures = features_of(network, digits_data, 5, seed=0)
    assert {name: array.shape[0] for name, array in pictures.items()} == {
        "maximised_layer2": 5,
        "combined_layer2": 5,
        "maximised_output": 10,
        "combined_output": 10,
    }
    filters = lower.weight.detach().T.numpy()[:5]
    for name in ("maximised_layer2", "combined_layer2"):
        found = pictures[name].reshape(5, 64)
        cosines = (found * filters).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(filters, axis=1)
        np.testing.assert_allclose(cosines, 1, atol=1e-3)
    norm = digits_data.train.sample(1000).norm(dim=1).mean()
    np.testing.assert_allclose(np.linalg.norm(pictures["maximised_layer2"].reshape(5, 64), axis=1), norm, rtol=1e-5)


def test_a_run_keeps_pictures_and_weights_of_its_start_and_its_end(compose: Composer) -> None:
    small = ["arm=random_sigmoid", "stack.layers=[12,9]", "training.epochs=3", "training.weights=last"]
    config = compose("finetune", [*small, "features=4"])
    result = finetune(config)
    with np.load(finetuning_directory(config) / "pictures.npz") as archive:
        pictures = dict(archive)
    for kind in ("maximised", "combined"):
        for layer, n in (("layer2", 4), ("output", 10)):
            start, end = (pictures[f"features_{kind}_{layer}_{when}"] for when in ("start", "end"))
            assert start.shape == end.shape == (n, 1, 8, 8)
            assert not np.allclose(start, end, atol=1e-3)
    assert {name for name in pictures if name.startswith("features")} <= set(sheets(pictures)), "they are tracked"
    plain = compose("finetune", [*small, "study=other"])
    finetune(plain)
    with np.load(finetuning_directory(plain) / "pictures.npz") as archive:
        assert not [name for name in archive.files if name.startswith("features")]
        first = archive["filters_start"].reshape(12, 64), archive["filters"].reshape(12, 64)
    row = result["weights"][0]  # all 12 units of the first layer are among the pictures: numpy finds the same
    assert [own["layer"] for own in result["weights"]] == [1, 2, 3]
    assert row["change"] == pytest.approx(np.linalg.norm(first[1] - first[0]) / np.linalg.norm(first[0]), rel=1e-5)
    assert row["norm_start"] == pytest.approx(np.linalg.norm(first[0]), rel=1e-5)
    assert row["norm_end"] == pytest.approx(np.linalg.norm(first[1]), rel=1e-5)
    product = row["norm_start"] * row["norm_end"]
    assert row["cosine"] == pytest.approx(float((first[0] * first[1]).sum()) / product, rel=1e-5)
    assert row["change"] > 0
    assert row["cosine"] < 1


def test_weights_worked_by_hand() -> None:
    before, after = Network.dense([2, 1, 1]), Network.dense([2, 1, 1])
    with torch.no_grad():
        for network, values in ((before, ([3.0, 0.0], [0.0])), (after, ([3.0, 4.0], [2.0]))):
            for layer, own in zip(network.layers, values, strict=True):
                layer.weight.copy_(torch.tensor([own]))
    assert weight_changes(before, after) == [
        {"layer": 1, "change": pytest.approx(4 / 3), "cosine": pytest.approx(0.6), "norm_start": 3.0, "norm_end": 5.0},
        {"layer": 2, "change": None, "cosine": None, "norm_start": 0.0, "norm_end": 2.0},
    ]


def test_a_wrong_number_of_units_is_refused(compose: Composer) -> None:
    for value in (-1, 65, 2.5):
        with pytest.raises(SettingError, match=f"features={value}"):
            finetune(compose("finetune", [f"features={value}"]))


def test_a_unit_of_a_map_is_excited_most_by_its_filter_where_it_is() -> None:
    """Under a limit on the norm: the filter in place, zero elsewhere."""
    layer = Convolution2d((1, 6, 5), maps=3, kernel=3, maps_first=True)
    network = Network.of_layers([layer, Linear(layer.out_features, 2)]).double()
    torch.nn.init.normal_(layer.weight, generator=generator())
    unit = units_shown(layer.output_shape, 3)  # at row 2, column 1 of (4, 3)
    assert unit.tolist() == [(2 * 3 + 1) * 3 + number for number in range(3)]
    expected = torch.zeros(3, 6, 5, dtype=torch.float64)
    expected[:, 2:5, 1:4] = layer.weight.detach()[:, 0]
    expected = expected.flatten(1)
    found = maximise(network, 1, unit, norm=2.0, steps=100, generator=generator())
    torch.testing.assert_close(found, 2.0 * expected / expected.norm(dim=1, keepdim=True), rtol=0, atol=1e-3)
    torch.testing.assert_close(combine(network, 1, unit), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["max", "probabilistic"])
def test_combined_filters_of_pooled_layers_are_those_of_a_linear_network_that_takes_means(kind: str) -> None:
    first = Convolution2d((2, 6, 6), maps=3, kernel=3, padding=1, maps_first=True)
    pooling: Pooling = Pooling.create(kind, "pool", first.output_shape)
    network = Network.of_layers(
        [first, Linear(27, 4)], poolings=[pooling, None], activation="identity", normalisation="batch"
    ).double()
    for layer in network.layers:
        torch.nn.init.normal_(layer.weight, generator=generator())
    normalisation = network.blocks[0].normalisation
    assert normalisation is not None
    with torch.no_grad():
        normalisation.scale.copy_(torch.tensor([0.5, 1.0, 2.0]))
    slope = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64) / (1 + 1e-5) ** 0.5

    def linear(x: torch.Tensor) -> torch.Tensor:
        maps = torch.nn.functional.conv2d(x.view(-1, 2, 6, 6), first.weight, padding=1) * slope[:, None, None]
        means = torch.nn.functional.avg_pool2d(maps, 2).permute(0, 2, 3, 1).flatten(1)
        return means @ network.layers[1].weight.T

    expected = linear(torch.eye(72, dtype=torch.float64)).T.detach()
    torch.testing.assert_close(combine(network, 2, torch.tensor([3, 0])), expected[[3, 0]], rtol=0, atol=1e-12)
