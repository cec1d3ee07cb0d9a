"""Check that settings of a layer and of its optimiser have an effect."""

from collections.abc import Container, Mapping
from typing import Any

import torch

from dbn.errors import SettingError
from dbn.pretraining.settings import GRADIENT_SETTINGS, LayerSettings
from dbn.settings import format_value

MOMENTUM_SETTINGS = ("initial_momentum", "initial_momentum_epochs", "momentum")


def check_no_gradient_settings(method: str, settings: LayerSettings, known: Container[str] = ()) -> None:
    """Refuse settings that are about the gradient of an RBM.

    Args:
        method: name of a method that trains no RBMs, or by another step.
        settings: of a layer.
        known: settings that it has a use for.

    Raises:
        SettingError: one has another value than that without an effect.
    """
    for name in GRADIENT_SETTINGS:
        value, off = getattr(settings, name), LayerSettings.__dataclass_fields__[name].default
        if value != off and name not in known:
            raise SettingError(
                f"stack.every_layer.{name}={format_value(value)}: {method} has no use for it. Use "
                f"{name}={'null' if off is None else off}, or method=rbm."
            )


def check_use_of_settings(optimizer: torch.optim.Optimizer, settings: LayerSettings) -> None:
    """Refuse a weight cost, or a momentum other than the recipe's, that the optimiser does not know.

    Args:
        optimizer: as it was made for a layer.
        settings: of the layer.

    Raises:
        SettingError: a setting would have no effect.
    """
    name = type(optimizer).__name__
    if settings.weight_cost and "weight_decay" not in optimizer.defaults:
        raise SettingError(
            f"stack.every_layer.weight_cost={settings.weight_cost:g}: {name} has no weight decay. Use weight_cost=0, "
            "or another optimiser, such as optimizer@stack.optimizer=adam."
        )
    if "momentum" in optimizer.defaults:
        return
    for key in MOMENTUM_SETTINGS:
        value, recipe = getattr(settings, key), LayerSettings.__dataclass_fields__[key].default
        if value != recipe:
            raise SettingError(
                f"stack.every_layer.{key}={value:g}: {name} has no momentum that layers could set, so it would have no "
                f"effect. Use {key}={recipe:g}, which stands for nothing here, or another optimiser."
            )


def check_own_settings(optimizer: Mapping[str, Any]) -> None:
    """Refuse settings of the group ``stack.optimizer`` that those of a layer replace.

    Raises:
        SettingError: a weight decay, or a momentum that is not there for Nesterov's.
    """
    if optimizer.get("weight_decay"):
        raise SettingError(
            f"stack.optimizer.weight_decay={format_value(optimizer['weight_decay'])}: a layer's weight decay is "
            "stack.every_layer.weight_cost. Use stack.optimizer.weight_decay=0, and say it there."
        )
    if optimizer.get("momentum") and not optimizer.get("nesterov"):
        raise SettingError(
            f"stack.optimizer.momentum={format_value(optimizer['momentum'])}: a layer's momentum is "
            "stack.every_layer.momentum, and initial_momentum in its first epochs. Use stack.optimizer.momentum=0, and "
            "say it there."
        )
