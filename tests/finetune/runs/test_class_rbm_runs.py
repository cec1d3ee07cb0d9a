"""Runs of class RBMs as networks: what they start from, the hybrid gradient, seeds together, resuming, refusals."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from dbn.data.blocks import Minibatch
from dbn.data.from_config import data_of
from dbn.errors import SettingError
from dbn.models.class_rbm import class_log_probabilities, joint_free_energy
from dbn.models.dbn import DBN
from dbn.pretraining.stack_run import pretraining_config, pretraining_directory
from finetune import Network
from finetune.networks.group import NetworkGroup
from finetune.networks.label_units import class_rbm_in
from finetune.runs.check_config import check_finetuning
from finetune.runs.network_run import finetune, finetune_seeds, finetuning_directory
from finetune.runs.starting_networks import starting_points
from finetune.tasks import HybridClassifier
from finetune.tasks.base import FineTuning
from finetune.tasks.settings import TrainingSettings
from helpers import Composer

SMALL = ["stack.layers=[20]", "stack.every_layer.epochs=2", "stack.every_layer.batch_size=20", "training.epochs=3"]
RANDOM = ["network=class_rbm", "start=random_sigmoid"]
LABEL = "{kind:bernoulli_with_label,n_labels:10}"


def test_a_joint_network_classifies_as_its_stack_does_before_training(compose: Composer) -> None:
    for layers in ("[20]", f"[12,{{n_hidden:20,hidden:{LABEL}}}]"):
        hidden = ["stack.every_layer.hidden=bernoulli"] if "," in layers else []
        config = compose("finetune", ["start=joint", *SMALL, f"stack.layers={layers}", *hidden])
        data = data_of(config)
        (start,) = starting_points([config], data, [data.train])
        stack = DBN.load(pretraining_directory(pretraining_config(config)))
        x = data.test.sample(50)
        expected = class_log_probabilities(stack, x)
        torch.testing.assert_close(start.network.eval()(x).log_softmax(1), expected, rtol=0, atol=2e-6)
        assert float(expected.detach().exp().std()) > 0.01
    with pytest.raises(SettingError, match="network=class_rbm"):
        starting_points([compose("finetune", ["start=joint", *SMALL, "network=from_stack"])], data)


def test_twins_have_the_same_network_and_visible_units_that_know_the_data(compose: Composer) -> None:
    starts = ([*RANDOM, *SMALL], ["start=joint", *SMALL], ["network=class_rbm", "start=dbn", *SMALL])
    configs = [compose("finetune", overrides) for overrides in starts]
    data = data_of(configs[0])
    networks = [starting_points([config], data, [data.train])[0].network for config in configs]
    assert len({str(network) for network in networks}) == 1
    visible = networks[0].layers[-1].visible
    mean = data.train.features().mean(0).clamp(1e-3, 1 - 1e-3)
    torch.testing.assert_close(torch.sigmoid(visible.bias.detach()), mean, rtol=0, atol=1e-5)
    stack = DBN.load(pretraining_directory(pretraining_config(configs[1])))
    assert torch.equal(networks[1].layers[-1].visible.bias, stack[0].visible.bias)
    assert torch.equal(networks[1].layers[-1].weight, stack[0].hidden.label_weight)
    assert float(networks[2].layers[-1].weight.std()) == pytest.approx(0.01, rel=0.2), "plain RBMs know no label"


def network_of(sizes: list[int], seed: int, compose: Composer) -> Network:
    """A float64 network of 64 inputs that ends in a class RBM, with all parameters away from zero."""
    config = compose("finetune", [*RANDOM, f"stack.layers={sizes}"])
    network = starting_points([config], data_of(config))[0].network.double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return network


def hybrid(network: Network, seeds: list[int]) -> HybridClassifier:
    """The module, as within a step."""
    settings = TrainingSettings(epochs=1, generative=0.3)
    module = HybridClassifier(network, settings, optimizer=None, steps_per_epoch=1, seeds=seeds)
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    module.noise = generators if len(seeds) > 1 else generators[0]
    return module


def gradients(
    module: HybridClassifier, x: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None = None
) -> dict[str, torch.Tensor]:
    """Gradient of a step by parameter."""
    batch = Minibatch(x, labels, 10, weights)
    objective, _ = module.objective(batch)
    objective.backward()
    module.add_gradients_of_loss(batch)
    return {name: parameter.grad for name, parameter in module.network.named_parameters()}


@pytest.mark.parametrize("weighted", [False, True])
def test_the_hybrid_gradient_is_that_of_class_loss_and_free_energies(weighted: bool, compose: Composer) -> None:
    """For the images and reconstructions of the step, by autograd through the class RBM that the network is."""
    network = network_of([7], 0, compose)
    x, labels = torch.rand(8, 64).double(), torch.randint(10, (8,), generator=torch.Generator().manual_seed(1))
    module = hybrid(network, [0])
    weights = torch.linspace(0, 2, 8).double() if weighted else torch.ones(8).double()
    found = gradients(module, x, labels, weights if weighted else None)
    rbm = class_rbm_in(network)
    given, reconstruction = module.phases
    assert torch.equal(given, x)
    loss = weights @ F.nll_loss(class_log_probabilities(rbm, x), labels, reduction="none")
    loss = loss + 0.3 * weights @ (joint_free_energy(rbm, x, labels) - rbm.free_energy(reconstruction))
    (loss / 10).backward()
    expected = {
        "blocks.0.layer.weight": rbm.weight.grad.T,
        "blocks.0.layer.bias": rbm.hidden.bias.grad,
        "blocks.1.layer.weight": rbm.hidden.label_weight.grad,
        "blocks.1.layer.bias": rbm.hidden.label_bias.grad,
        "blocks.1.layer.visible.bias": rbm.visible.bias.grad,
    }
    assert {*expected} == {*found}
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=0, atol=1e-12, msg=name)


def test_reconstructions_are_those_of_images_with_their_labels(compose: Composer) -> None:
    """Mean of the visible units given a sample of hidden ones, over many draws against the exact means."""
    network, n = network_of([3], 0, compose), 40_000
    x = torch.rand(1, 64).double().expand(n, 64)
    module = hybrid(network, [0])
    module.objective(Minibatch(x, torch.full((n,), 4), n))
    rbm = class_rbm_in(network)
    states = rbm.hidden.states()
    field = x[:1] @ rbm.weight + rbm.hidden.label_weight[4] + rbm.hidden.bias
    p = (states * F.logsigmoid(field) + (1 - states) * F.logsigmoid(-field)).sum(1).exp().detach()
    each = rbm.mean_visible(states).detach()
    expected, spread = p @ each, (p @ each.square() - (p @ each).square()).sqrt()
    assert ((module.phases[1].mean(0) - expected).abs() < 5 * spread / n**0.5 + 1e-9).all()


def test_layers_below_learn_from_the_classes_alone(compose: Composer) -> None:
    network = network_of([9, 7], 0, compose)
    x, labels = torch.rand(8, 64).double(), torch.arange(8)
    found = gradients(hybrid(network, [0]), x, labels)
    below = found["blocks.0.layer.weight"].clone()
    network.zero_grad()
    (F.cross_entropy(network(x), labels, reduction="sum") / 10).backward()
    torch.testing.assert_close(below, network.blocks[0].layer.weight.grad, rtol=0, atol=1e-12)


def test_members_of_a_group_have_the_gradients_they_have_alone(compose: Composer) -> None:
    networks = [network_of([7], seed, compose) for seed in (0, 1)]
    x, labels = torch.rand(2, 8, 64).double(), torch.randint(10, (2, 8))
    together = gradients(hybrid(NetworkGroup(networks), [0, 1]), x, labels)
    for k, network in enumerate(networks):
        for name, alone in gradients(hybrid(network, [k]), x[k], labels[k]).items():
            torch.testing.assert_close(together[name][k].view_as(alone), alone, rtol=0, atol=1e-12, msg=name)


def test_seeds_that_train_together_train_as_alone(compose: Composer) -> None:
    together = finetune_seeds(compose("finetune", [*RANDOM, *SMALL, "n_parallel_seeds=2", "study=together"]))
    alone = finetune(compose("finetune", [*RANDOM, *SMALL, "seed=1", "study=alone"]))
    own, other = (Network.load(finetuning_directory(result["config"])).state_dict() for result in (alone, together[1]))
    for name, tensor in own.items():
        torch.testing.assert_close(other[name], tensor, rtol=0, atol=2e-5 * max(1.0, float(tensor.abs().max())))


def test_an_interrupted_run_goes_on_with_the_same_bits_and_leaves_both_models(
    compose: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def result_of(study: str) -> Path:
        config = compose("finetune", ["start=joint", *SMALL, f"study={study}", "checkpoint_seconds=0"])
        return finetuning_directory(finetune(config)["config"])

    whole = result_of("whole")
    begin = FineTuning.on_train_epoch_start

    def stop(self: Any) -> None:
        begin(self)
        if self.current_epoch == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(FineTuning, "on_train_epoch_start", stop)
        with pytest.raises(KeyboardInterrupt):
            result_of("stopped")
    stopped = result_of("stopped")
    for file in ("network.safetensors", "dbn.safetensors"):
        assert (whole / file).read_bytes() == (stopped / file).read_bytes()
    network, stack = Network.load(whole), DBN.load(whole)
    x = torch.rand(5, 64)
    torch.testing.assert_close(class_log_probabilities(stack, x), network(x).log_softmax(1), rtol=0, atol=1e-5)


def test_operations_of_the_generative_term_count(compose: Composer) -> None:
    both, classes = (
        finetune(compose("finetune", [*RANDOM, *SMALL, f"training.generative={value}"]))["flops"]["fine_tuning"]
        for value in (0.01, 0)
    )
    assert both - classes == 3 * 2 * 64 * 20 * 3 * len(data_of(compose("finetune")).train)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["network=class_rbm", "start=random_relu"], "start=random_sigmoid"),
        ([*RANDOM, "dropout=hidden"], "dropout=none"),
        ([*RANDOM, "normalisation=batch"], "normalisation=none"),
        ([*RANDOM, "task=regression"], "task=classifier"),
        ([*RANDOM, "training.loss=squared"], "training.loss=cross_entropy"),
        ([*RANDOM, "training.mixup=0.2"], "training.mixup=null"),
        ([*RANDOM, "unlabelled=pseudo_labels", "data.n_labelled=100"], "unlabelled=none"),
        ([*RANDOM, "network.blocks=[30]"], "network.blocks=null"),
        ([*RANDOM, "training.generative=-1"], "training.generative=-1"),
        (["arm=random_sigmoid", "+training.generative=0.1"], "network=class_rbm"),
        (["start=joint", "data.n_labelled=100"], "data.n_labelled=null"),
    ],
)
def test_what_does_not_go_together_is_refused_with_a_cure(overrides: list[str], said: str, compose: Composer) -> None:
    with pytest.raises(SettingError) as refusal:
        check_finetuning(compose("finetune", overrides))
    assert said in str(refusal.value)


@pytest.mark.parametrize("layers", ["[]", "[{kind:convolution,maps:3,kernel:3}]"])
def test_a_class_rbm_needs_a_dense_layer(layers: str, compose: Composer) -> None:
    config = compose("finetune", [*RANDOM, f"stack.layers={layers}"])
    with pytest.raises(SettingError, match=r"stack.layers=\[500\]"):
        starting_points([config], data_of(config))
