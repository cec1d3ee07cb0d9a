"""Denoising autoencoders: their gradient, their corruption, and what is left of a whole pretraining."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from dbn import DBN
from dbn.data import DataSet
from dbn.errors import SettingError
from dbn.models.autoencoder import TiedAutoencoder
from dbn.models.connections import Dense
from dbn.models.units import make_units
from dbn.pretraining import (
    DenoisingAutoencoder,
    JointAutoencoder,
    LayerSettings,
    PretrainingMethod,
    StackRun,
    pretrain_stack,
    pretrain_stacks,
)
from dbn.pretraining.denoising import Corruption, DenoisingStep, DenoisingTraining
from dbn.pretraining.joint import JointLayers
from dbn.pretraining.stack_run import pretrain, pretrain_seeds, pretraining_directory
from dbn.random.streams import stream, streams
from helpers import SLOPED, Composer


class StoppedError(Exception):
    """Stands for a kill."""


def make_layers(kinds: Sequence[str], sizes: Sequence[int], seed: int = 0) -> list[TiedAutoencoder]:
    """In float64, with weights and biases away from zero."""
    generator = torch.Generator().manual_seed(seed)
    layers = []
    for below, above, n, m in zip(kinds[:-1], kinds[1:], sizes[:-1], sizes[1:], strict=True):
        layer = TiedAutoencoder(make_units(below, n), make_units(above, m), Dense((n,), m)).double()
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.copy_(0.6 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
        layers.append(layer)
    return layers


def reconstructed_field(layers: Sequence[TiedAutoencoder], x: Tensor) -> Tensor:
    """Field of the lowest visible units, by the layers' own passes."""
    for layer in layers:
        x = layer.up(x)
    for layer in reversed(layers[1:]):
        x = layer.down(x)
    return layers[0].connection.visible_field(x)


STACKS = [([visible, hidden], [6, 4]) for visible, hidden in SLOPED] + [
    (["bernoulli", "relu", "relu"], [6, 5, 4]),
    (["gaussian", "bernoulli", "relu", "gaussian"], [6, 5, 4, 3]),
    (["bernoulli", "bernoulli", "bernoulli"], [6, 5, 7]),
]


@pytest.mark.parametrize(("kinds", "sizes"), STACKS)
def test_the_gradient_is_that_of_autograd(kinds: list[str], sizes: list[int]) -> None:
    layers = make_layers(kinds, sizes)
    x, corrupted = torch.rand(9, 6, dtype=torch.float64), torch.rand(9, 6, dtype=torch.float64)
    parameters = [parameter for layer in layers for parameter in layer.parameters()]
    expected = torch.autograd.grad(layers[0].loss(x, reconstructed_field(layers, corrupted)).sum() / 12, parameters)
    with torch.no_grad():
        DenoisingStep(layers, Corruption()).write_gradient(corrupted, x, count=12)
    for parameter, gradient in zip(parameters, expected, strict=True):
        assert gradient.abs().max() > 1e-3
        torch.testing.assert_close(parameter.grad, gradient, rtol=0, atol=1e-10)


def test_the_loss_is_the_one_of_the_visible_units_type() -> None:
    """Cross-entropy of probabilities; half the squared error of reals and, where an output is active, of rectifiers."""
    field = torch.randn(7, 6, dtype=torch.float64)
    x = torch.rand(7, 6, dtype=torch.float64)
    found = {kind: make_layers([kind, "bernoulli"], [6, 4])[0] for kind in ("bernoulli", "gaussian", "relu")}
    logits = field + found["bernoulli"].visible.bias
    entropy = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1)
    torch.testing.assert_close(found["bernoulli"].loss(x, field), entropy, rtol=0, atol=1e-12)
    for kind, shift in (("gaussian", 0.0), ("relu", 5.0)):
        layer, fields = found[kind], field + shift
        squared = 0.5 * (fields + layer.visible.bias - x).square().sum(1)
        constant = layer.loss(x, fields) - squared
        torch.testing.assert_close(constant - constant[0], torch.zeros_like(constant), rtol=0, atol=1e-10)


@pytest.mark.parametrize("depth", [1, 3])
def test_every_member_of_a_group_takes_the_steps_it_would_take_alone(depth: int) -> None:
    """Ten steps with masking noise, momentum and weight cost, in float64."""
    kinds, sizes = ["bernoulli", "relu", "bernoulli", "gaussian"][: depth + 1], [6, 5, 4, 3][: depth + 1]
    settings = LayerSettings(n_hidden=4, learning_rate=0.02, weight_cost=0.01)
    x, corruption = torch.rand(3, 10, 6, dtype=torch.float64), Corruption("masking", 0.4)

    def trained(layers: JointLayers, x: Tensor, seeds: list[int]) -> JointLayers:
        optimizer = DenoisingTraining(layers, settings, corruption).configure_optimizers()
        step = DenoisingStep(layers.layers, corruption)
        for number in range(10):
            step(x, optimizer, streams(seeds, "gibbs", number))
        return layers

    members = [make_layers(kinds, sizes, seed) for seed in range(3)]
    group = trained(JointLayers.group(members), x, [0, 1, 2]).members()
    for seed, own in enumerate(members):
        start = own[0].weight.detach().clone()
        alone = trained(JointLayers(own), x[seed], [seed])
        assert not torch.allclose(own[0].weight, start, atol=1e-3)
        for (name, expected), (_, found) in zip(alone.named_parameters(), group[seed].named_parameters(), strict=True):
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-12, msg=name)


def test_masking_noise_sets_a_fraction_to_zero_and_gaussian_noise_adds_its_deviation() -> None:
    """Of 100000 inputs, within four standard errors."""
    x, n = torch.rand(1000, 100) + 0.5, 100_000
    masked = Corruption("masking", 0.3)(x, stream(0, "gibbs"))
    assert abs(float((masked == 0).float().mean()) - 0.3) < 4 * (0.3 * 0.7 / n) ** 0.5
    assert torch.equal(masked[masked != 0], x[masked != 0])
    noise = Corruption("gaussian", 0.2)(x, stream(0, "gibbs")) - x
    assert abs(float(noise.mean())) < 4 * 0.2 / n**0.5
    assert abs(float(noise.std()) - 0.2) < 4 * 0.2 / (2 * n) ** 0.5
    for kind in ("masking", "gaussian"):
        assert torch.equal(Corruption(kind, 0.0)(x, stream(0, "gibbs")), x)


METHODS: dict[str, PretrainingMethod] = {"greedy": DenoisingAutoencoder(), "joint": JointAutoencoder()}


@pytest.mark.parametrize("hidden", ["bernoulli", "relu"])
@pytest.mark.parametrize("method", METHODS)
def test_it_learns_to_reconstruct_better_than_the_mean(method: str, hidden: str, digits_data: DataSet) -> None:
    rate = 0.1 if hidden == "bernoulli" else 0.02
    layers = [LayerSettings(n_hidden=n, epochs=15, hidden=hidden, learning_rate=rate) for n in (60, 40)]
    stack = pretrain_stack(digits_data, layers, method=METHODS[method], progress=False)
    x = digits_data.validation.features()
    assert stack.sizes == [64, 60, 40]
    assert not stack.is_generative
    error = float((stack.reconstruct(x) - x).square().sum(1).mean())
    assert error < 0.75 * float((x - x.mean(0)).square().sum(1).mean())


def test_upper_layers_see_clean_codes_and_are_trained_alone(digits_data: DataSet) -> None:
    """The first layer of a stack is the stack of that layer; what it leaves is what the second layer trains on."""
    layers = [LayerSettings(n_hidden=n, epochs=2) for n in (30, 20)]
    one = pretrain_stack(digits_data, layers[:1], method=DenoisingAutoencoder(), progress=False)
    two = pretrain_stack(digits_data, layers, method=DenoisingAutoencoder(), progress=False)
    assert torch.equal(one[0].weight, two[0].weight)
    joint = pretrain_stack(digits_data, layers, method=JointAutoencoder(), progress=False)
    assert not torch.equal(one[0].weight, joint[0].weight)  # the code above has a say in it


@pytest.mark.parametrize("method", METHODS)
def test_stacks_together_are_what_they_are_alone(method: str, digits_data: DataSet) -> None:
    layers = [LayerSettings(n_hidden=n, epochs=2) for n in (30, 20)]
    runs = [StackRun(0), StackRun(3)]
    for run, found in zip(
        runs, pretrain_stacks(digits_data, layers, runs, method=METHODS[method], progress=False), strict=True
    ):
        alone = pretrain_stack(digits_data, layers, method=METHODS[method], seed=run.seed, progress=False)
        for a, b in zip(found.stack.parameters(), alone.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-4)


SMALL = ["stack.layers=[12,8]", "stack.every_layer.epochs=4", "checkpoint_seconds=0"]


@pytest.mark.parametrize("seeds", [1, 2])
@pytest.mark.parametrize("method", ["denoising_autoencoder", "joint_autoencoder"])
def test_an_interrupted_run_ends_with_the_same_bits(
    method: str, seeds: int, compose: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped within the last stage, and again when its file is written but not yet the result."""
    from dbn.pretraining import stack_run

    settings = [*SMALL, f"method={method}", f"n_parallel_seeds={seeds}"]
    undisturbed = pretrain_seeds(compose("pretrain", [*settings, "study=undisturbed"]))
    config = compose("pretrain", [*settings, "study=disturbed"])
    last = 1 if method == "joint_autoencoder" else 2
    at_end = DenoisingTraining.on_train_epoch_end

    def failing(self: DenoisingTraining) -> None:
        if self.number == last and self.current_epoch == 2:
            raise StoppedError
        at_end(self)

    with monkeypatch.context() as patch:
        patch.setattr(DenoisingTraining, "on_train_epoch_end", failing)
        with pytest.raises(StoppedError):
            pretrain_seeds(config)

    def failing_finish(*_: object) -> None:
        raise StoppedError

    with monkeypatch.context() as patch:
        patch.setattr(stack_run, "_finish", failing_finish)
        with pytest.raises(StoppedError):
            pretrain_seeds(config)
    for found, expected in zip(pretrain_seeds(config), undisturbed, strict=True):
        assert found["metrics"] == expected["metrics"]
        assert found["flops"] == expected["flops"]
        assert found["epochs"] == expected["epochs"] == (4 if method == "joint_autoencoder" else 8)
        files = [pretraining_directory(result["config"]) / "dbn.safetensors" for result in (found, expected)]
        assert files[0].read_bytes() == files[1].read_bytes()


def test_the_file_holds_a_stack_of_autoencoders(compose: Composer, tmp_path: Path) -> None:
    pretrain(compose("pretrain", [*SMALL, "method=denoising_autoencoder"]))
    (file,) = (tmp_path / "runs").rglob("dbn.safetensors")
    stack, header = DBN.load(file), DBN.describe(file)
    assert [layer["kind"] for layer in header["layers"]] == ["autoencoder", "autoencoder"]
    x = torch.rand(5, 64)
    torch.testing.assert_close(stack[0].up(x), torch.sigmoid(x @ stack[0].weight + stack[0].hidden.bias))
    with pytest.raises(SettingError, match="only RBMs have a distribution"):
        stack.sample(3)


def test_stacks_of_other_methods_and_levels_have_directories_of_their_own(compose: Composer) -> None:
    choices = [
        [], ["method=denoising_autoencoder"], ["method=denoising_autoencoder", "method.level=0.4"],
        ["method=joint_autoencoder"], ["method=pca"],
    ]  # fmt: skip
    assert len({pretraining_directory(compose("pretrain", own)) for own in choices}) == len(choices)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["method.level=1.0"], r"method\.level=1\.0"),
        (["method.level=-0.1"], r"method\.level=-0\.1"),
        (["method.corruption=salt"], r"method\.corruption='salt'"),
        (["stack.every_layer.hidden=gaussian", "method.corruption=gaussian", "method.level=-1"], r"method\.level=-1"),
    ],
)
def test_wrong_settings_are_named(overrides: list[str], words: str, compose: Composer) -> None:
    with pytest.raises(SettingError, match=words):
        pretrain(compose("pretrain", ["method=denoising_autoencoder", *overrides]))


def test_layers_that_train_jointly_have_one_rate(compose: Composer) -> None:
    config = compose("pretrain", [*SMALL, "method=joint_autoencoder", "+stack.upper_layers.learning_rate=0.01"])
    with pytest.raises(SettingError, match=r"learning_rate is 0\.1, 0\.01, but JointAutoencoder trains all layers"):
        pretrain(config)


def test_precision_and_augmentation_reach_it(compose: Composer) -> None:
    """bfloat16 products change bits, and so do deformed images; both learn."""
    errors, first = [], set()
    for more in ([], ["precision=bf16"], ["augment@stack.augment=affine"]):
        result = pretrain(compose("pretrain", [*SMALL, "method=denoising_autoencoder", *more]))
        errors.append(result["metrics"]["layer1/reconstruction_error"])
        stack = DBN.load(pretraining_directory(result["config"]) / "dbn.safetensors")
        first.add(float(stack[0].weight.detach().sum()))
    assert len(first) == 3
    assert max(errors) < 1.5 * min(errors)
