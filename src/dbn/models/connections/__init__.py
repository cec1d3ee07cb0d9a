"""Connections, one file each: what lies between two layers of units and owns the weight.

One that is defined elsewhere takes part as soon as its module has been imported.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from dbn.models.connections.base import Connection
from dbn.models.connections.dense import Dense


def make_connection(
    wanted: str | Mapping[str, Any], visible_shape: Sequence[int], n_hidden: int, key: str = "connection"
) -> Connection:
    """A connection between visible units of a shape and ``n_hidden`` hidden units, or maps of them.

    Args:
        wanted: the type, ``"dense"``; of one with options, a mapping of ``kind`` and options.
        visible_shape: shape of the visible units.
        n_hidden: as the type counts them.
        key: the setting that says so, for messages.

    Raises:
        SettingError: no connection that has been imported is called so, or it has no such option.
    """
    connection: Connection = Connection.create(wanted, key, visible_shape, n_hidden)
    return connection


__all__ = ["Connection", "Dense", "make_connection"]
