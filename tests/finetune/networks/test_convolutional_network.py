"""Convolutional networks against torch's own modules: outputs, gradients, groups, files, operations."""

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

from convolutional_networks import N_FEATURES, SHAPE, images, network_of, of_torch, pictures
from dbn.data.scaling import Scaling
from dbn.errors import SettingError
from dbn.models import flops
from dbn.models.convolution_layer import Convolution2d
from dbn.models.model_file import read_model, write_model
from dbn.models.pooling import MaxPooling
from dbn.random.streams import stream, streams
from finetune.networks.block import NetworkBlock
from finetune.networks.group import NetworkGroup
from finetune.networks.initialise import (
    He,
)
from finetune.networks.meaning import Meaning
from finetune.networks.network import Network
from finetune.networks.network_file import FORMAT, KEY

SCALING = Scaling(SHAPE, torch.zeros(N_FEATURES), torch.ones(N_FEATURES))


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


def test_pooling_for_another_shape_is_refused() -> None:
    with pytest.raises(SettingError, match=r"8x8x3.*4x4x3"):
        NetworkBlock(Convolution2d((6, 6, 1), maps=3, kernel=3), "relu", 0.0, None, MaxPooling((8, 8, 3)))


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


def test_a_users_convolution_is_not_grouped_as_if_it_were_ours() -> None:
    class OwnConvolution(Convolution2d):
        """Registered under no kind of its own."""

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
