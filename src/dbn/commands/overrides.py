"""Checks for invalid overrides that Hydra accepts silently or refuses with a traceback."""

from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.types import Glob, IntervalSweep, Override, QuotedString

from dbn.errors import SettingError


def check_overrides(overrides: Sequence[Override], directory: Path) -> None:
    """Refuse choices of a group that are no text, and empty sweeps.

    Args:
        overrides: parsed overrides.
        directory: ``conf/``.

    Raises:
        SettingError: the message lists the choices.
    """
    for override in overrides:
        group = directory / override.key_or_group
        value = override.value()
        if override.is_sweep_override():
            if not isinstance(value, Glob | IntervalSweep) and not list(override.sweep_iterator()):
                raise SettingError(f"{override.input_line}: there is nothing in this range to go through.")
        elif group.is_dir() and not override.is_delete() and not isinstance(value, str | list | dict | QuotedString):
            choices = ", ".join(sorted(path.stem for path in group.glob("*.yaml")))
            raise SettingError(f"{override.input_line}: no such choice. Choose from {choices}.")
