"""Type checks of the arguments of :mod:`dbn.pretraining.greedy`."""

from collections.abc import Sequence
from typing import Any

from dbn.data import DataSet
from dbn.data.augment import Augment
from dbn.errors import DataError, SettingError
from dbn.pretraining.method import PretrainingMethod
from dbn.pretraining.settings import LayerSettings


def check_layers(layers: Any) -> None:
    """Raise :class:`SettingError` unless ``layers`` is a sequence of settings of at least one layer."""
    if isinstance(layers, (LayerSettings, str)) or not isinstance(layers, Sequence):
        raise SettingError(f"layers={layers!r}: give a list, [LayerSettings(n_hidden=200)] for one layer.")
    if not layers:
        raise SettingError("stack.layers=[]: a stack needs at least one layer.")
    for layer in layers:
        if not isinstance(layer, LayerSettings):
            n_hidden = layer if isinstance(layer, int) else 200
            raise SettingError(
                f"layers holds {layer!r}: give the settings of each layer, LayerSettings(n_hidden={n_hidden})."
            )


def check_data_sets(data: Any, n: int) -> list[DataSet]:
    """The data set of each of ``n`` stacks, given as one for all, or as a sequence.

    Raises:
        DataError: there is no data set, the message says how to make one; or they are not one for each stack, of one
            shape, with equal numbers of training images.
    """
    sets = list(data) if isinstance(data, list | tuple) else [data] * n
    for own in sets:
        if not isinstance(own, DataSet):
            raise DataError(
                f"data is a {type(own).__name__}: a stack is pretrained on a data set. Of images (n, channels, height, "
                "width) in a tensor of uint8 or float32, load_data(Source('mine', images, maximum=255)) makes one; of "
                "what load_data takes, such as digits(), load_data does."
            )
    if len(sets) != n:
        raise DataError(f"data holds {len(sets)} data sets for {n} stacks. Give one for all, or one for each.")
    if len({(own.shape, len(own.train)) for own in sets}) > 1:
        found = ", ".join(f"{len(own.train)} images {own.shape}" for own in sets)
        raise DataError(
            f"data holds training sets of different sizes ({found}): stacks that train together need as many images of "
            "one shape. Pretrain those that differ by themselves."
        )
    return sets


def check_augment(augment: Any) -> None:
    """Raise :class:`SettingError` unless ``augment`` is an augmentation or None."""
    if augment is not None and not isinstance(augment, Augment):
        raise SettingError(f"augment={augment!r}: give how images are deformed, Augment(rotation=10) say, or None.")


def check_method(method: Any) -> None:
    """Raise :class:`SettingError` unless ``method`` is a pretraining method or None."""
    if method is not None and not isinstance(method, PretrainingMethod):
        raise SettingError(
            f"method={method!r}: give a pretraining method, such as RBMPretraining(ContrastiveDivergence), or None."
        )
