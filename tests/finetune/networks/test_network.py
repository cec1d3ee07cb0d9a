"""The network and its starting weights."""

import math
from typing import Any

import pytest
import torch

from dbn import DBN, RBM
from dbn.errors import SettingError
from dbn.models.units import Bernoulli
from dbn.random.streams import stream
from finetune.networks.dropout import Dropout
from finetune.networks.group import group_networks
from finetune.networks.initialise import FromStack, Glorot, He, Initialisation, Marginals, Normal
from finetune.networks.network import Network
from finetune.networks.unrolling import unroll
from helpers import make_rbm


def binary_stack() -> DBN:
    """6-5-4, binary."""
    return DBN([make_rbm(n_visible=6, n_hidden=5), make_rbm(n_visible=5, n_hidden=4)])


def coding_stack() -> DBN:
    """6-5-4-2 with a real code."""
    return DBN([*binary_stack().layers, make_rbm("bernoulli", "gaussian", 4, 2)])


def test_an_unrolled_classifier_computes_the_stack_at_every_layer() -> None:
    stack = binary_stack()
    network = Network.dense([6, 5, 4, 10]).double()
    unroll(stack, network)
    v = torch.rand(7, 6, dtype=torch.float64)
    for layers, found in enumerate(network.hidden(v)[:2], start=1):
        torch.testing.assert_close(found, stack.up(v, layers), rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("hidden", "activation"),
    [("spin", "tanh"), ("binomial", {"kind": "binomial", "trials": 2})],
)
def test_stacks_of_spins_and_of_counts_unroll_too(hidden: str, activation: str | dict[str, Any]) -> None:
    """Spins into hyperbolic tangents, counts into as many times the logistic function; both back to the same file."""
    stack = DBN([make_rbm("bernoulli", hidden, 6, 5), make_rbm(hidden, hidden, 5, 4)])
    network = Network.dense([6, 5, 4, 10], activation=activation).double()
    unroll(stack, network)
    v = torch.rand(7, 6, dtype=torch.float64)
    for layers, found in enumerate(network.hidden(v)[:2], start=1):
        torch.testing.assert_close(found, stack.up(v, layers), rtol=0, atol=1e-14)
    with pytest.raises(SettingError, match=r"network.activation=sigmoid.*pretrained with"):
        unroll(stack, Network.dense([6, 5, 4, 10]))


@pytest.mark.parametrize(("dropout_input", "dropout_hidden"), [(0.0, 0.0), (0.2, 0.5)])
def test_an_unrolled_autoencoder_reconstructs_as_the_stack_does(dropout_input: float, dropout_hidden: float) -> None:
    """Dropout changes nothing before training either: the weights into dropped layers are divided by ``keep``."""
    stack = coding_stack()
    sizes = [6, 5, 4, 2, 4, 5, 6]
    network = Network.dense(sizes, code=3, dropout_input=dropout_input, dropout_hidden=dropout_hidden).double()
    FromStack()(network, 0, stack)
    network.compensate_dropout()
    v = torch.rand(7, 6, dtype=torch.float64)
    network.eval()
    torch.testing.assert_close(torch.sigmoid(network(v)), stack.reconstruct(v), rtol=0, atol=1e-13)
    torch.testing.assert_close(network.hidden(v)[2], stack.up(v), rtol=0, atol=1e-13)


def test_encoder_and_decoder_are_untied() -> None:
    stack = coding_stack()
    network = Network.dense([6, 5, 4, 2, 4, 5, 6], code=3).double()
    unroll(stack, network)
    layers = network.layers
    with torch.no_grad():
        layers[0].weight.add_(1)
    torch.testing.assert_close(layers[-1].weight.detach(), stack[0].weight.detach())
    assert not torch.equal(layers[0].weight.T, layers[-1].weight)


def test_activations_that_pretraining_did_not_use_are_refused_with_the_cure() -> None:
    with pytest.raises(
        SettingError, match=r"network.activation=relu.*pretrained with sigmoid.*network.activation=sigmoid"
    ):
        unroll(binary_stack(), Network.dense([6, 5, 4, 10], activation="relu"))
    with pytest.raises(SettingError, match="top layer hidden: gaussian"):
        unroll(binary_stack(), Network.dense([6, 5, 4, 5, 6], code=2))


@pytest.mark.parametrize("sizes", [[6, 5, 3, 10], [6, 5, 10], [7, 5, 4, 10]])
def test_stacks_of_other_sizes_are_refused(sizes: list[int]) -> None:
    with pytest.raises(SettingError, match="does not fit"):
        unroll(binary_stack(), Network.dense(sizes))


@pytest.mark.parametrize(
    ("initialise", "std"),
    [
        (Glorot(), math.sqrt(2 / 700)),
        (Glorot(gain=4.0), 4 * math.sqrt(2 / 700)),
        (He(), math.sqrt(2 / 400)),
        (Normal(0.03), 0.03),
    ],
)
def test_random_weights_have_the_standard_deviation_of_their_formula(initialise: Initialisation, std: float) -> None:
    """400 x 300 weights: within five standard errors, which are std / sqrt(2 n)."""
    network = Network.dense([400, 300, 10])
    initialise(network, 0)
    weight = network.layers[0].weight
    assert abs(weight.std().item() - std) < 5 * std / math.sqrt(2 * weight.numel())
    assert abs(weight.mean().item()) < 5 * std / math.sqrt(weight.numel())
    assert network.layers[0].bias.abs().max() == 0


def test_layers_get_different_numbers_and_seeds_differ() -> None:
    first, second = Network.dense([8, 8, 8]), Network.dense([8, 8, 8])
    He()(first, 0)
    He()(second, 1)
    assert not torch.equal(first.layers[0].weight, first.layers[1].weight)
    assert not torch.equal(first.layers[0].weight, second.layers[0].weight)


def test_marginals_keep_the_values_and_lose_the_structure() -> None:
    stack = DBN([RBM(Bernoulli(60), Bernoulli(50), generator=stream(0, "init"))])
    with torch.no_grad():
        stack[0].hidden.bias.copy_(torch.linspace(-2, 2, 50))
    network = Network.dense([60, 50, 10])
    Marginals()(network, 0, stack)
    layer = network.layers[0]
    assert set(layer.weight.flatten().tolist()) <= set(stack[0].weight.flatten().tolist())
    assert set(layer.bias.tolist()) <= set(stack[0].hidden.bias.tolist())
    assert abs(
        torch.corrcoef(torch.stack([layer.weight.T.flatten(), stack[0].weight.flatten()]))[0, 1]
    ) < 5 / math.sqrt(3000)
    assert Marginals.kind == "control"


def test_dropout_keeps_the_stated_share_in_training_and_the_expectation_in_use() -> None:
    dropout = Dropout(0.3)
    dropout.generator = stream(0, "dropout")
    x = torch.ones(1000, 1000)
    kept = dropout(x)
    assert set(kept.unique().tolist()) == {0.0, 1.0}
    assert abs(kept.mean().item() - 0.7) < 5 * math.sqrt(0.21 / 1e6)
    assert dropout.eval()(x).mean().item() == pytest.approx(0.7)


def test_dropout_draws_from_its_stream_only() -> None:
    network = Network.dense([5, 4, 3], dropout_input=0.5)
    outputs = []
    for _ in range(2):
        network.use_noise_from(stream(0, "dropout"))
        torch.rand(3)
        outputs.append(network(torch.ones(2, 5)))
    assert torch.equal(*outputs)


def test_max_norm_limits_hidden_units_and_leaves_the_others() -> None:
    network = Network.dense([4, 3, 2])
    with torch.no_grad():
        network.layers[0].weight.copy_(torch.tensor([[3.0, 4, 0, 0], [0.3, 0.4, 0, 0], [0, 0, 0, 0]]))
        network.layers[1].weight.fill_(9)
    network.limit_norms(2.0)
    expected = torch.tensor([[1.2, 1.6, 0, 0], [0.3, 0.4, 0, 0], [0, 0, 0, 0]])
    torch.testing.assert_close(network.layers[0].weight.detach(), expected)
    assert (network.layers[1].weight == 9).all()


def weights_of_norms(norms: torch.Tensor, n_inputs: int, dtype: torch.dtype) -> torch.Tensor:
    """Random rows ``(..., n_inputs)`` of the norms ``(...,)``."""
    rows = torch.randn(*norms.shape, n_inputs, generator=stream(0, "init"), dtype=torch.float64)
    return (rows / rows.norm(dim=-1, keepdim=True) * norms.unsqueeze(-1)).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("members", [1, 3])
def test_max_norm_keeps_every_bit_of_a_unit_below_for_any_limit(members: int, dtype: torch.dtype) -> None:
    """400 limits, for one in seven of which the limit times its own reciprocal is not 1 after rounding.

    Norms are computed here in float64. A unit counts as below where it is so by more than the rounding of its norm,
    (n_inputs + 2) / 2 units in the last place at most; those above end at the limit within twice that, and keep their
    direction.
    """
    n_inputs, n_hidden = 24, 40
    rounding = (n_inputs + 2) / 2 * torch.finfo(dtype).eps
    networks = [Network.dense([n_inputs, n_hidden, 3]).to(dtype) for _ in range(members)]
    network = group_networks(networks)
    (layer, output), shape = network.layers, (*(() if members == 1 else (members,)), n_hidden)
    limits = torch.rand(400, generator=stream(0, "limits"), dtype=torch.float64) * 5 + 0.05
    touched = limits.to(dtype).reciprocal() * limits.to(dtype) != 1
    assert 20 < touched.sum() < 200
    relative = torch.linspace(0, 2, n_hidden, dtype=torch.float64).expand(shape)
    for limit in limits.tolist():
        before = weights_of_norms(relative * limit, n_inputs, dtype)
        with torch.no_grad():
            layer.weight.copy_(before)
            output.weight.fill_(100.0)
        network.limit_norms(limit)
        after, norms = layer.weight.detach(), before.double().norm(dim=-1)
        below = norms < limit * (1 - rounding)
        assert torch.equal(after[below], before[below]), limit
        assert below.sum() >= members * (n_hidden // 2 - 1)
        above = ~below
        torch.testing.assert_close(
            after[above].double().norm(dim=-1), norms[above].clamp(max=limit), rtol=2 * rounding, atol=0
        )
        cosines = torch.cosine_similarity(after[above].double(), before[above].double(), dim=-1)
        torch.testing.assert_close(cosines, torch.ones_like(cosines), rtol=0, atol=4 * rounding)
        assert (output.weight == 100).all()


@pytest.mark.parametrize("options", [{"activation": "swish"}, {"dropout_input": 1.0}, {"dropout_hidden": -0.1}])
def test_bad_options_are_named(options: dict[str, object]) -> None:
    with pytest.raises(SettingError, match=next(iter(options))):
        Network.dense([4, 3, 2], **options)  # type: ignore[arg-type]
