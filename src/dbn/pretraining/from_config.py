"""From a configuration to layer settings, type of the visible units, and pretraining method."""

from collections.abc import Mapping
from typing import Any

import hydra

from dbn.commands.factories import target_of
from dbn.data.images import DataSet
from dbn.data.shapes import DataInfo
from dbn.errors import SettingError
from dbn.models.connections import Connection, Convolution
from dbn.models.layer import Layer
from dbn.models.registry import Registered
from dbn.models.units import Units
from dbn.pretraining.check_data import AS_DATA, visible_units_of
from dbn.pretraining.gradients import Gradient
from dbn.pretraining.growing import untrained_layers
from dbn.pretraining.method import PretrainingMethod
from dbn.pretraining.settings import LAYER_CHECKS, LayerSettings, check_units
from dbn.settings import Check, check_keys, check_list, check_table, format_value, within

CONVOLUTION: dict[str, Check] = {
    "kernel": within(low=1, whole=True),
    "stride": within(low=1, whole=True),
    "padding": within(low=0, whole=True),
}
"""Checks of the settings of a convolutional layer's filters, beside the number of its maps."""


def layers_of(stack: Mapping[str, Any]) -> list[LayerSettings]:
    """Settings of each layer: its own override ``upper_layers`` (above the first), which override ``every_layer``.

    Raises:
        SettingError: an unknown key, or an invalid value.
    """
    every, upper = (with_kinds(f"stack.{group}", stack[group]) for group in ("every_layer", "upper_layers"))
    check_table("stack.every_layer", every, LAYER_CHECKS)
    check_table("stack.upper_layers", upper, LAYER_CHECKS)
    check_list("stack.layers", stack["layers"])
    layers = [
        with_kinds("stack.layers", with_connection(layer) if isinstance(layer, Mapping) else {"n_hidden": layer})
        for layer in stack["layers"]
    ]
    uppers = [{}, *[upper] * len(layers)]
    merged = [{**every, **above, **layer} for above, layer in zip(uppers, layers, strict=False)]
    for layer, whole in zip(layers, merged, strict=True):
        check_table("stack.layers", layer, LAYER_CHECKS)
        check_table("stack.layers", whole, {}, needed=["n_hidden"], others=LAYER_CHECKS)
    places = [
        {
            **{name: f"stack.upper_layers.{name}" for name in above},
            **{name: f"stack.layers.{k}.{name}" for name in layer},
        }
        for k, (above, layer) in enumerate(zip(uppers, layers, strict=False))
    ]
    return [LayerSettings(**layer, given_at=given_at) for layer, given_at in zip(merged, places, strict=True)]


def with_connection(layer: Mapping[str, Any]) -> Mapping[str, Any]:
    """Settings of a layer in which ``{kind: convolution, maps: 24, kernel: 5}`` has become its connection.

    Raises:
        SettingError: settings of a connection without its kind, or a layer that says twice what connects it.
    """
    given = {name: layer[name] for name in ("maps", *CONVOLUTION) if name in layer}
    if "kind" not in layer:
        if given:
            name, value = next(iter(given.items()))
            raise SettingError(
                f"stack.layers.{name}={format_value(value)}: only convolutional layers have it. Say that the layer is "
                f"one, {{kind: convolution, maps: 24, kernel: 5}}, or leave it out."
            )
        return layer
    if layer["kind"] != Convolution.kind:
        raise SettingError(
            f"stack.layers.kind={format_value(layer['kind'])}: no such choice. Use convolution; a dense layer is a "
            "number of units, 500, or {n_hidden: 500}."
        )
    for name in ("connection", "n_hidden"):
        if name in layer:
            raise SettingError(
                f"stack.layers.{name}={format_value(layer[name])}: kind={format_value(layer['kind'])} says what "
                "connects the layer, and maps how many filters it has. Leave it out."
            )
    check_keys("stack.layers", layer, {"kind", "maps", *CONVOLUTION, *LAYER_CHECKS} - {"n_hidden", "connection"})
    checks = {"maps": LAYER_CHECKS["n_hidden"], **CONVOLUTION}
    check_table("stack.layers", given, checks, needed=["maps", "kernel"])
    rest = {name: value for name, value in layer.items() if name not in ("kind", *given)}
    options = {name: given[name] for name in CONVOLUTION if name in given}
    return {**rest, "n_hidden": given["maps"], "connection": {"kind": Convolution.kind, **options}}


def visible_of(stack: Mapping[str, Any]) -> str | Mapping[str, Any]:
    """Type of the visible units, as :func:`dbn.models.units.make_units` takes it, or ``as_data``.

    :func:`dbn.pretraining.check_data.visible_units_of` says what ``as_data`` is.

    Raises:
        SettingError: an unknown type or option.
    """
    wanted: str | Mapping[str, Any] = kind_of("stack.visible", stack["visible"], Units)
    if wanted != AS_DATA:
        check_units("stack.visible", wanted)
    return wanted


def with_kinds(group: str, settings: Any) -> Any:
    """Settings of a layer in which user-defined types (``_target_``) are replaced by their ``kind``."""
    if not isinstance(settings, Mapping):
        return settings
    families = (("hidden", Units), ("connection", Connection), ("gradient", Gradient))
    kinds = {key: kind_of(f"{group}.{key}", settings[key], family) for key, family in families if key in settings}
    return {**settings, **kinds}


def kind_of(key: str, wanted: Any, family: type[Registered]) -> Any:
    """Convert ``{_target_: module.Class, option: value}`` to ``{kind: ..., option: value}``, importing the module.

    Raises:
        SettingError: the class does not exist, or does not belong to the family.
    """
    if not isinstance(wanted, Mapping) or "_target_" not in wanted:
        return wanted
    found = target_of(key, wanted)
    if not (isinstance(found, type) and issubclass(found, family)):
        raise SettingError(
            f"{key}._target_={format_value(wanted['_target_'])}: it is no subclass of {family.__name__}."
        )
    options = {name: value for name, value in wanted.items() if name != "_target_"}
    return {"kind": found.kind, **options} if options else found.kind


def method_of(config: Mapping[str, Any]) -> PretrainingMethod:
    """The pretraining method of a configuration."""
    method: PretrainingMethod = hydra.utils.instantiate(config["method"])
    return method


def untrained_of(config: Mapping[str, Any], data: DataSet | DataInfo) -> list[Layer]:
    """The layers of a configuration's stack for ``data``, without weights.

    Raises:
        SettingError: ``stack.visible=as_data`` of images.
    """
    stack = config["stack"]
    visible = visible_units_of(visible_of(stack), data)
    return untrained_layers(method_of(config), layers_of(stack), visible, data.shape)
