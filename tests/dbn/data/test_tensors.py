"""What a person hands in as numbers: taken where it can be meant in one way only."""

import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dbn.data.tensors import as_floats, as_rows, as_states, at_least
from dbn.errors import DataError

VALUES = np.array([[0.0, 1.0, 0.25], [0.5, 0.0, 1.0]])
BINARY = VALUES > 0.3


@pytest.mark.parametrize(
    "given",
    [
        VALUES,
        VALUES.astype(np.float16),
        VALUES.astype(">f4"),
        VALUES.astype(np.longdouble),
        np.asfortranarray(VALUES),
        VALUES[::-1][::-1],
        torch.from_numpy(VALUES),
        torch.from_numpy(VALUES).bfloat16(),
        torch.from_numpy(VALUES).T.contiguous().T,
    ],
)
def test_every_kind_of_floating_point_number_is_taken_at_its_value(given: Any) -> None:
    found = as_floats(given, "images")
    assert found.dtype == torch.float32
    assert found.tolist() == VALUES.tolist()


@pytest.mark.parametrize("kind", ["bool", "uint8", "uint16", "int32", "int64", "uint64"])
def test_zeros_and_ones_are_what_they_are_in_every_type(kind: str) -> None:
    array = BINARY.astype(kind)
    for given in (array, torch.from_numpy(array)):
        assert as_floats(given, "images").tolist() == BINARY.tolist()


@pytest.mark.parametrize(
    ("array", "divisor"),
    [(np.array([[0, 255]], np.uint8), 255), (np.array([[3, 16]]), 16), (np.array([[0, 4095]], np.uint16), 4095)],
)
def test_other_whole_numbers_are_refused_and_both_cures_work(array: Any, divisor: int) -> None:
    for given, as_they_are in ((array, "astype('float32')"), (torch.from_numpy(array), "float()")):
        with pytest.raises(DataError, match=rf"from {array.min()} to {divisor}") as caught:
            as_floats(given, "images")
        cures = re.findall(r"images(?: / \d+|\.\w+\([^)]*\))", str(caught.value))
        assert cures == [f"images / {divisor}", f"images.{as_they_are}"]
        divided, unchanged = (as_floats(eval(cure, {"images": given}), "images") for cure in cures)
        np.testing.assert_allclose(divided.numpy(), array / divisor, rtol=1e-6)
        assert unchanged.tolist() == array.tolist()


def test_whole_numbers_below_zero_are_not_divided() -> None:
    with pytest.raises(DataError, match=r"from -1 to 1.*stands for 1\. Take them as they are: images\.float\(\)"):
        as_floats(torch.tensor([[-1, 1]]), "images")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([[0.0, 1.0]], "of type list.*np.asarray"),
        (None, "of type NoneType"),
        (torch.eye(3).to_sparse(), r"sparse.*images\.to_dense\(\)"),
        (torch.eye(3).cfloat(), "complex"),
        (np.eye(3, dtype=complex), "complex128"),
        (np.array([["a", "b"]]), "<U1"),
        (np.array([[None, 1]]), "object"),
        (np.ma.masked_equal(VALUES, 0), r"masked.*images\.filled\(0\)"),
    ],
)
def test_what_holds_no_plain_numbers_is_refused_by_its_kind(given: Any, words: str) -> None:
    with pytest.raises(DataError, match=rf"images are .*{words}"):
        as_floats(given, "images")


def test_an_array_that_must_not_be_written_to_stays_as_it_is() -> None:
    array = VALUES.astype(np.float32)
    array.setflags(write=False)
    as_floats(array, "images").zero_()
    assert array.tolist() == VALUES.tolist()


def test_rows_are_channel_row_column() -> None:
    images = torch.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5) / 200
    channel, row, column = 2, 1, 3
    assert as_rows(images, "images")[1, (channel * 4 + row) * 5 + column] == images[1, channel, row, column]
    assert torch.equal(as_rows(images[:, 0].numpy(), "images"), images[:, 0].reshape(2, 20))


def test_a_single_image_is_given_as_the_message_says() -> None:
    with pytest.raises(DataError, match=r"shape \(5,\).*images\.reshape\(1, -1\)"):
        as_rows(torch.rand(5), "images")
    assert as_rows(torch.rand(5).reshape(1, -1), "images").shape == (1, 5)
    with pytest.raises(DataError, match=r"shape \(\)"):
        as_rows(torch.tensor(1.0), "images")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_states_take_the_weights_type_and_those_that_fit_are_not_copied(dtype: torch.dtype) -> None:
    weight = torch.zeros(3, 2, dtype=dtype)
    states = torch.rand(4, 3, dtype=dtype)
    assert as_states(states, weight, 3, "visible") is states
    other = states.to(torch.float64 if dtype == torch.float32 else torch.float32)
    givens: list[Tensor | np.ndarray] = [other, other.numpy(), states.numpy(), states > 0.5, states.numpy() > 0.5]
    for given in givens:
        found = as_states(given, weight, 3, "visible")
        assert found.dtype == dtype
        np.testing.assert_allclose(found.numpy(), np.asarray(given), rtol=1e-7)


def test_states_of_another_number_of_units_are_told_what_is_wanted() -> None:
    weight = torch.zeros(12, 2)
    with pytest.raises(DataError, match=r"shape \(4, 11\), but there are 12 visible units. Give \(batch, 12\)\.$"):
        as_states(torch.rand(4, 11), weight, 12, "visible")
    with pytest.raises(DataError, match=r"reshape\(-1, 12\)"):
        as_states(torch.rand(4, 3, 4), weight, 12, "visible")
    with pytest.raises(DataError, match=r"on meta, the RBM is on cpu. Move them: \.to\('cpu'\)"):
        as_states(torch.rand(4, 12, device="meta"), weight, 12, "visible")


def test_a_number_to_divide_by_is_never_too_small() -> None:
    for value in torch.rand(200, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).mul(9).exp().tolist():
        divisor = float(at_least(value))
        assert value * (1 - 2e-7) <= divisor <= value * (1 + 1.1e-5)
    assert [at_least(value) for value in (255.0, 16.0, 1.7, 65535.0, 254.99999, 1e7)] == [
        "255", "16", "1.7", "65535", "255", "1e+07",
    ]  # fmt: skip
