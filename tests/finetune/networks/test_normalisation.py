"""Normalisation of fields against torch's modules and formulas, in groups, and where a pretrained network starts."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from dbn import DBN
from dbn.errors import SettingError
from finetune.networks.group import NetworkGroup
from finetune.networks.initialise import FromStack, start_normalisation
from finetune.networks.network import Network
from finetune.networks.normalisation import BatchNorm, LayerNorm, Normalisation, running_statistics
from helpers import make_rbm

TORCHS: dict[str, type[nn.Module]] = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}


def pair(kind: str, size: int, seed: int) -> tuple[Normalisation, nn.Module]:
    """Ours and torch's in float64, with the same scale and shift, away from 1 and 0."""
    ours, torchs = Normalisation.create(kind, "normalisation", size).double(), TORCHS[kind](size).double()
    generator = torch.Generator().manual_seed(seed)
    for own, other in ((ours.scale, torchs.weight), (ours.shift, torchs.bias)):
        values = torch.randn(size, generator=generator, dtype=torch.float64)
        for parameter in (own, other):
            with torch.no_grad():
                parameter.copy_(values)  # type: ignore[operator]
    return ours, torchs


@pytest.mark.parametrize("kind", sorted(TORCHS))
def test_groups_normalise_as_a_module_of_torchs_for_each_member(kind: str) -> None:
    """Outputs, gradients and running averages over several minibatches, the last of one size less, then evaluation."""
    pairs = [pair(kind, 4, seed) for seed in range(3)]
    group = type(pairs[0][0]).group([ours for ours, _ in pairs])
    generator = torch.Generator().manual_seed(9)
    for training, batch in ((True, 6), (True, 6), (True, 5), (False, 7), (True, 6)):
        group.train(training)
        x = torch.randn(3, batch, 4, generator=generator, dtype=torch.float64) * 3 + 1
        x.requires_grad_()
        group.zero_grad()
        weights = torch.randn(3, batch, 4, generator=generator, dtype=torch.float64)
        outputs = group(x)
        (outputs * weights).sum().backward()
        for number, (single, torchs) in enumerate(pairs):
            torchs.train(training)
            torchs.zero_grad()
            own = x[number].detach().requires_grad_()
            output = torchs(own)
            torch.testing.assert_close(outputs[number], output, rtol=0, atol=1e-12)
            (output * weights[number]).sum().backward()
            assert x.grad is not None
            torch.testing.assert_close(x.grad[number], own.grad, rtol=0, atol=1e-12)
            for mine, theirs in ((group.scale, torchs.weight), (group.shift, torchs.bias)):
                torch.testing.assert_close(mine.grad[number, 0], theirs.grad, rtol=0, atol=1e-12)  # type: ignore[union-attr]
            group.copy_member(number, single)
            if kind == "batch":
                torch.testing.assert_close(single.running_mean, torchs.running_mean, rtol=0, atol=1e-12)
                torch.testing.assert_close(single.running_variance, torchs.running_var, rtol=0, atol=1e-12)


def test_batch_normalisation_by_its_formula() -> None:
    """Biased variance in the output, unbiased in the running average, as in the paper's algorithms."""
    ours, _ = pair("batch", 3, 0)
    x = np.random.default_rng(0).normal(2, 3, (5, 3))
    output = ours(torch.from_numpy(x)).detach().numpy()
    scale, shift = ours.scale.detach().numpy(), ours.shift.detach().numpy()
    np.testing.assert_allclose(output, scale * (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5) + shift, rtol=1e-12)
    assert isinstance(ours, BatchNorm)
    np.testing.assert_allclose(ours.running_mean, 0.1 * x.mean(0), rtol=1e-12)
    np.testing.assert_allclose(ours.running_variance, 0.9 + 0.1 * x.var(0, ddof=1), rtol=1e-12)
    ours.eval()
    expected = scale * (x - ours.running_mean.numpy()) / np.sqrt(ours.running_variance.numpy() + 1e-5) + shift
    np.testing.assert_allclose(ours(torch.from_numpy(x)).detach().numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("members", [0, 2])
def test_a_minibatch_of_one_image_is_normalised_by_the_running_averages(members: int) -> None:
    ours: Any = BatchNorm(3) if not members else BatchNorm.group([BatchNorm(3) for _ in range(members)])
    shape = (members,) if members else ()
    ours(torch.randn(*shape, 8, 3))
    before = [buffer.clone() for buffer in ours.buffers()]
    one = torch.randn(*shape, 1, 3)
    in_training = ours(one)
    assert all(torch.equal(buffer, was) for buffer, was in zip(ours.buffers(), before, strict=True))
    assert torch.equal(in_training, ours.eval()(one))


def stack_of(hidden: str) -> DBN:
    """Two RBMs with weights away from zero, 6-5-4."""
    return DBN([make_rbm("bernoulli", hidden, 6, 5), make_rbm(hidden, hidden, 5, 4)])


def pretrained(kind: str | None, hidden: str, **options: Any) -> tuple[DBN, Network]:
    """A stack, and the network that starts from it."""
    stack, activation = stack_of(hidden), {"bernoulli": "sigmoid", "relu": "relu"}[hidden]
    network = Network.dense([6, 5, 4, 3], activation=activation, normalisation=kind, **options).double()
    FromStack()(network, 0, stack)
    network.compensate_dropout()
    return stack, network


@pytest.mark.parametrize("hidden", ["bernoulli", "relu"])
def test_a_pretrained_network_with_batch_normalisation_starts_as_its_stack(hidden: str) -> None:
    """In evaluation, at every layer, for other images than those whose fields it starts from; in training nearly."""
    stack, network = pretrained("batch", hidden, dropout_input=0.2, dropout_hidden=0.5)
    generator = torch.Generator().manual_seed(0)
    seen, others = torch.rand(2, 400, 6, generator=generator, dtype=torch.float64)
    start_normalisation(network, seen)
    assert network.training
    network.eval()
    for layer, output in enumerate(network.hidden(others)[:2], start=1):
        torch.testing.assert_close(output, stack.up(others, layer), rtol=0, atol=1e-10)
    assert len(running_statistics(network)) == 4
    _, without_dropout = pretrained("batch", hidden)
    start_normalisation(without_dropout, seen)
    outputs = without_dropout.hidden(seen)  # in training, the same images as a minibatch
    for layer, output in enumerate(outputs[:2], start=1):
        torch.testing.assert_close(output, stack.up(seen, layer), rtol=0, atol=0.02)


@pytest.mark.parametrize("hidden", ["bernoulli", "relu"])
def test_with_layer_normalisation_it_starts_as_near_as_a_scale_and_a_shift_of_each_unit_can(hidden: str) -> None:
    """Each unit's are those of a regression of the stack's field on its own normalised one."""
    _, network = pretrained("layer", hidden)
    _, plain = pretrained(None, hidden)
    images = torch.rand(300, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    start_normalisation(network, images)
    with torch.no_grad():
        inputs = [images, *network.eval().hidden(images)]
        wanted_inputs = [images, *plain.eval().hidden(images)]
        for own, block, x, wanted_x in zip(network.blocks, plain.blocks, inputs[:2], wanted_inputs, strict=False):
            field, wanted = block.field(x).numpy(), block.field(wanted_x).numpy()
            normalised = (field - field.mean(1, keepdims=True)) / np.sqrt(field.var(1, keepdims=True) + 1e-5)
            assert isinstance(own.normalisation, LayerNorm)
            fits = [np.polyfit(normalised[:, unit], wanted[:, unit], 1) for unit in range(field.shape[1])]
            slopes, intercepts = np.transpose(fits)
            np.testing.assert_allclose(own.normalisation.scale.numpy(), slopes, rtol=1e-8)
            np.testing.assert_allclose(own.normalisation.shift.numpy(), intercepts, rtol=1e-8, atol=1e-10)


def test_output_and_code_are_not_normalised() -> None:
    network = Network.dense([8, 5, 2, 5, 8], code=2, normalisation="layer")
    assert [block.normalisation is not None for block in network.blocks] == [True, False, True, False]
    classifier = Network.dense([8, 5, 3], normalisation={"kind": "batch", "momentum": 0.3})
    first, last = (block.normalisation for block in classifier.blocks)
    assert last is None
    assert isinstance(first, BatchNorm)
    assert first.momentum == 0.3


def test_bfloat16_products_are_normalised_in_float32() -> None:
    network = Network.dense([60, 40, 10], normalisation="batch")
    for layer in network.layers:
        layer.precision = "bf16"
    x = torch.rand(50, 60)
    block = network.blocks[0]
    field = block.layer(x)
    expected = (field - field.mean(0)) / (field.var(0, correction=0) + 1e-5).sqrt()
    found = block.field(x)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)  # 2^-8 where the sums were in bfloat16


def test_a_group_and_its_members_are_one() -> None:
    torch.manual_seed(3)
    singles = [Network.dense([6, 5, 3], activation="relu", normalisation="batch").double() for _ in range(2)]
    group = NetworkGroup(singles)
    x = torch.rand(2, 9, 6, dtype=torch.float64)
    outputs = group(x)
    for number, single in enumerate(singles):
        torch.testing.assert_close(outputs[number], single(x[number]), rtol=0, atol=1e-12)
    trained = running_statistics(group)
    for name, own in running_statistics(singles[1]).items():
        torch.testing.assert_close(trained[name][1, 0], own, rtol=0, atol=1e-12)
        own.zero_()
    group.copy_to_members()
    for name, own in running_statistics(singles[1]).items():
        assert torch.equal(trained[name][1, 0], own)


@pytest.mark.parametrize(
    ("wanted", "named"),
    [
        ("bach", "network.normalisation"),
        ({"kind": "batch", "momentum": 0.0}, "network.normalisation.momentum"),
        ({"kind": "layer", "epsilon": -1}, "network.normalisation.epsilon"),
        ({"kind": "layer", "momentum": 0.1}, "network.normalisation.momentum"),
    ],
)
def test_bad_options_are_named(wanted: Any, named: str) -> None:
    with pytest.raises(SettingError, match=named):
        Network.dense([4, 3, 2], normalisation=wanted)
