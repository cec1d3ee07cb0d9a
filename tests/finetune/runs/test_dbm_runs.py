"""Runs of networks that see mean-field means: what they start from and compute, twins, seeds together, refusals."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from dbn import DBM
from dbn.data.from_config import data_of
from dbn.errors import SettingError
from dbn.models.dbn import DBN
from dbn.models.mean_field_layer import MeanFieldLinear
from dbn.pretraining.stack_run import pretraining_config, pretraining_directory
from finetune import Network
from finetune.networks.group import NetworkGroup
from finetune.runs.check_config import check_finetuning
from finetune.runs.network_run import finetune, finetune_seeds, finetuning_directory
from finetune.runs.starting_networks import starting_points
from helpers import Composer

SMALL = [
    "stack.layers=[20,15]", "stack.every_layer.epochs=2", "stack.every_layer.batch_size=50", "training.epochs=2",
]  # fmt: skip
START = ["start=dbm", "method.epochs=2", *SMALL]
TWIN = ["network=mean_field", "start=random_sigmoid", *SMALL]


def test_a_network_computes_further_steps_of_inference_before_training(compose: Composer) -> None:
    """With the machine's own mean-field means; its second layer's units are then at their fixed point."""
    config = compose("finetune", START)
    data = data_of(config)
    (start,) = starting_points([config], data)
    assert start.facts["kind"] == "pretrained"
    directory = pretraining_directory(pretraining_config(config))
    dbm, x = DBM.load(directory), data.test.sample(50)
    network = start.network.eval()
    found = dbm.mean_field(x, steps=10, tolerance=0)
    torch.testing.assert_close(network.layers[0].inferred(x), found.means[1], rtol=0, atol=1e-6)
    first = dbm[1].mean(dbm.field(1, [x, None, found.means[1]]))
    hidden = network.hidden(x)
    torch.testing.assert_close(hidden[0], first, rtol=0, atol=1e-6)
    torch.testing.assert_close(hidden[1], torch.sigmoid(first @ dbm.connection(2).weight + dbm[2].bias))
    fixed = dbm.mean_field(x, steps=500, tolerance=1e-9)
    torch.testing.assert_close(hidden[1], fixed.means[1], rtol=0, atol=1e-3)
    assert float(network.layers[0].weight[:, 64:].detach().norm()) > 0.1
    pictures = directory / "pictures.npz"
    assert pictures.is_file()
    stacked = starting_points([compose("finetune", ["start=dbn", "method=dbm", "method.epochs=2", *SMALL])], data)
    unrolled = stacked[0].network.eval().hidden(x)
    torch.testing.assert_close(unrolled[1], DBN.load(directory).up(x), rtol=0, atol=1e-6, msg="without inference")


def test_the_twin_is_the_same_network_and_infers_by_its_own_weights(compose: Composer) -> None:
    configs = [compose("finetune", overrides) for overrides in (START, TWIN)]
    data = data_of(configs[0])
    one, twin = (starting_points([config], data)[0].network for config in configs)
    assert str(one) == str(twin)
    assert [own.shape for own in one.state_dict().values()] == [own.shape for own in twin.state_dict().values()]
    first, second = twin.layers[:2]
    std = 4 * (2 / (64 + 15 + 20)) ** 0.5  # Glorot's, of all inputs
    assert float(first.weight.std()) == pytest.approx(std, rel=0.05)
    for network in (one, twin):
        first, second = network.layers[:2]
        assert torch.equal(first.first_weight, first.weight[:, :64].T)
        assert torch.equal(first.second_weight, second.weight.T)
        assert torch.equal(first.second_bias, second.bias)
    assert torch.equal(one.layers[0].weight[:, 64:], one.layers[0].second_weight)


def test_what_is_inferred_is_an_input_that_does_not_learn() -> None:
    """Gradients are those of a linear layer of image and means; a group's those of its members."""
    layers = []
    for seed in (0, 1):
        generator = torch.Generator().manual_seed(seed)
        layer, second = MeanFieldLinear(6, 5, 4).double(), torch.nn.Linear(5, 4).double()
        with torch.no_grad():
            for parameter in (*layer.parameters(), *second.parameters()):
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
        layer.infer_by(second)
        layers.append(layer)
    x = torch.rand(2, 7, 6, dtype=torch.float64)
    group = MeanFieldLinear.group(layers)
    group(x).square().sum().backward()
    for k, layer in enumerate(layers):
        inputs = torch.cat([x[k], layer.inferred(x[k])], 1)
        weight, bias = (own.detach().clone().requires_grad_() for own in (layer.weight, layer.bias))
        F.linear(inputs, weight, bias).square().sum().backward()
        layer(x[k]).square().sum().backward()
        torch.testing.assert_close(layer.weight.grad, weight.grad)
        torch.testing.assert_close(group.weight.grad[k], weight.grad)
        torch.testing.assert_close(group.bias.grad[k, 0], bias.grad)
        assert dict(layer.named_parameters()).keys() == {"weight", "bias"}


def test_seeds_together_train_as_alone_and_the_file_predicts_without_the_stack(compose: Composer) -> None:
    together = finetune_seeds(compose("finetune", [*TWIN, "n_parallel_seeds=2", "study=together"]))
    alone = finetune(compose("finetune", [*TWIN, "seed=1", "study=alone"]))
    assert alone["arm"] == "mean_field_random_sigmoid"
    assert alone["sizes"] == [64, 20, 15, 10]
    weights, inference = (64 + 15) * 20 + 20 * 15 + 15 * 10, 64 * 20 + 21 * 20 * 15
    assert alone["flops"]["fine_tuning"] == 2 * 1149 * (
        2 * inference + 2 * weights + 2 * weights + 2 * (20 * 15 + 15 * 10)
    ), "no gradients of what infers"
    networks = [Network.load(finetuning_directory(result["config"])) for result in (alone, together[1])]
    for name, tensor in networks[0].state_dict().items():
        other = networks[1].state_dict()[name]
        torch.testing.assert_close(other, tensor, rtol=0, atol=2e-5 * max(1.0, float(tensor.abs().max())))
    data = data_of(alone["config"])
    predicted = networks[0].predict(data.test)
    assert float((predicted != data.test.labels).double().mean()) == pytest.approx(alone["metrics"]["test/error"])
    first = networks[0].layers[0]
    assert not torch.equal(first.first_weight, first.weight[:, :64].T), "what infers stayed, and the layer learned"


def test_groups_of_networks_copy_back_what_they_learned(compose: Composer) -> None:
    config = compose("finetune", TWIN)
    networks = [starting_points([{**config, "seed": seed}], data_of(config))[0].network for seed in (0, 1)]
    group, x = NetworkGroup(networks), torch.rand(2, 3, 64)
    torch.testing.assert_close(group(x)[1], networks[1](x[1]))
    with torch.no_grad():
        group.layers[0].weight.add_(1)
    group.copy_to_members()
    torch.testing.assert_close(group(x)[1], networks[1](x[1]))


def test_a_pretrained_arm_runs_and_says_what_it_is(compose: Composer, tmp_path: Path) -> None:
    result = finetune(compose("finetune", START))
    assert (result["arm"], result["kind"]) == ("mean_field_dbm", "pretrained")
    assert result["flops"]["pretraining"] > 0
    directory = pretraining_directory(pretraining_config(result["config"]))
    given = compose("finetune", ["start=dbm", f"init.stack={directory / 'dbn.safetensors'}", "study=given", *SMALL])
    assert finetune(given)["metrics"] == result["metrics"]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["network=mean_field", "start=random_relu"], "start=random_sigmoid"),
        ([*TWIN, "network.blocks=[30]"], "network.blocks=null"),
        ([*TWIN, "network.dropout_input=0.2"], "network.dropout_input=0"),
        ([*TWIN, "network.input=means"], "network.input='means'"),
        ([*TWIN, "task=autoencoder"], "task=classifier"),
        ([*START, "sampler=pcd"], "sampler=cd"),
        (["start=dbm", "stack.layers=[20]"], "two hidden layers or more"),
    ],
)
def test_what_does_not_go_together_is_refused_with_a_cure(overrides: list[str], said: str, compose: Composer) -> None:
    with pytest.raises(SettingError) as refusal:
        check_finetuning(compose("finetune", overrides))
    assert said in str(refusal.value)


def test_stacks_of_something_else_are_refused_before_training(compose: Composer) -> None:
    config = compose("finetune", [*START, "stack.layers=[9,8,7]"])
    data = data_of(config)
    with pytest.raises(SettingError, match=r"stack.layers=\[500,1000\]"):
        starting_points([config], data)
    with pytest.raises(SettingError, match="method=dbm"):
        starting_points([compose("finetune", ["network=mean_field", "start=dbn", *SMALL])], data)
