"""Convolutional networks against torch's own modules: outputs, gradients, normalisation, groups, files, operations."""

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from convolutional_networks import N_FEATURES, SHAPE, network_of, of_torch
from dbn.data.scaling import Scaling
from dbn.errors import SettingError
from dbn.models import flops
from dbn.models.convolution_layer import Convolution2d
from dbn.models.dbn import DBN
from dbn.models.linear import Linear
from dbn.models.model_file import read_model, write_model
from dbn.models.pooling import MaxPooling, ProbabilisticMaxPooling
from dbn.pretraining import LayerSettings, RBMPretraining
from dbn.pretraining.growing import untrained_layers
from dbn.random.streams import stream, streams
from finetune.networks.block import NetworkBlock
from finetune.networks.group import NetworkGroup
from finetune.networks.initialise import (
    FirstLayers,
    Glorot,
    He,
    Initialisation,
    Marginals,
    Normal,
    Orthogonal,
    start_normalisation,
)
from finetune.networks.meaning import Meaning
from finetune.networks.network import Network
from finetune.networks.network_file import FORMAT, KEY
from finetune.networks.normalisation import Normalisation, running_statistics
from finetune.networks.response_normalisation import ResponseNormalisation
from finetune.networks.unrolling import unroll

SCALING = Scaling(SHAPE, torch.zeros(N_FEATURES), torch.ones(N_FEATURES))


def images(n: int = 7, seed: int = 5) -> torch.Tensor:
    return torch.rand(n, N_FEATURES, generator=torch.Generator().manual_seed(seed))


def pictures(x: torch.Tensor) -> torch.Tensor:
    return x.unflatten(1, SHAPE)


def test_outputs_and_gradients_are_those_of_torch() -> None:
    network = network_of(activation="relu").double()
    plain = of_torch(network, lambda number: [nn.ReLU()]).double()
    x = images().double()
    labels = torch.arange(7) % 3
    found, expected = network(x), plain(pictures(x))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    F.cross_entropy(found, labels).backward()
    F.cross_entropy(expected, labels).backward()
    for number in (0, 1):
        convolution = plain[3 * number]
        torch.testing.assert_close(network.layers[number].weight.grad, convolution.weight.grad, rtol=0, atol=1e-12)
        torch.testing.assert_close(network.layers[number].bias.grad, convolution.bias.grad, rtol=0, atol=1e-12)


def test_sizes_shapes_and_features_are_those_after_pooling() -> None:
    network = network_of()
    assert network.shapes == [(9, 10, 2), (4, 5, 5), (2, 3, 4), (6,), (3,)]
    assert network.sizes == [180, 100, 24, 6, 3]
    assert [own.shape[1] for own in network.hidden(images())] == [100, 24, 6, 3]
    network.meaning = Meaning(SCALING, "classifier", "logits", ("a", "b", "c"))
    plain = of_torch(network, lambda number: [nn.Sigmoid()])[:3]
    features = network.transform(images().numpy(), 1, features=True)
    expected = plain(pictures(images())).permute(0, 2, 3, 1).flatten(1)  # maps last
    torch.testing.assert_close(torch.from_numpy(features), expected, rtol=0, atol=1e-6)


def test_operations_are_those_that_torch_counts() -> None:
    network = network_of()
    counter = FlopCounterMode(display=False)
    with counter:
        network(images(1))
    assert flops.forward(network.operations) == counter.get_total_flops()
    counter = FlopCounterMode(display=False)
    with counter:
        network(images(1)).sum().backward()
    assert flops.backpropagation(network.operations) == counter.get_total_flops()


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


def test_response_normalisation_follows_the_activation_and_precedes_the_pooling() -> None:
    wanted = {"kind": "response", "alpha": 0.5}
    network = network_of(activation="relu", normalisation=wanted).double()
    assert [block.normalisation is not None for block in network.blocks] == [True, True, False, False]
    plain = of_torch(network, lambda number: [nn.ReLU(), nn.LocalResponseNorm(5, alpha=2.5, beta=0.75, k=2.0)]).double()
    x = images().double()
    torch.testing.assert_close(network(x), plain(pictures(x)), rtol=0, atol=1e-12)


def test_response_normalisation_of_a_dense_network_is_refused() -> None:
    with pytest.raises(SettingError, match=r"network.normalisation=response.*no convolutional layer.*batch or layer"):
        Network.dense([4, 3, 2], normalisation="response")


def test_response_normalisation_before_probabilistic_pooling_is_refused() -> None:
    convolution = Convolution2d((6, 6, 1), maps=3, kernel=3)
    pooling = ProbabilisticMaxPooling(convolution.output_shape)
    with pytest.raises(SettingError, match=r"response.*pool=probabilistic.*kind: max"):
        NetworkBlock(convolution, "relu", 0.0, ResponseNormalisation(3), pooling)


def test_pooling_for_another_shape_is_refused() -> None:
    with pytest.raises(SettingError, match=r"8x8x3.*4x4x3"):
        NetworkBlock(Convolution2d((6, 6, 1), maps=3, kernel=3), "relu", 0.0, None, MaxPooling((8, 8, 3)))


class OwnNormalisation(Normalisation):
    kind = "own_for_dense_layers"

    def forward(self, field: torch.Tensor) -> torch.Tensor:
        return field


def test_a_users_normalisation_that_knows_no_maps_is_refused() -> None:
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


def trained(network: Network, x: torch.Tensor, noise: Any, steps: int = 3) -> None:
    """Some steps of stochastic gradient descent with dropout and max-norm."""
    network.train()
    network.use_noise_from(noise)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    labels = torch.arange(x.shape[-2]) % 3
    for _ in range(steps):
        optimizer.zero_grad()
        outputs = network(x)
        F.cross_entropy(outputs.flatten(0, -2), labels.repeat(outputs.flatten(0, -2).shape[0] // len(labels))).mul(
            outputs.flatten(0, -2).shape[0] // len(labels)
        ).backward()
        optimizer.step()
        network.limit_norms(0.9)


@pytest.mark.parametrize("normalisation", [None, "batch", "layer", "response"])
def test_a_group_computes_what_its_members_compute_alone(normalisation: str | None) -> None:
    options = {"activation": "relu", "normalisation": normalisation, "dropout_input": 0.1, "dropout_hidden": 0.3}
    members = [network_of(**options) for _ in range(3)]
    for number, member in enumerate(members):
        He()(member, number)
    singles = copy.deepcopy(members)
    group = NetworkGroup(members)
    x = torch.stack([images(8, seed) for seed in range(3)])
    trained(group, x, streams([0, 1, 2], "dropout", device=torch.device("cpu")))
    group.copy_to_members()
    for number, (member, single) in enumerate(zip(members, singles, strict=True)):
        trained(single, x[number], stream(number, "dropout"))
        for name, own in member.state_dict().items():
            torch.testing.assert_close(own, single.state_dict()[name], rtol=0, atol=2e-6, msg=name)


def test_the_convolutions_of_a_group_are_equal_bit_by_bit() -> None:
    members = [Convolution2d(SHAPE, maps=5, kernel=3, padding=1, maps_first=True) for _ in range(2)]
    for number, member in enumerate(members):
        nn.init.normal_(member.weight, generator=torch.Generator().manual_seed(number))
    group = Convolution2d.group(members)
    x = torch.stack([images(8, seed) for seed in range(2)])
    pooling = MaxPooling(members[0].output_shape, 3, 2)
    outputs = pooling(group(x))
    outputs.square().sum().backward()
    for number, member in enumerate(members):
        own = pooling(member(x[number]))
        assert torch.equal(outputs[number], own)
        own.square().sum().backward()
        assert torch.equal(group.weight.grad[number], member.weight.grad)
        assert torch.equal(group.bias.grad[number, 0], member.bias.grad)
    assert (group.fan_in, group.fan_out, group.operations) == (18, 45, members[0].operations)
    group.limit_norms(1.0)
    group.copy_member(1, members[0])
    norms = members[0].weight.flatten(1).norm(dim=1)
    torch.testing.assert_close(norms, torch.ones(5))


class OwnConvolution(Convolution2d):
    kind = "own_convolution"


def test_a_users_convolution_is_not_grouped_as_if_it_were_ours() -> None:
    layer = OwnConvolution((6, 6, 1), maps=3, kernel=3)
    with pytest.raises(SettingError, match=r"n_parallel_seeds=2: OwnConvolution"):
        OwnConvolution.group([layer, layer])


@pytest.mark.parametrize("normalisation", [None, "batch", "layer", {"kind": "response", "neighbours": 3}])
def test_a_file_is_read_in_a_fresh_process(tmp_path: Path, normalisation: Any) -> None:
    network = network_of(activation="relu", normalisation=normalisation, dropout_hidden=0.2)
    network.meaning = Meaning(SCALING, "classifier", "logits", ("a", "b", "c"))
    trained(network, images(), stream(0, "dropout"))
    network.save(tmp_path / "network.safetensors")
    torch.save({"x": images(), "expected": network.eval()(images()).detach()}, tmp_path / "seen.pt")
    code = (
        "import sys, torch\nfrom finetune import Network\n"
        "seen = torch.load(sys.argv[1] + '/seen.pt', weights_only=True)\n"
        "network = Network.load(sys.argv[1])\n"
        "assert torch.equal(network(seen['x']), seen['expected'])\n"
        "print(network.shapes)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(network.shapes)


def test_a_file_written_before_there_was_pooling_is_read(tmp_path: Path) -> None:
    network = Network.dense([180, 4, 3], normalisation="batch")
    network.meaning = Meaning(SCALING, "classifier", "logits", ("a", "b", "c"))
    network.save(tmp_path / "network.safetensors")
    header, tensors = read_model(tmp_path / "network.safetensors", KEY, "a network", (FORMAT,), "")
    for block in header["blocks"]:
        del block["pooling"]
    write_model(tmp_path / "old.safetensors", KEY, header, tensors)
    assert torch.equal(Network.load(tmp_path / "old.safetensors")(images()), network.eval()(images()))


def test_orthogonal_filters() -> None:
    network = network_of()
    Orthogonal(2.0)(network, 3)
    for layer in network.layers:
        matrix = layer.weight.detach().double().flatten(1)
        smaller = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
        torch.testing.assert_close(smaller, 4 * torch.eye(len(smaller), dtype=torch.float64), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("initialise", "deviation"),
    [
        (He(), (2 / (40 * 25)) ** 0.5),
        (Glorot(4.0), 4 * (2 / (40 * 25 + 60 * 25)) ** 0.5),
        (Normal(0.02), 0.02),
    ],
)
def test_filters_are_drawn_with_the_standard_deviation_of_their_fans(
    initialise: Initialisation, deviation: float
) -> None:
    layer = Convolution2d((9, 9, 40), maps=60, kernel=5)
    network = Network.of_layers([layer, Linear(layer.out_features, 2)])
    initialise(network, 0)
    n = layer.weight.numel()
    standard_error = deviation / (2 * n) ** 0.5
    weight = layer.weight.detach()
    assert abs(float(weight.std()) - deviation) < 4 * standard_error
    assert abs(float(weight.mean())) < 4 * deviation / n**0.5
    assert not layer.bias.any()


def test_bfloat16_is_near_and_only_in_training() -> None:
    network = network_of(activation="relu")
    exact = network(images()).detach()
    (choice, *_) = network.choose_precision("bf16", 7, torch.device("cpu"))
    assert choice.precision == "bf16"
    rounded = network(images())
    rounded.sum().backward()
    assert not torch.equal(rounded, exact)
    torch.testing.assert_close(rounded, exact, rtol=0, atol=0.05)
    assert all(layer.weight.grad is not None and layer.weight.grad.dtype == torch.float32 for layer in network.layers)
    assert torch.equal(network.eval()(images()), exact)


def stack_of_maps(pool: int | None = 2, hidden: str = "bernoulli") -> DBN:
    """One convolutional RBM and a dense one, with weights."""
    layers = [
        LayerSettings(
            n_hidden=3, connection={"kind": "convolution", "kernel": 3, "padding": 1}, pool=pool, hidden=hidden
        ),
        LayerSettings(n_hidden=4, hidden=hidden),
    ]
    stack = DBN(untrained_layers(RBMPretraining(), layers, "bernoulli", (1, 6, 6)))
    for layer in stack:
        nn.init.normal_(layer.weight, generator=torch.Generator().manual_seed(0))
    return stack


def network_for(stack: DBN, activation: str = "sigmoid", **changes: Any) -> Network:
    """The network of a stack's shape, with other weights; ``changes`` of its first layer and pooling."""
    first = Convolution2d((1, 6, 6), maps=3, kernel=3, padding=1, maps_first=True)
    pooling = changes.get("pooling", stack[0].pooling)
    second = Linear(stack.sizes[1], 4)
    return Network.of_layers(
        [changes.get("first", first), second, Linear(4, 2)], activation=activation, poolings=[pooling, None, None]
    )


def test_an_unrolled_stack_is_the_stack_at_every_layer() -> None:
    for pool, hidden in ((2, "bernoulli"), (None, "bernoulli"), (3, "relu")):
        stack = stack_of_maps(pool, hidden)
        network = network_for(stack, "relu" if hidden == "relu" else "sigmoid")
        unroll(stack, network)
        x = torch.rand(5, 36, generator=torch.Generator().manual_seed(1))
        for layer, own in enumerate(network.eval().hidden(x)[:-1], start=1):
            torch.testing.assert_close(own, stack.up(x, layer), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pooling": MaxPooling((6, 6, 3), 2)}, r"pool=.*max.*pretrained with pool=.*probabilistic.*from_stack"),
        (
            {
                "first": Convolution2d((1, 6, 6), maps=12, kernel=3, stride=2, padding=1, maps_first=True),
                "pooling": None,
            },
            "shape 3x3x12",
        ),
        ({"activation": "relu"}, r"network.activation=relu.*sigmoid units"),
    ],
)
def test_a_network_that_is_not_the_stacks_is_refused(changes: dict[str, Any], words: str) -> None:
    stack = stack_of_maps()
    network = network_for(stack, **changes)
    if "first" in changes:  # 108 units, as many as 6x6x3, if it were not for pooling
        stack = stack_of_maps(None)
        network = Network.of_layers([changes["first"], Linear(108, 4), Linear(4, 2)])
    with pytest.raises(SettingError, match=words):
        unroll(stack, network)


def test_weights_drawn_from_the_pretrained_values_keep_their_marginals() -> None:
    stack = stack_of_maps()
    network = network_for(stack)
    Marginals()(network, 0, stack)
    (own, _), (layer, *_) = stack[0].encoder(), network.layers
    assert set(layer.weight.flatten().tolist()) <= set(own.weight.flatten().tolist())
    assert not torch.equal(layer.weight, own.weight)


def test_the_lowest_layers_may_come_from_the_stack_and_the_others_from_random_weights() -> None:
    stack = stack_of_maps(None, "relu")
    network = network_for(stack, "relu")
    FirstLayers(1)(network, 0, DBN([stack[0]]))
    assert torch.equal(network.layers[0].weight, stack[0].encoder()[0].weight)
    assert 0.5 < float(network.layers[1].weight.detach().std()) / (2 / 108) ** 0.5 < 1.5
