"""Memory of a stack by its settings, against the layers that are made of them, and what is refused."""

import pytest

from dbn.errors import SettingError
from dbn.machine import model_memory
from dbn.pretraining.from_config import layers_of
from dbn.pretraining.growing import untrained_layers
from dbn.pretraining.stack_memory import check_stack_memory, layer_sizes
from dbn.pretraining.stack_run import method_of, pretrain
from finetune.runs.description import describe
from finetune.runs.network_run import finetune
from helpers import Composer

STACKS = [
    "[30,{n_hidden:20,hidden:gaussian}]",
    "[{kind:convolution,maps:6,kernel:3,padding:1,pool:2},{kind:convolution,maps:5,kernel:2,stride:2},8]",
    "[{n_hidden:4,connection:{kind:convolution}},7]",
]


@pytest.mark.parametrize("layers", STACKS)
@pytest.mark.parametrize("image", [(1, 8, 8), (3, 12, 8)])
def test_sizes_are_those_of_the_layers(layers: str, image: tuple[int, int, int], compose: Composer) -> None:
    config = compose("pretrain", [f"stack.layers={layers}"])
    settings = layers_of(config["stack"])
    made = untrained_layers(method_of(config), settings, "bernoulli", image)
    sizes = layer_sizes(settings, image)
    for size, layer in zip(sizes, made, strict=True):
        assert size.weights == sum(weight.numel() for weight in layer.weights())
        assert size.biases == layer.hidden.bias.numel()
        assert size.shape == layer.hidden.shape
        assert size.shape_out == layer.output_shape
    unknown = layer_sizes(settings, None)
    assert all(known.weights >= own.weights for known, own in zip(sizes, unknown, strict=True)), "at least so many"


def with_memory(monkeypatch: pytest.MonkeyPatch, n_bytes: float) -> None:
    """A machine with so much memory."""
    monkeypatch.setattr(model_memory, "physical_memory", lambda: int(n_bytes))


def test_maps_are_not_counted_as_units(compose: Composer, monkeypatch: pytest.MonkeyPatch) -> None:
    """From 1000 maps to 1000 with filters of 11x11 there are 121 million weights, where 1000 units have a million."""
    config = compose(
        "pretrain", ["stack.layers=[{kind:convolution,maps:1000,kernel:1},{kind:convolution,maps:1000,kernel:11}]"]
    )
    layers = layers_of(config["stack"])
    with_memory(monkeypatch, 4 * 4 * 122e6)
    check_stack_memory(layers, None)
    with_memory(monkeypatch, 4 * 4 * 121e6)
    with pytest.raises(SettingError, match=r"layers of 1000-1000 units or maps have 1\.21e\+08 weights.*take 1\.8 GiB"):
        check_stack_memory(layers, None)
    with_memory(monkeypatch, 4 * 4 * 122e6)
    with pytest.raises(SettingError, match=r"of 2 seeds that train together"):
        check_stack_memory(layers, None, 2)


def test_states_of_maps_are_counted(compose: Composer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few filters on large images: 100 weights, and 4 million hidden units for each of the images of a minibatch."""
    one = "{kind:convolution,maps:4,kernel:5,padding:2}"
    layers = layers_of(compose("pretrain", [f"stack.layers=[{one}]", "stack.every_layer.batch_size=50"])["stack"])
    states = 2 * 50 * (5 * 1000**2)  # of both phases, visible and hidden
    with_memory(monkeypatch, 1.01 * 4 * states)
    check_stack_memory(layers, (1, 1000, 1000))
    with_memory(monkeypatch, 0.99 * 4 * states)
    with pytest.raises(SettingError, match=r"1000x1000x1-1000x1000x4 units.*hold 5e\+08 numbers.*smaller minibatches"):
        check_stack_memory(layers, (1, 1000, 1000))
    with_memory(monkeypatch, 0.99 * 4 * states)
    fewer = layers_of(compose("pretrain", [f"stack.layers=[{one}]", "stack.every_layer.batch_size=20"])["stack"])
    check_stack_memory(fewer, (1, 1000, 1000))


LARGE = "stack.layers=[{kind:convolution,maps:50,kernel:3,padding:1},10]"


@pytest.mark.parametrize(
    ("command", "options", "words"),
    [
        (pretrain, ["pretrain"], r"^stack\.layers: layers of 8x8x1-8x8x50-10 units"),
        (finetune, ["finetune", "arm=conv_random_relu"], r"^stack\.layers: layers of 8x8x1-8x8x50-10 units"),
        (finetune, ["finetune", "start=random_relu", "network.blocks=[{kind:convolution,maps:50,kernel:3,padding:1}]"],
         r"^training\.batch_size: networks of 8x8x1-8x8x50-10 units .*1000 images are evaluated at once"),
        (finetune, ["finetune", "start=random_relu", "network.blocks=[{kind:convolution,maps:50,kernel:3,padding:1}]",
                    "training.batch_size=1149"],
         r"^training\.batch_size: .*Take a smaller minibatch"),
        (describe, ["describe", "arm=conv_random_relu"], r"^stack\.layers: layers of 8x8x1-8x8x50-10 units"),
    ],
)  # fmt: skip
def test_every_command_refuses_it_before_it_computes(
    command: object, options: list[str], words: str, compose: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parameters alone would fit: 4 megabytes."""
    name, *own = options
    config = compose(name, [LARGE, *own])
    with_memory(monkeypatch, 5e6)
    with pytest.raises(SettingError, match=words):
        command(config)  # type: ignore[operator]
