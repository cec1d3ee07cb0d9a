"""Connections between two layers of units, one file each.

A connection defined elsewhere is available once its module has been imported.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from dbn.models.connections.base import Connection
from dbn.models.connections.convolution import Convolution
from dbn.models.connections.dense import Dense
from dbn.models.connections.doubled import Doubled


def make_connection(
    wanted: str | Mapping[str, Any], visible_shape: Sequence[int], n_hidden: int, key: str = "connection"
) -> Connection:
    """Create a connection.

    Args:
        wanted: its kind, such as ``"dense"``, or a mapping of ``kind`` and options.
        visible_shape: shape of the visible units.
        n_hidden: number of hidden units, or of feature maps, depending on the type.
        key: name of the setting, for messages.

    Raises:
        SettingError: no registered connection has this kind, or it has no such option.
    """
    connection: Connection = Connection.create(wanted, key, visible_shape, n_hidden)
    return connection


__all__ = ["Connection", "Convolution", "Dense", "Doubled", "make_connection"]
