"""What stands for 1.0: known, said, or asked for; and what is advised works."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from dbn.data import DataSet, Source, load_data, memmap, npz
from dbn.data.value_of_one import Range, exact, value_of_one
from dbn.errors import DataError

DIGITS = load_digits().images  # (1797, 8, 8), whole numbers 0 to 16
LABELS = load_digits().target


def with_values(values, dtype):
    """120 images of 2 x 2 pixels that have these values among others of a 0."""
    images = np.zeros((120, 2, 2), dtype)
    images.flat[-len(values) :] = values
    return images


def in_npz(tmp_path: Path, images, maximum=None, **options) -> DataSet:
    np.savez(tmp_path / "mine.npz", images=images)
    return load_data(npz(tmp_path / "mine.npz", maximum), validation=0, test=20, **options)


def in_memmap(tmp_path: Path, images, maximum=None, **options) -> DataSet:
    np.save(tmp_path / "images.npy", images)
    return load_data(memmap(tmp_path, maximum), validation=0, test=20, **options)


READERS = pytest.mark.parametrize("read", [in_npz, in_memmap])


@READERS
@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "i4", "i8", "u2", "u4", "u8", ">i4", "f2", "f4", "f8", ">f8"])
def test_digits_from_0_to_16_are_refused_and_read_as_said(tmp_path, read, dtype):
    """As in the case integers_0_to_16: the range is named, the advice works, and gives what dividing by 16 gives."""
    images = DIGITS.astype(dtype)
    with pytest.raises(DataError, match=r"data\.maximum=null.* go from 0 to 16,.*Set data\.maximum=16 ") as caught:
        read(tmp_path, images)
    assert "data.maximum=255 if these are dark pictures of bytes" in str(caught.value)
    data = read(tmp_path, images, maximum=16)
    expected = {row.tobytes() for row in (DIGITS / 16).astype(np.float32).reshape(1797, 64)}
    got = {row.numpy().tobytes() for images in (data.train, data.test) for row in images.features()}
    assert got == expected
    dark = read(tmp_path, images, maximum=255)
    assert float(dark.train.features().max()) == pytest.approx(16 / 255)


@READERS
@pytest.mark.parametrize(
    ("values", "dtype", "maximum"),
    [
        ([128], "u1", 255),
        ([255, 3], "i8", 255),
        ([200], "i2", 255),
        ([1], "u1", 1),
        ([1], "i4", 1),
        ([1], "?", 1),
        ([0], "u1", 1),
        ([0.5], "f4", 1),
        ([1.0, 0.25], "f8", 1),
        ([0.5], "f2", 1),
    ],
)
def test_ranges_that_are_known(tmp_path, read, values, dtype, maximum):
    images = with_values(values, dtype)
    data = read(tmp_path, images)
    assert data.maximum == maximum
    largest = max(float(own.features().max()) for own in (data.train, data.test))
    assert largest == pytest.approx(float(images.max()) / maximum)


@READERS
@pytest.mark.parametrize(
    ("values", "dtype", "message"),
    [
        ([127], "u1", r"0 to 127,.*Set data\.maximum=127 if .*data\.maximum=255 if"),
        ([2], "i8", r"0 to 2,"),
        ([256], "i4", r"0 to 256,.*data\.maximum=256 if.*data\.maximum=65535 if"),
        (
            [-1, 200],
            "i4",
            r"-1 to 200,.*=true stack\.visible=gaussian.*add 1 to every value and set data\.maximum=201\.",
        ),
        ([255.0], "f4", r"0 to 255,.*Set data\.maximum=255 if"),
        ([254.9], "f4", r"0 to 254\.9,.*Set data\.maximum=254\.9 if.*data\.maximum=255 if"),
        ([1.5], "f8", r"0 to 1\.5,"),
        ([-0.25], "f2", r"-0\.25 to 0,"),
        ([60000], "u2", r"0 to 60000,.*data\.maximum=65535 if these are dark pictures of 16 bits"),
    ],
)
def test_ranges_that_have_to_be_said(tmp_path, read, values, dtype, message):
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path, with_values(values, dtype))
    added = re.search(r"add (\S+) to every value", str(caught.value))
    if added:
        images = with_values(values, dtype) + float(added.group(1))
        (advised,) = re.findall(r"data\.maximum=(\d[\w.]*\w)", str(caught.value))
        assert float(read(tmp_path, images, maximum=float(advised)).maximum) == float(images.max())
        return
    for advised in re.findall(r"data\.maximum=(\d[\w.]*\w)", str(caught.value)):  # each advice, followed
        assert read(tmp_path, with_values(values, dtype), maximum=float(advised)).maximum == float(advised)
    standardised = read(tmp_path, with_values(values, dtype), standardise=True)
    assert bool(torch.isfinite(standardised.train.features()).all())


@pytest.mark.parametrize("split", ["train", "test", "validation"])
@pytest.mark.parametrize("said", [None, 16, 3.5])
def test_every_split_is_looked_at(tmp_path, split, said):
    """One value outside in any split is refused, in memory and in files alike."""
    inside, outside = 1 if said is None else said, 4000
    images = {own: with_values([inside], "f4") for own in ("train", "test", "validation")}
    images[split][7, 1, 1] = outside
    prefixes = {"train": "", "test": "test_", "validation": "validation_"}
    np.savez(tmp_path / "mine.npz", **{f"{prefixes[own]}images": array for own, array in images.items()})
    for own, array in images.items():
        np.save(tmp_path / f"{prefixes[own]}images.npy", array)
    for source in (npz(tmp_path / "mine.npz", said), memmap(tmp_path, said)):
        with pytest.raises(DataError, match=r"0 to 4000.*data\.maximum=4000 "):
            load_data(source, validation=None)


def test_what_was_said_is_compared_as_float32_stores_it():
    tenth = torch.full((4, 1, 1, 2), 0.1)  # float32 has a value above 0.1 for it
    assert load_data(Source("x", tenth, maximum=0.1), validation=0, test=1).train.features().max() <= 1
    with pytest.raises(DataError, match=r"0\.2"):
        load_data(Source("x", tenth * 2, maximum=0.1), validation=0, test=1)


@pytest.mark.parametrize("value", [16.0, 0.1, 254.9, 1e-30, 3e38, -7.0, 1 / 3])
def test_numbers_in_messages_are_read_back_as_they_are(value):
    assert np.float32(exact(value)) == np.float32(value)
    assert len(exact(value)) <= 12


def test_the_rule_where_nothing_is_said():
    def known(low, high, whole):
        return value_of_one(Range(low, high, whole), None, data_name="x", standardise=True)

    assert [known(0, high, True) for high in (1, 2, 127, 128, 255, 256)] == [1, None, None, 255, 255, None]
    assert [known(0, high, False) for high in (1, 1.001, 200)] == [1, None, None]
    assert [known(-1, high, True) for high in (1, 200)] == [None, None]


def test_real_values_of_any_range_are_standardised():
    """Features of units that differ by a factor of 10^9 all get mean 0 and deviation 1; one that never changes, 0."""
    generator = np.random.default_rng(0)
    scale, shift = np.array([1e-3, 1.0, 1e6, 0.0]), np.array([5e-3, -3.0, 2e6, 7.25])
    images = torch.from_numpy((generator.normal(size=(500, 4)) * scale + shift).astype(np.float32)).reshape(
        500, 1, 1, 4
    )
    data = load_data(Source("x", images), validation=0, test=100, standardise=True)
    features = data.train.features().double()
    torch.testing.assert_close(features.mean(0), torch.zeros(4, dtype=torch.float64), rtol=0, atol=1e-4)
    deviation = features.std(0, correction=0)
    torch.testing.assert_close(deviation, torch.tensor([1.0, 1, 1, 0]).double(), rtol=0, atol=1e-4)
    kept = images.flatten(1)[: len(data.test)]
    assert data.test.features().shape == kept.shape


def test_a_rare_value_of_an_unknown_scale_does_not_explode():
    images = torch.zeros(100_000, 1, 1, 2)
    images[0, ..., 0] = 50.0  # its deviation is 0.16, a hundredth of the largest difference 0.5
    images[::2, ..., 1] = 50.0
    data = load_data(Source("x", images), validation=0, test=0, standardise=True)
    assert float(data.train.features()[:, 0].max()) == pytest.approx(100, rel=1e-3)


def test_a_value_outside_that_was_not_met_before_is_refused_when_it_is_read(tmp_path):
    """Among 30000 images one is brighter: a thousand are looked at, the reading finds it and names it."""
    for dtype, high in (("u1", 200), ("f4", 1.5)):
        images = np.zeros((30_000, 2, 2), dtype)
        images[:, 0, 0] = 1
        images[12_345, 1, 1] = high
        np.save(tmp_path / "images.npy", images)
        data = load_data(memmap(tmp_path), validation=0, test=10)
        assert data.maximum == 1
        with pytest.raises(DataError, match=r"data\.maximum=0\.5: 1010 images that were checked .* 0 to 1,"):
            load_data(memmap(tmp_path, 0.5), validation=0, test=10)
        with pytest.raises(DataError, match=rf"images\.npy: .*outside 0 to 1 in image 12345 .*data\.maximum={high}"):
            list(data.train.chunks())
        assert load_data(memmap(tmp_path, high), validation=0, test=10).train.features().max() == 1


def test_bundled_digits_are_read_as_before():
    from dbn.data import digits

    data = load_data(digits())
    assert data.maximum == 16
    assert data.train.pixels.dtype == torch.uint8
    assert float(data.train.features().max()) == 1
