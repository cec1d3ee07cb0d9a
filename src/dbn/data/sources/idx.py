"""The IDX format, in which MNIST and its relatives are stored."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dbn.errors import DataError

UNSIGNED_BYTE = 0x08


def read_idx(path: str | Path) -> Tensor:
    """Read an IDX file of unsigned bytes, gzipped if its name ends in ``.gz``.

    The format: two zero bytes, a byte for the type of the values, a byte for the number of dimensions, each dimension
    as a big-endian uint32, then the values in C order.

    Returns:
        uint8 tensor of the file's shape.

    Raises:
        DataError: the file is missing, truncated, too long, or not IDX of unsigned bytes.

    References:
        LeCun, Cortes and Burges, *The MNIST database*, section "File formats".
    """
    path = Path(path)
    content = _read(path)
    if len(content) < 4 or content[:2] != b"\0\0" or content[3] == 0:
        raise DataError(f"{path} is not an IDX file: it starts with the bytes {content[:4].hex(' ')}. Replace it.")
    if content[2] != UNSIGNED_BYTE:
        raise DataError(f"{path} holds IDX values of type 0x{content[2]:02x}; only unsigned bytes (0x08) can be read.")
    n_dimensions = content[3]
    header = 4 + 4 * n_dimensions
    if len(content) < header:
        raise DataError(f"{path} is truncated: it ends within its header. Get the file again.")
    shape = struct.unpack(f">{n_dimensions}I", content[4:header])
    expected = header + math.prod(shape)
    if len(content) != expected:
        fault = "is truncated" if len(content) < expected else "is too long"
        raise DataError(
            f"{path} {fault}: {len(content)} bytes, but its header says shape {shape}, which makes {expected}. "
            "Get the file again."
        )
    values = np.frombuffer(bytearray(content), np.uint8, offset=header)  # bytearray: torch needs writable memory
    return torch.from_numpy(values.reshape(shape))


def _read(path: Path) -> bytes:
    try:
        if path.suffix == ".gz":
            with gzip.open(path) as file:
                return file.read()
        return path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist.") from error
    except (EOFError, zlib.error, OSError) as error:
        raise DataError(f"{path} is truncated or damaged ({error}). Get the file again.") from error
