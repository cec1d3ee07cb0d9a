"""The group ``cluster``: what a site wants of all jobs, in one file of the user's."""

from typing import Any

from dbn.errors import SettingError
from dbn.settings import Check, check_table, check_text, format_value, optional, within


def check_setup(key: str, value: Any) -> None:
    """Raise :class:`SettingError` unless ``value`` is text, of which there may be none."""
    if not isinstance(value, str):
        raise SettingError(
            f"{key}={format_value(value)}: it must be text, lines of the shell. In a file, write them below setup: |"
        )


CLUSTER_CHECKS: dict[str, Check] = {
    "partition": optional(check_text),
    "account": optional(check_text),
    "qos": optional(check_text),
    "constraint": optional(check_text),
    "minutes": within(low=3, whole=True),
    "setup": check_setup,
    "max_array_size": optional(within(low=1, whole=True)),
    "max_jobs": optional(within(low=2, whole=True)),
}
"""A file may leave any of them out. The signal before the end comes after a minute at the least."""


def check_cluster(key: str, value: Any) -> None:
    """Raise :class:`SettingError` unless the group's settings are valid, and there are no others."""
    check_table(key, value, CLUSTER_CHECKS)
