"""The IDX format against bytes made by hand."""

import gzip
import struct
from math import prod

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbn.data.sources.idx import read_idx
from dbn.errors import DataError

# Two images of 2 x 3 pixels, written out byte by byte.
BY_HAND = bytes.fromhex("00 00 08 03  00 00 00 02  00 00 00 02  00 00 00 03  00 01 02 03 04 05  fa fb fc fd fe ff")


def written(folder, content, name="file-idx3-ubyte.gz"):
    path = folder / name
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("name", ["packed.gz", "plain"])
def test_bytes_by_hand(tmp_path, name):
    array = read_idx(written(tmp_path, BY_HAND, name))
    assert array.dtype == torch.uint8
    assert array.tolist() == [[[0, 1, 2], [3, 4, 5]], [[250, 251, 252], [253, 254, 255]]]


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shape=st.lists(st.integers(0, 5), min_size=1, max_size=4), data=st.data())
def test_round_trip(tmp_path, shape, data):
    values = data.draw(st.binary(min_size=prod(shape), max_size=prod(shape)))
    header = bytes([0, 0, 8, len(shape)]) + b"".join(struct.pack(">I", side) for side in shape)
    array = read_idx(written(tmp_path, header + values))
    assert list(array.shape) == shape
    assert bytes(array.flatten().tolist()) == values


@pytest.mark.parametrize("name", ["packed.gz", "plain"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an IDX file"),
        (b"\x89PNG" + BY_HAND[4:], "not an IDX file: it starts with the bytes 89 50 4e 47"),
        (bytes([0, 0, 8, 0]), "not an IDX file"),
        (bytes([0, 0, 13, 3]) + BY_HAND[4:], "type 0x0d"),
        (BY_HAND[:10], "truncated: it ends within its header"),
        (BY_HAND[:-1], r"truncated: 27 bytes, but its header says shape \(2, 2, 3\), which makes 28"),
        (BY_HAND + b"\0", "too long: 29 bytes"),
    ],
)
def test_damaged_content_is_refused_by_file_name(tmp_path, name, content, message):
    with pytest.raises(DataError, match=message) as caught:
        read_idx(written(tmp_path, content, name))
    assert name in str(caught.value)


def test_truncated_gzip(tmp_path):
    path = written(tmp_path, BY_HAND)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DataError, match=r"file-idx3-ubyte\.gz is truncated or damaged"):
        read_idx(path)


def test_not_gzip(tmp_path):
    path = tmp_path / "images.gz"
    path.write_bytes(BY_HAND)
    with pytest.raises(DataError, match=r"images\.gz is truncated or damaged"):
        read_idx(path)


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"nothing\.gz does not exist"):
        read_idx(tmp_path / "nothing.gz")
