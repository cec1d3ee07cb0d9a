"""Overrides that Hydra takes without a word, or refuses with a traceback."""

from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.types import Glob, Override, QuotedString

from dbn.errors import SettingError


def check_overrides(overrides: Sequence[Override], directory: Path) -> None:
    """Refuse a group's choice that is no word, and a sweep over nothing.

    Args:
        overrides: as Hydra's grammar reads them.
        directory: ``conf/``.

    Raises:
        SettingError: with what could be chosen.
    """
    for override in overrides:
        group = directory / override.key_or_group
        value = override.value()
        if override.is_sweep_override():
            if not isinstance(value, Glob) and not list(override.sweep_iterator()):
                raise SettingError(f"{override.input_line}: there is nothing in this range to go through.")
        elif group.is_dir() and not override.is_delete() and not isinstance(value, str | list | dict | QuotedString):
            choices = ", ".join(sorted(path.stem for path in group.glob("*.yaml")))
            raise SettingError(f"{override.input_line}: no such choice. Choose from {choices}.")
