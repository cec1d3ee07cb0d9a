"""Networks with initial weights from a configuration; missing stacks are pretrained."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import hydra

from dbn.data import DataSet
from dbn.data.from_config import data_sets_of
from dbn.data.images import ImageSet
from dbn.data.shapes import DataInfo
from dbn.errors import SettingError
from dbn.models.activations import Activation
from dbn.models.dbm_layer import is_of_dbm
from dbn.models.dbn import DBN
from dbn.models.layer import Layer
from dbn.models.pooling import MaxPooling, Pooling, ProbabilisticMaxPooling
from dbn.models.registry import Registered
from dbn.pretraining.check_data import visible_units_of
from dbn.pretraining.from_config import kind_of, layers_of, untrained_of, visible_of
from dbn.pretraining.stack_memory import check_stack_memory
from dbn.pretraining.stack_run import pretrain_together, pretraining_config, pretraining_directory
from dbn.settings import call_factory, check_keys
from finetune.networks.initialise import Initialisation, start_normalisation
from finetune.networks.label_units import start_visible
from finetune.networks.mean_field_input import start_inference, with_mean_field_input
from finetune.networks.network import Network
from finetune.networks.network_memory import check_network_memory
from finetune.networks.normalisation import Normalisation
from finetune.networks.unrolling import unroll
from finetune.networks.written_blocks import network_of_blocks
from finetune.runs.output_layer import output_layer
from finetune.tasks.check_data import check_inputs

OPTIONS = ("activation", "dropout_input", "dropout_hidden", "normalisation")
"""Keys of the group ``network`` that all hidden blocks share."""
NETWORK_KEYS = ("name", "blocks", "input", "output", *OPTIONS)
"""Keys of the group ``network``."""
NORMALISED_BY = 10_000
"""Number of training images from whose fields normalisation of a network from a stack starts."""
MOST_FIELDS = 2**26
"""Fields of a layer, over all images, that this is to hold in memory: fewer images where layers have many units."""


@dataclass(frozen=True)
class Start:
    """A network with its initial weights.

    Attributes:
        network: the network.
        facts: for ``result.json``: the arm's ``kind``, ``pretrain_seconds``, ``pretrain_other_load``.
        flops: floating-point operations of pretraining.
    """

    network: Network
    facts: dict[str, Any]
    flops: int


def starting_points(configs: Sequence[dict[str, Any]], data: DataSet, training: Sequence[ImageSet] = ()) -> list[Start]:
    """Networks with initial weights for configurations that differ in their seeds only; pretrains missing stacks.

    Args:
        configs: of the runs.
        data: gives numbers of features and classes.
        training: training images of each network, from which normalisation starts where weights come from a stack.

    Raises:
        SettingError: the stack does not match network or data; raised before pretraining.
    """
    config = configs[0]
    initialise, file = initialisation_of(config), config["init"].get("stack")
    written = has_written_blocks(config)
    check_written_blocks(config, initialise)
    layers: Sequence[Layer] = []
    if not written and file is None:
        check_stack_memory(layers_of(config["stack"]), data.shape, len(configs))
    if not written:
        layers = untrained_of(config, data)
    if not written and not layers and (initialise.needs_stack or config["task"]["name"] == "autoencoder"):
        code = "[200,{n_hidden:30,hidden:gaussian,learning_rate:0.001}]"
        raise SettingError(
            f"stack.layers=[]: an autoencoder needs layers, the last of which is its code. Give 'stack.layers={code}'."
            if config["task"]["name"] == "autoencoder"
            else "stack.layers=[]: a network without a hidden layer cannot be pretrained. Give layers, "
            "stack.layers=[200], or start from random weights, arm=random_relu."
        )
    stacks: list[DBN | None] = [None] * len(configs)
    pretraining: list[dict[str, Any]] = [{"seconds": 0.0, "flops": 0, "other_load": 0.0}] * len(configs)
    if file is not None:
        stack = given_stack(file, data)
        visible, wanted = stack[0].input_type, visible_units_of(visible_of(config["stack"]), data)
        if config["task"]["name"] == "autoencoder" and visible != wanted:
            raise SettingError(
                f"stack.visible={wanted}: init.stack={file} has {visible} visible units, and an autoencoder's outputs "
                f"are means of those. Set stack.visible={visible}."
            )
        stacks, layers = [stack] * len(configs), [stack[k] for k in range(len(stack))]
    networks = [
        initialise.network_for(build_network(data, config, layers), config["task"]["name"], data.classes)
        for _ in configs
    ]
    check_network_memory(networks, config["training"]["batch_size"])
    if file is None and initialise.needs_stack:
        if initialise.layers is not None and initialise.layers > len(layers):
            raise SettingError(
                f"init.layers={initialise.layers}: the stack has {len(layers)} layers. Give at most so many."
            )
        lowest = layers[: initialise.layers]
        unroll(DBN(lowest), networks[0])
        shared = [pretraining_config(with_layers(own, len(lowest))) for own in configs]
        pretraining = pretrain_together(shared)
        stacks = [DBN.load(pretraining_directory(own)) for own in shared]
    for network, own, pretrained in zip(networks, configs, stacks, strict=True):
        initialise(network, own["seed"], pretrained)
        if initialise.needs_stack or initialise.kind == "random":
            start_inference(network)
        check_pictures(network, data)
        network.compensate_dropout()
    for network, images in zip(networks, training if initialise.kind == "random" else (), strict=False):
        start_visible(network, images)
    if training and initialise.needs_stack and config["network"].get("normalisation") is not None:
        for network, images in zip(networks, training, strict=True):
            most = MOST_FIELDS // max(layer.out_features for layer in network.layers)
            start_normalisation(network, images.sample(max(1, min(NORMALISED_BY, most))))
    return [
        Start(
            network,
            {
                "kind": kind_of_start(initialise, stack),
                "pretrain_seconds": own["seconds"],
                "pretrain_other_load": own.get("other_load"),
            },
            own["flops"],
        )
        for network, own, stack in zip(networks, pretraining, stacks, strict=True)
    ]


def given_stack(file: str, data: DataSet | DataInfo) -> DBN:
    """The stack in the file ``init.stack``.

    Raises:
        SettingError: it is for images of another size.
        ModelFileError: it is no DBN file.
    """
    stack = DBN.load(file)
    if stack.sizes[0] != data.n_features:
        raise SettingError(
            f"init.stack={file}: the stack has {stack.sizes[0]} visible units, an image of data={data.name} "
            f"{data.n_features} pixels. Choose a stack that was pretrained on such images."
        )
    return stack


def check_pictures(network: Network, data: DataSet | DataInfo) -> None:
    """Check that the filters of a network's first layer, which may be from elsewhere, are moved over images so shaped.

    Raises:
        SettingError: they were learned on images with as many pixels, but other sides.
    """
    first = network.blocks[0].layer.shape_in
    channels, height, width = data.shape
    if len(first) == 3 and tuple(first) != (height, width, channels):
        raise SettingError(
            f"data={data.name}: the images have {height}x{width} pixels and channels={channels}, those that the "
            f"convolutional network was trained on {first[0]}x{first[1]} and channels={first[2]}. Choose images of "
            "that shape, or another init.stack or init.run."
        )


def kind_of_start(initialise: Initialisation, stack: DBN | None) -> str:
    """The arm's ``kind``: ``unlabelled`` in place of ``pretrained`` where the stack is no model of RBMs, nor a DBM."""
    other = (
        initialise.kind == "pretrained"
        and stack is not None
        and not stack.is_generative
        and not is_of_dbm(list(stack.layers))
    )
    return "unlabelled" if other else initialise.kind


def with_layers(config: dict[str, Any], n: int) -> dict[str, Any]:
    """The configuration with the lowest ``n`` layers of its stack."""
    stack = config["stack"]
    return {**config, "stack": {**stack, "layers": stack["layers"][:n]}}


def inputs_of(configs: Sequence[Mapping[str, Any]]) -> list[DataSet]:
    """Load the data sets of configurations that differ in their seeds only, and check them.

    The first is checked by :func:`finetune.tasks.check_data.check_inputs`: the others are splits of the same images.
    """
    needs_stack = initialisation_of(configs[0]).needs_stack
    data = data_sets_of(configs)
    check_inputs(data[0], configs[0], needs_stack=needs_stack)
    return data


def initialisation_of(config: Mapping[str, Any]) -> Initialisation:
    """The initialisation of a configuration."""
    group = {key: value for key, value in config["init"].items() if key not in ("stack", "content")}
    initialise: Initialisation = call_factory("init", hydra.utils.instantiate, group)
    return initialise


def build_network(data: DataSet | DataInfo, config: Mapping[str, Any], layers: Sequence[Layer]) -> Network:
    """The network of a configuration, the same for pretrained and randomly initialised arms.

    Args:
        data: gives numbers of features and classes.
        config: gives task, activation and dropout.
        layers: of the stack, trained or not; their encoders are the hidden layers.

    Raises:
        SettingError: as :func:`number_of_outputs`.
    """
    n_outputs = number_of_outputs(data, config["task"]["name"])
    options = network_options(config)
    if has_written_blocks(config):
        return network_of_blocks(config["network"]["blocks"], inputs_shape(data), n_outputs, **options)
    is_inferring = config["network"].get("input") is not None
    encoders = with_mean_field_input(layers) if is_inferring else [layer.encoder()[0] for layer in layers]
    if config["task"]["name"] == "autoencoder":
        decoders = [layer.decoder()[0] for layer in reversed(layers)]
        return Network.of_layers([*encoders, *decoders], code=len(layers), **options)
    n_inputs = math.prod(layers[-1].output_shape) if layers else data.n_features
    poolings = [*(pooling_for(layer, options["activation"]) for layer in layers), None]
    output = output_layer(layers, n_inputs, n_outputs, config)
    return Network.of_layers([*encoders, output], poolings=poolings, **options)


def pooling_for(layer: Layer, activation: Any) -> Pooling | None:
    """Pooling of a stack's layer in a network; its untrained units need not be of the network's kind.

    Probabilistic pooling is the mean of logistic units of which one at most is on. For other activations the largest
    unit of a block stands for it, as in a stack of such units.
    """
    pooling = layer.pooling
    if isinstance(pooling, ProbabilisticMaxPooling) and activation != "sigmoid":
        return MaxPooling(pooling.shape, pooling.size)
    return pooling


def inputs_shape(data: DataSet | DataInfo) -> tuple[int, ...]:
    """Shape of a network's inputs: channels, height and width of an image, or the number of a table's features."""
    return data.shape if data.columns is None else (data.n_features,)


def has_written_blocks(config: Mapping[str, Any]) -> bool:
    """Whether the network's blocks are those of ``network.blocks``, not the layers of the stack."""
    return config["network"].get("blocks") is not None


def check_written_blocks(config: Mapping[str, Any], initialise: Initialisation) -> None:
    """Refuse blocks that are written down where weights come from a stack, or decoders are needed.

    Raises:
        SettingError: the initialisation, a file of a stack, or the task does not fit ``network.blocks``.
    """
    if not has_written_blocks(config):
        return
    name = f"network={config['network'].get('name')}"
    if initialise.needs_stack:
        raise SettingError(
            f"{name}: its blocks are the layers of no stack, and the initialisation takes weights from one. Use "
            "network=from_stack with a stack, such as stack=convolutional, or random weights, start=random_relu."
        )
    if config["init"].get("stack") is not None:
        raise SettingError(
            f"init.stack={config['init']['stack']}: {name} has blocks of its own, and no stack. Use network=from_stack."
        )
    if config["task"]["name"] == "autoencoder":
        raise SettingError(
            f"task=autoencoder: {name} has no decoders. Use network=from_stack, whose layers a stack mirrors."
        )


def number_of_outputs(data: DataSet | DataInfo, task: str) -> int:
    """Number of a network's outputs: classes, values to predict, or an autoencoder's features.

    Raises:
        SettingError: the data have no labels of the task's kind.
    """
    n = {"classifier": len(data.classes), "regression": len(data.targets)}.get(task, data.n_features)
    if n:
        return n
    if task == "regression" and data.classes:
        cure = "its labels are classes. Use task=classifier"
        cure += ", or data.columns.<target>=number." if data.columns is not None else "."
    elif task == "classifier" and data.targets:
        names = ", ".join(data.targets)
        cure = f"it has numbers to predict, {names}. Use task=regression, or data.columns.{data.targets[0]}=category."
    elif data.columns is not None:
        cure = "it has no column to predict. Name one, data.target=..., or use dbn-pretrain for a stack alone."
    else:
        cure = "it has no labels to train on. Use task=autoencoder, or dbn-pretrain for a stack alone."
    raise SettingError(f"task={task}: data={data.name} cannot be used: {cure}")


def network_options(config: Mapping[str, Any]) -> dict[str, Any]:
    """What hidden blocks share; user-defined activations and normalisations are replaced by their ``kind``.

    Raises:
        SettingError: the group ``network`` has a key that is not known.
    """
    check_keys("network", config["network"], NETWORK_KEYS)
    network = {key: value for key, value in config["network"].items() if key in OPTIONS}
    families: dict[str, type[Registered]] = {"activation": Activation, "normalisation": Normalisation}
    for key, family in families.items():
        if key in network:
            network[key] = kind_of(f"network.{key}", network[key], family)
    return network
