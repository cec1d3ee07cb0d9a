"""Normalisation of maps against torch's own modules, and what it starts from."""

import pytest
import torch
from torch import nn

from convolutional_networks import images, network_of, of_torch, pictures
from dbn.errors import SettingError
from dbn.models.convolution_layer import Convolution2d
from dbn.models.pooling import ProbabilisticMaxPooling
from finetune.networks.block import NetworkBlock
from finetune.networks.initialise import (
    start_normalisation,
)
from finetune.networks.network import Network
from finetune.networks.normalisation import Normalisation, running_statistics
from finetune.networks.response_normalisation import ResponseNormalisation


@pytest.mark.parametrize("training", [True, False])
def test_batch_normalisation_is_of_maps_over_images_and_positions(training: bool) -> None:
    network = network_of(activation="relu", normalisation="batch").double()
    modules = [own.double() for own in (nn.BatchNorm2d(5), nn.BatchNorm2d(4), nn.BatchNorm1d(6))]
    generator = torch.Generator().manual_seed(2)
    for block, module in zip(network.blocks, modules, strict=False):
        own = block.normalisation
        assert own is not None
        assert own.scale.shape == module.weight.shape
        names = (("scale", "weight"), ("shift", "bias"), ("running_mean",) * 2, ("running_variance", "running_var"))
        for name, of_module in names:
            value = torch.rand(own.scale.shape, generator=generator, dtype=torch.float64) + 0.5
            getattr(own, name).data.copy_(value)
            getattr(module, of_module).data.copy_(value)
    plain = of_torch(network, lambda number: [modules[number - 1], nn.ReLU()])
    plain = nn.Sequential(*plain[:10], modules[2], *plain[10:]).double().train(training)
    network.train(training)
    x = images().double()
    torch.testing.assert_close(network(x), plain(pictures(x)), rtol=0, atol=1e-10)
    found = running_statistics(network)
    for number, module in enumerate(modules):
        torch.testing.assert_close(found[f"blocks.{number}.normalisation.running_mean"], module.running_mean)
        torch.testing.assert_close(found[f"blocks.{number}.normalisation.running_variance"], module.running_var)


def test_a_single_image_has_the_mean_and_variance_of_its_positions() -> None:
    convolution = Convolution2d((6, 6, 1), maps=2, kernel=3)
    own = Normalisation.of_layer("batch", "network.normalisation", convolution)
    module = nn.BatchNorm2d(2)
    field = torch.rand(1, 32, generator=torch.Generator().manual_seed(0))
    assert own is not None
    expected = module(field.view(1, 4, 4, 2).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).reshape(1, 32)
    torch.testing.assert_close(own(field), expected)


def test_layer_normalisation_is_over_the_whole_layer_with_scale_and_shift_of_maps() -> None:
    convolution = Convolution2d((6, 6, 1), maps=3, kernel=3)
    own = Normalisation.of_layer("layer", "network.normalisation", convolution)
    assert own is not None
    field = torch.rand(5, 48, generator=torch.Generator().manual_seed(0)).double()
    own = own.double()
    with torch.no_grad():
        own.scale.copy_(torch.tensor([0.5, 1.0, 2.0]))
        own.shift.copy_(torch.tensor([0.0, -1.0, 3.0]))
    group = nn.GroupNorm(1, 3).double()
    group.load_state_dict({"weight": own.scale.data, "bias": own.shift.data})
    expected = group(field.view(5, 4, 4, 3).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).reshape(5, 48)
    torch.testing.assert_close(own(field), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("neighbours", "maps"), [(5, 8), (3, 8), (4, 8), (1, 2), (5, 2)])
def test_response_normalisation_is_torchs_whose_alpha_is_divided_by_the_number_of_maps(
    neighbours: int, maps: int
) -> None:
    own = ResponseNormalisation(maps, neighbours, offset=1.5, alpha=0.2, beta=0.6)
    torchs = nn.LocalResponseNorm(neighbours, alpha=0.2 * neighbours, beta=0.6, k=1.5)
    responses = torch.rand(3, 4, 5, maps, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = torchs(responses.permute(0, 3, 1, 2)).permute(0, 2, 3, 1).flatten(1)
    torch.testing.assert_close(own(responses.flatten(1)), expected, rtol=0, atol=1e-12)
    assert not list(own.parameters())
    learning = responses.flatten(1).requires_grad_()
    torch.testing.assert_close(own(learning), expected, rtol=0, atol=1e-12)
    assert torch.autograd.gradcheck(own, learning[:, : 2 * maps].detach().requires_grad_())


def test_response_normalisation_follows_the_activation_and_precedes_the_pooling() -> None:
    wanted = {"kind": "response", "alpha": 0.5}
    network = network_of(activation="relu", normalisation=wanted).double()
    assert [block.normalisation is not None for block in network.blocks] == [True, True, False, False]
    plain = of_torch(network, lambda number: [nn.ReLU(), nn.LocalResponseNorm(5, alpha=2.5, beta=0.75, k=2.0)]).double()
    x = images().double()
    torch.testing.assert_close(network(x), plain(pictures(x)), rtol=0, atol=1e-12)


def test_response_normalisation_of_a_dense_network_is_refused() -> None:
    with pytest.raises(SettingError, match=r"normalisation=response.*no convolutional layer.*normalisation=batch"):
        Network.dense([4, 3, 2], normalisation="response")


def test_response_normalisation_before_probabilistic_pooling_is_refused() -> None:
    convolution = Convolution2d((6, 6, 1), maps=3, kernel=3)
    pooling = ProbabilisticMaxPooling(convolution.output_shape)
    with pytest.raises(SettingError, match=r"response.*pool=probabilistic.*kind: max"):
        NetworkBlock(convolution, "relu", 0.0, ResponseNormalisation(3), pooling)


def test_a_users_normalisation_that_knows_no_maps_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Normalisation, "registry", dict(Normalisation.registry))

    class OwnNormalisation(Normalisation):
        kind = "own_for_dense_layers"

        def forward(self, field: torch.Tensor) -> torch.Tensor:
            return field

    with pytest.raises(SettingError, match=r"own_for_dense_layers.*of_maps"):
        network_of(normalisation="own_for_dense_layers")
    assert Network.dense([3, 2, 2], normalisation="own_for_dense_layers").blocks[0].normalisation is not None


@pytest.mark.parametrize(("normalisation", "tolerance"), [("batch", 1e-9), (None, 0.0)])
def test_normalisation_starts_as_nothing_in_evaluation(normalisation: str | None, tolerance: float) -> None:
    plain, network = network_of().double().eval(), network_of(normalisation=normalisation).double()
    x = images(40).double()
    start_normalisation(network, x)
    network.eval()
    other = images(10, seed=8).double()
    for own, expected in zip(network.hidden(other), plain.hidden(other), strict=True):
        torch.testing.assert_close(own, expected, rtol=0, atol=tolerance)
    assert not torch.equal(network_of(normalisation="batch").double().eval()(other), plain(other)), "without a start"


def test_layer_normalisation_starts_at_the_regression_of_each_map() -> None:
    plain, network = network_of().double().eval(), network_of(normalisation="layer").double()
    x = images(40).double()
    start_normalisation(network, x)
    with torch.no_grad():
        field = plain.blocks[0].units_field(x)
    normalised = (field - field.mean(1, keepdim=True)) / (field.var(1, correction=0, keepdim=True) + 1e-5).sqrt()
    own = network.blocks[0].normalisation
    assert own is not None
    for number in range(5):
        z, wanted = normalised.view(40, -1, 5)[..., number].flatten(), field.view(40, -1, 5)[..., number].flatten()
        design = torch.stack([z, torch.ones_like(z)], 1)
        slope, intercept = torch.linalg.lstsq(design, wanted[:, None]).solution[:, 0]
        torch.testing.assert_close(own.scale[number], slope, rtol=1e-8, atol=0)
        torch.testing.assert_close(own.shift[number], intercept, rtol=1e-8, atol=1e-10)
