"""Networks whose blocks are written down one by one, ``network.blocks``, and come from no stack."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from dbn.errors import SettingError
from dbn.machine.model_memory import COPIES, physical_memory
from dbn.models.convolution_layer import Convolution2d, checked_geometry
from dbn.models.linear import Linear, WeightLayer
from dbn.models.pooling import MaxPooling, Pooling
from dbn.models.registry import Registered
from dbn.pretraining.from_config import kind_of
from dbn.settings import Check, check_list, check_table, choice, format_value, optional, within
from finetune.networks.block import NetworkBlock, in_words
from finetune.networks.network import Network, check_normalisation
from finetune.networks.normalisation import Normalisation

KEY = "network.blocks"
OUTPUT_BLOCK = "identity"
"""Activation of the output block."""


POOL_CHECKS: dict[str, Check] = {"size": within(low=1, whole=True), "stride": optional(within(low=1, whole=True))}
"""Checks of the options of pooling that do not depend on its inputs."""


def check_pool(key: str, value: Any) -> None:
    """Check the pooling of a block: the side of the blocks of maximum pooling, or kind and options.

    Raises:
        SettingError: it is neither, or an option is invalid.
    """
    if not isinstance(value, Mapping):
        POOL_CHECKS["size"](key, value)
        return
    _, options = Pooling.resolve(value, key)
    check_table(key, options, POOL_CHECKS, others=options)


def check_kind_of_normalisation(key: str, value: Any) -> None:
    """Check the normalisation of a block.

    Raises:
        SettingError: no such normalisation, no such option, or an option is invalid.
    """
    try:
        Normalisation.create(value, key, 1)
    except SettingError as error:  # a constructor knows its options, but not whose they are
        raise SettingError(str(error).replace("network.normalisation", key, 1)) from error


SHARED: dict[str, Check] = {
    "kind": choice("convolution", "dense"),
    "dropout": within(low=0, high=1, below=True),
    "normalisation": optional(check_kind_of_normalisation),
}
CHECKS: dict[str, dict[str, Check]] = {
    "dense": {**SHARED, "n_hidden": within(low=1, whole=True)},
    "convolution": {
        **SHARED,
        "maps": within(low=1, whole=True),
        "kernel": within(low=1, whole=True),
        "stride": within(low=1, whole=True),
        "padding": within(low=0, whole=True),
        "pool": optional(check_pool),
    },
}
"""Checks of the settings of a block, for each kind."""
NEEDED = {"dense": ("n_hidden",), "convolution": ("maps", "kernel")}


def with_kinds(blocks: Any) -> Any:
    """Blocks in which user-defined poolings and normalisations (``_target_``) are replaced by their ``kind``.

    Raises:
        SettingError: a class does not exist, or is neither.
    """
    if not isinstance(blocks, list | tuple):
        return blocks  # refused by the checks
    families: dict[str, type[Registered]] = {"pool": Pooling, "normalisation": Normalisation}
    return [
        {
            name: kind_of(f"{KEY}[{number}].{name}", value, families[name]) if name in families else value
            for name, value in block.items()
        }
        if isinstance(block, Mapping)
        else block
        for number, block in enumerate(blocks, start=1)
    ]


def check_blocks(key: str, blocks: Any) -> None:
    """Check the blocks of a network, without knowing its inputs.

    Args:
        key: name of the setting.
        blocks: for each block its number of units, or a mapping: ``{n_hidden: 120}``, or ``{kind: convolution, maps: 6,
            kernel: 5}`` with ``stride``, ``padding`` and ``pool``; any of them with ``dropout``, the probability of
            dropping one of its outputs, and ``normalisation``, in place of the network's.

    Raises:
        SettingError: an invalid setting.
    """
    check_list(key, blocks)
    blocks = with_kinds(blocks)
    if not blocks:
        raise SettingError(
            f"{key}=[]: give at least one hidden block, such as {key}=[120]. For a network without any use "
            "network=from_stack stack.layers=[]."
        )
    for number, block in enumerate(blocks, start=1):
        name = f"{key}[{number}]"
        if isinstance(block, Mapping):
            kind = block.get("kind", "dense")
            SHARED["kind"](f"{name}.kind", kind)
            check_table(name, block, CHECKS[kind], needed=NEEDED[kind])
        else:
            within(low=1, whole=True)(name, block)


def network_of_blocks(
    blocks: Sequence[Any],
    shape: Sequence[int],
    n_outputs: int,
    *,
    activation: str | Mapping[str, Any] = "relu",
    dropout_input: float = 0.0,
    dropout_hidden: float = 0.0,
    normalisation: str | Mapping[str, Any] | None = None,
) -> Network:
    """A network with the given hidden blocks and a dense output block.

    Args:
        blocks: as :func:`check_blocks` takes them.
        shape: of the inputs: channels, height and width of an image, or one number of features.
        n_outputs: number of outputs.
        activation: of the hidden blocks.
        dropout_input: probability of dropping an input.
        dropout_hidden: probability of dropping an output of a hidden block that does not say so itself.
        normalisation: of the hidden blocks that do not say so themselves.

    Raises:
        SettingError: an invalid value, the inputs are too small for a block, or its weights do not fit into memory; the
            message names the block.

    Example:
        >>> from finetune.networks.written_blocks import network_of_blocks
        >>> blocks = [{"kind": "convolution", "maps": 6, "kernel": 5, "pool": 2}, 40]
        >>> network_of_blocks(blocks, (1, 28, 28), 10).shapes
        [(28, 28, 1), (12, 12, 6), (40,), (10,)]
    """
    check_blocks(KEY, blocks)
    blocks = with_kinds(blocks)
    below, maps_first, dropout = tuple(shape), True, dropout_input
    made: list[NetworkBlock] = []
    n_weights = 0
    for number, block in enumerate(blocks, start=1):
        settings = block if isinstance(block, Mapping) else {"n_hidden": block}
        name = f"{KEY}[{number}]={format_value(block)}"
        try:
            n_weights += _n_weights(settings, below, maps_first=maps_first)
            _check_memory(n_weights)
            layer = _layer(settings, below, maps_first=maps_first)
            made.append(
                NetworkBlock(layer, activation, dropout, _normalisation(settings, normalisation, layer),
                             _pooling(settings.get("pool"), layer))
            )  # fmt: skip
        except SettingError as error:
            raise SettingError(f"{name}: its inputs are {in_words(below)}. {error}") from error
        below, maps_first, dropout = made[-1].shape_out, False, settings.get("dropout", dropout_hidden)
    if normalisation is not None:
        check_normalisation(normalisation, [block.layer for block in made])
    return Network([*made, NetworkBlock(Linear(torch.Size(below).numel(), n_outputs), OUTPUT_BLOCK, dropout)])


def _layer(settings: Mapping[str, Any], shape: Sequence[int], *, maps_first: bool) -> WeightLayer:
    if settings.get("kind") != "convolution":
        return Linear(torch.Size(shape).numel(), settings["n_hidden"])
    return Convolution2d(
        shape, settings["maps"], settings["kernel"], settings.get("stride", 1), settings.get("padding", 0),
        maps_first=maps_first,
    )  # fmt: skip


def _normalisation(settings: Mapping[str, Any], of_network: Any, layer: WeightLayer) -> Normalisation | None:
    """The block's own normalisation, or the network's."""
    if "normalisation" not in settings:
        return None if of_network is None else Normalisation.of_layer(of_network, "network.normalisation", layer)
    wanted = settings["normalisation"]
    if wanted is None:
        return None
    made = Normalisation.of_layer(wanted, "normalisation", layer)
    if made is None:
        raise SettingError(f"normalisation={format_value(wanted)}: it is for convolutional blocks. Use batch or layer.")
    return made


def _pooling(wanted: Any, layer: WeightLayer) -> Pooling | None:
    """The pooling that the settings ask for: a number is the side of maximum pooling's blocks."""
    if wanted is None:
        return None
    described = wanted if isinstance(wanted, Mapping) else {"kind": MaxPooling.kind, "size": wanted}
    pooling: Pooling = Pooling.create(described, "pool", layer.shape_out)
    return pooling


def _n_weights(settings: Mapping[str, Any], shape: Sequence[int], *, maps_first: bool) -> int:
    """Number of weights of a block, from its settings alone."""
    if settings.get("kind") != "convolution":
        return int(torch.Size(shape).numel() * settings["n_hidden"])
    maps, kernel = settings["maps"], settings["kernel"]
    stride, padding = settings.get("stride", 1), settings.get("padding", 0)
    checked_geometry("kind=convolution", shape, maps, kernel, stride, padding, maps_first=maps_first)
    return int(maps * kernel**2 * shape[0 if maps_first else -1])


def _check_memory(n_weights: int) -> None:
    """Refuse weights that do not fit into this machine's memory.

    Raises:
        SettingError: they do not.
    """
    needed, available = 4 * COPIES * n_weights, physical_memory()
    if needed > available:
        raise SettingError(
            f"Up to this block there are {n_weights:.3g} weights, which take {needed / 2**30:.3g} GiB to train; this "
            f"machine has {available / 2**30:.3g} GiB of memory. Take fewer units or maps."
        )
