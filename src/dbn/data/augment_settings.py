"""The settings of augmentation, without torch: what a configuration is called and compared by."""

from collections.abc import Mapping
from typing import Any

from dbn.errors import SettingError
from dbn.settings import Check, check_table, format_value, within

AUGMENT_CHECKS: dict[str, Check] = {
    "rotation": within(low=0, high=180),
    "translation": within(low=0, high=1),
    "scale": within(low=0, high=1, below=True),
    "shear": within(low=0, high=90, below=True),
    "elastic_alpha": within(low=0),
    "elastic_sigma": within(low=0, above=True),
    "crop": within(low=0, whole=True),
    "flip": within(low=0, high=1),
    "brightness": within(low=0, high=1),
    "contrast": within(low=0, high=1),
    "saturation": within(low=0, high=1),
}
"""Checks of the settings of :class:`dbn.data.augment.Augment`."""
LATER = ("crop", "flip", "brightness", "contrast", "saturation")
"""Settings that earlier versions did not have: at 0, they are no part of a run's or a stack's identity."""


def check_augment_group(key: str, settings: Any) -> None:
    """Check settings of augmentation that are part of another group, such as ``stack.augment``.

    Raises:
        SettingError: an invalid setting, or the name of a choice in place of the settings.
    """
    if isinstance(settings, str):
        raise SettingError(
            f"{key}={format_value(settings)}: it is a group of settings. To choose one of those of augment, write "
            f"augment@{key}={settings}; a single setting is {key}.rotation=10."
        )
    check_table(key, settings, AUGMENT_CHECKS)


def settings_in_effect(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of an augmentation without those of :data:`LATER` that are 0."""
    return {key: value for key, value in settings.items() if key not in LATER or value}
