"""The linear layer in bfloat16: float32's within rounding, and float32 again in use."""

import pytest
import torch

from dbn.machine.precision_table import Line
from dbn.models.linear import Linear
from finetune.networks.network import Network

CPU = torch.device("cpu")


@pytest.mark.parametrize("first", [True, False], ids=["inputs need no gradient", "inputs need a gradient"])
def test_outputs_and_gradients_are_float32_s_within_rounding(first: bool) -> None:
    """Each product is off by some 2^-8 of the sizes that go into it."""
    layer = Linear(300, 40)
    x = torch.randn(50, 300, requires_grad=not first)
    weights = torch.randn(50, 40)
    results = []
    for precision in ("float32", "bf16"):
        layer.precision = precision
        layer.zero_grad()
        x.grad = None
        output = layer(x)
        (output * weights).sum().backward()
        gradients = [layer.weight.grad, layer.bias.grad, *([] if first else [x.grad])]
        results.append([output.detach(), *(gradient.clone() for gradient in gradients if gradient is not None)])
    for exact, rounded in zip(*results, strict=True):
        assert rounded.dtype == torch.float32
        assert (exact - rounded).norm() < 2**-7 * exact.norm()
    assert not torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][2], results[1][2])  # the bias's gradient is a sum in float32


def test_in_use_it_is_float32() -> None:
    layer = Linear(30, 4)
    x = torch.randn(5, 30)
    expected = layer(x)
    layer.precision = "bf16"
    assert not torch.equal(layer(x), expected)
    assert torch.equal(layer.eval()(x), expected)


def test_a_network_s_layers_choose_by_their_own_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "dbn.machine.precision.line_for",
        lambda kind, work, product, batch: Line(kind, work, 10**7, 1, "bf16", "") if product >= 10**7 else None,
    )
    network = Network.dense([1000, 1000, 10])
    choices = network.choose_precision("auto", 10, CPU)
    assert [layer.precision for layer in network.layers] == ["bf16", "float32"]
    assert [choice.precision for choice in choices] == ["bf16", "float32"]
    network.choose_precision("float32", 100, CPU)
    assert [layer.precision for layer in network.layers] == ["float32", "float32"]


@pytest.mark.parametrize("first", [True, False], ids=["inputs need no gradient", "inputs need a gradient"])
def test_a_group_s_gradients_are_those_of_its_members(first: bool) -> None:
    layers = [Linear(30, 20) for _ in range(3)]
    group = Linear.group(layers)
    x = torch.randn(3, 8, 30, requires_grad=not first)
    weights = torch.randn(3, 8, 20)
    (group(x) * weights).sum().backward()
    for k, layer in enumerate(layers):
        own = x[k].detach().requires_grad_(not first)
        (layer(own) * weights[k]).sum().backward()
        assert torch.allclose(group.weight.grad[k], layer.weight.grad, atol=1e-5)
        assert torch.allclose(group.bias.grad[k, 0], layer.bias.grad, atol=1e-5)
        if not first:
            assert torch.allclose(x.grad[k], own.grad, atol=1e-5)
