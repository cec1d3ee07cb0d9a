"""Images in a folder of .npy files: read right, held out right, every fault named, memory bounded."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dbn.data import DataSet, Images, StreamedImages, check_unit_interval, load_data, memmap
from dbn.data.block_loader import BlockLoader
from dbn.errors import DataError, SettingError

Save = Callable[..., Path]
GENERATOR = np.random.default_rng(0)
PIXELS = GENERATOR.integers(0, 256, (60, 4, 3)).astype(np.uint8)
LABELS = np.arange(60) % 3


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Write arrays to .npy files of a folder."""

    def saved(**arrays: Any) -> Path:
        folder = tmp_path / "mine"
        folder.mkdir(exist_ok=True)
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", array)
        return folder

    return saved


def loaded(folder: Path, *, maximum: float | None = None, window: float = 64, **options: Any) -> DataSet:
    return load_data(memmap(folder, maximum, window), **{"validation": 0, "test": 6, **options})


def streamed(data: DataSet) -> StreamedImages:
    assert isinstance(data.train, StreamedImages)
    return data.train


def rows(images: Images, pixels: np.ndarray) -> list[int]:
    """Which rows of distinct ``pixels`` the images are."""
    number = {row.tobytes(): k for k, row in enumerate(pixels.reshape(len(pixels), -1))}
    stored = torch.cat([b.features for b in map(copied, BlockLoader(as_stored(images), batch_size=7))])
    return [number[row.to(torch.uint8).numpy().tobytes()] for row in stored]


def copied(block: Any) -> Any:
    return block.with_features(block.features.clone())


def as_stored(images: Images) -> Images:
    return replace(images, offset=torch.tensor(0.0), factor=torch.tensor(1.0))


@pytest.mark.parametrize("window", [64, 0.0001])
def test_every_image_is_in_one_split_with_its_label(save: Save, window: float) -> None:
    data = loaded(save(images=PIXELS, labels=LABELS), window=window, test=9, validation=12)
    assert (len(data.train), len(data.validation), len(data.test)) == (39, 12, 9)
    found = {split: rows(getattr(data, split), PIXELS) for split in ("train", "validation", "test")}
    assert sorted(chain(*found.values())) == list(range(60))
    assert found["train"] == sorted(found["train"])
    for split, numbers in found.items():
        labels = getattr(data, split).labels
        assert labels.tolist() == LABELS[numbers].tolist()
        assert torch.bincount(labels).tolist() == [len(labels) // 3] * 3
    assert type(data.test) is type(data.validation) is Images
    assert found["test"] != sorted(found["test"])  # a prefix is a fair sample


def test_without_labels_images_are_held_out_too_and_the_seed_decides(save: Save) -> None:
    folder = save(images=PIXELS)
    first, again, other = (rows(loaded(folder, split_seed=seed, validation=5).test, PIXELS) for seed in (1, 1, 2))
    assert first == again
    assert sorted(first) != sorted(other)
    data = loaded(folder, split_seed=1, validation=5)
    assert sorted(rows(data.train, PIXELS) + rows(data.validation, PIXELS) + first) == list(range(60))
    assert data.classes == ()


def test_own_files_for_test_and_validation_are_kept(save: Save) -> None:
    folder = save(
        images=PIXELS, labels=LABELS + 5, test_images=PIXELS[:4], test_labels=LABELS[:4] + 5,
        validation_images=PIXELS[4:7], validation_labels=LABELS[4:7].astype(np.uint8) + np.uint8(5),
    )  # fmt: skip
    data = loaded(folder, validation=None)
    assert rows(data.train, PIXELS) == list(range(60))
    assert rows(data.test, PIXELS) == [0, 1, 2, 3]
    assert rows(data.validation, PIXELS) == [4, 5, 6]
    assert data.validation.labels is not None
    assert data.validation.labels.tolist() == LABELS[4:7].tolist()
    assert data.classes == ("5", "6", "7")


def test_channels_come_last_in_the_file_and_first_in_the_features(save: Save) -> None:
    images = GENERATOR.integers(0, 256, (10, 4, 5, 3)).astype(np.uint8)
    data = loaded(save(images=images, test_images=images[:2]))
    expected = torch.from_numpy(images).permute(0, 3, 1, 2)
    assert data.shape == (3, 4, 5)
    torch.testing.assert_close(data.to_pixels(data.train.features()), expected / 255)
    torch.testing.assert_close(data.to_pixels(data.test.features()), expected[:2] / 255)
    held_out = loaded(save(images=images), window=0.0001, validation=3)
    (block,) = BlockLoader(held_out.train, batch_size=20)
    left = [k for k in range(10) if any(torch.allclose(expected[k].flatten() / 255, row) for row in block.features)]
    assert len(left) == len(block) == 7
    torch.testing.assert_close(block.features, expected[left].flatten(1) / 255)


@pytest.mark.parametrize(("features", "shape"), [(16, (1, 4, 4)), (15, (1, 1, 15))])
def test_flat_images_are_square_where_they_can_be(save: Save, features: int, shape: tuple[int, int, int]) -> None:
    assert loaded(save(images=np.full((30, features), 200, np.uint8))).shape == shape


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_images_anywhere_in_the_file_are_read_right(save: Save, dtype: type) -> None:
    images = streamed(loaded(save(images=PIXELS.astype(dtype)), maximum=255, window=0.0001))
    kept = torch.from_numpy(PIXELS[rows(images, PIXELS)]).flatten(1) / 255
    for index in (None, slice(3, 40, 4), torch.tensor([5, 2, 2, 53, 6]), torch.arange(54) % 3 == 0, slice(0, 0)):
        torch.testing.assert_close(images.features(index), kept if index is None else kept[index])
    taken = images.take(torch.tensor([7, 3, 4]))
    assert type(taken) is Images
    torch.testing.assert_close(taken.features(), kept[[7, 3, 4]])
    with pytest.raises(IndexError, match="0 to 53"):
        images.features(torch.tensor([54]))


def test_images_to_watch_come_from_all_of_the_file(save: Save) -> None:
    images = np.arange(2000, dtype=np.float32)[:, None]
    watched = 2000 * streamed(loaded(save(images=images), maximum=2000)).sample(200)[:, 0]
    assert len(watched.unique()) == 200
    assert abs(float(watched.mean()) - 1000) < 5 * 2000 / 12**0.5 / 200**0.5


def test_standardised_as_in_memory(save: Save) -> None:
    data = loaded(save(images=PIXELS), standardise=True)
    features = torch.cat(list(data.train.chunks()))
    torch.testing.assert_close(features.mean(0), torch.zeros(12), rtol=0, atol=1e-5)
    torch.testing.assert_close(features.std(0, correction=0), torch.ones(12), rtol=0, atol=1e-5)
    assert torch.equal(data.test.offset, data.train.offset)


def test_unit_interval_is_checked_in_the_file(save: Save) -> None:
    inside, outside = np.full((30, 4), 1.0, np.float32), np.full((30, 4), 1.0, np.float32)
    outside[17, 2] = 1.5
    check_unit_interval(loaded(save(images=inside), test=1).train, data_name="x")
    folder = save(images=outside, test_images=inside)
    with pytest.raises(DataError, match=r"data=x.*from .* to .*data\.standardise=false"):
        check_unit_interval(loaded(folder, standardise=True).train, data_name="x")


def test_what_stands_for_one(save: Save) -> None:
    assert loaded(save(images=PIXELS)).maximum == 255
    assert loaded(save(images=PIXELS.astype(np.float32) / 255)).maximum == 1
    for dtype in (np.uint8, np.bool_, np.int64):
        binary = loaded(save(images=(PIXELS > 100).astype(dtype)))
        assert binary.maximum == 1
        assert binary.train.features().unique().tolist() == [0, 1]


@pytest.mark.parametrize("dtype", ["?", "i1", "<i2", ">i4", "u8", "f2", ">f4", "f8"])
@pytest.mark.parametrize("shape", [(60, 4, 3), (60, 2, 2, 3)])
def test_numbers_of_any_type_are_read_as_they_are(save: Save, dtype: str, shape: tuple[int, ...]) -> None:
    """Training images in the file and those held out are the images that were written, as float32."""
    images = np.arange(720).reshape(shape) % 120
    images = (images > 60 if dtype == "?" else images).astype(dtype)
    data = loaded(save(images=images), maximum=1 if dtype == "?" else 128, window=0.0001)
    expected = torch.from_numpy(images.astype(np.float32)).reshape(60, *shape[1:3], -1).permute(0, 3, 1, 2).flatten(1)
    scale = 1 if dtype == "?" else 128
    assert torch.equal(streamed(data).features() * scale, expected[data.train.rows.row_of(torch.arange(54))])  # type: ignore[attr-defined]
    assert {tuple(row) for row in (data.test.features() * scale).tolist()} <= {tuple(row) for row in expected.tolist()}


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({}, r"images\.npy does not exist"),
    ({"images": np.array([None, "x"])}, r"images\.npy holds pickled objects"),
    ({"images": np.asfortranarray(PIXELS)}, r"images\.npy is in Fortran order.*ascontiguousarray"),
    ({"images": PIXELS.astype(complex)}, r"images\.npy holds complex128"),
    ({"images": PIXELS.astype("U3")}, r"images\.npy holds <U3"),
    ({"images": np.uint8(3)}, r"images\.npy holds a single number"),
    ({"images": PIXELS[0, 0]}, r"images\.npy holds an array of shape \(3,\)"),
    ({"images": PIXELS[:0]}, r"images\.npy holds an array of shape \(0, 4, 3\)"),
    ({"images": np.zeros((5, 2, 2, 7), np.uint8)}, "7 channels"),
    ({"images": PIXELS, "labels": LABELS[:-1]}, r"labels\.npy holds 59 labels, but .*images\.npy holds 60 images"),
    ({"images": PIXELS, "labels": np.eye(60)}, r"labels\.npy have shape \(60, 60\).*not one-hot.*argmax\(1\)"),
    ({"images": PIXELS, "labels": LABELS * 0 + 4}, r"labels\.npy: every image has the same label, 4"),
    ({"images": PIXELS, "test_images": PIXELS[:, :2]}, r"test_images\.npy holds uint8 images of \(1, 2, 3\)"),
    ({"images": PIXELS, "test_images": PIXELS.astype(np.float32)}, r"test_images\.npy holds float32 images"),
    ({"images": PIXELS, "labels": LABELS, "test_images": PIXELS}, r"test_labels\.npy is missing"),
    ({"images": PIXELS, "test_images": PIXELS, "test_labels": LABELS}, "test_labels but no labels"),
    ({"images": PIXELS, "labels": LABELS, "test_labels": LABELS}, r"test_labels\.npy is there, but .*test_images"),
    (
        {"images": PIXELS, "labels": LABELS, "validation_images": PIXELS[:2], "validation_labels": [0, 9]},
        "validation_labels hold 9, which no training image has",
    ),
    (
        {"images": PIXELS, "test_images": np.full((2, 4, 3), np.nan, np.float32)},
        r"test_images\.npy holds float32 images",
    ),
]


@pytest.mark.parametrize(("arrays", "message"), FAULTS, ids=[message for _, message in FAULTS])
def test_a_fault_is_named_with_its_file(save: Save, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        memmap(save(**arrays)).check_trainable()


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.path is not set"):
        memmap(None)
    with pytest.raises(DataError, match="missing is not a folder"):
        memmap(tmp_path / "missing")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is not an .npy file"), (b"nonsense" * 20, "is not an .npy file"), (b"\x93NUMPY\x09\x00", "version")],
)
def test_what_is_no_npy_file(save: Save, content: bytes, message: str) -> None:
    folder = save()
    (folder / "images.npy").write_bytes(content)
    with pytest.raises(DataError, match=message):
        memmap(folder)


@pytest.mark.parametrize(("change", "message"), [(-1, "is truncated"), (1, "is too long")])
def test_a_file_of_the_wrong_length(save: Save, change: int, message: str) -> None:
    file = save(images=PIXELS) / "images.npy"
    content = file.read_bytes()
    file.write_bytes(content[:change] if change < 0 else content + b"x")
    with pytest.raises(DataError, match=rf"images\.npy {message}"):
        memmap(file.parent)


@pytest.mark.parametrize("key", ["window", "maximum"])
@pytest.mark.parametrize("value", [0, -1, "much", float("nan"), True])
def test_settings_that_cannot_be_used_are_named(save: Save, key: str, value: Any) -> None:
    with pytest.raises(SettingError, match=f"data.{key}="):
        memmap(save(images=PIXELS), **{key: value})


@pytest.mark.parametrize("key", ["test", "validation"])
def test_held_out_images_that_leave_none(save: Save, key: str) -> None:
    with pytest.raises(SettingError, match=rf"data\.{key}=10000 .*Use a number from 1 to"):
        loaded(save(images=PIXELS), **{key: 10000})


def test_values_that_are_not_finite_are_found_when_they_are_read(save: Save) -> None:
    images = np.full((30_000, 2, 2), 0.5, np.float32)
    data = load_data(memmap(save(images=images, test_images=images[:3])), validation=0)
    images[12_345, 1, 1] = np.nan  # not among the images that are looked at before training
    save(images=images)
    with pytest.raises(DataError, match=r"images\.npy holds NaN or infinite values, the first in image 12345 "):
        list(BlockLoader(data.train, batch_size=10, seed=0))
    images[:] = np.nan
    with pytest.raises(DataError, match=r"images\.npy holds NaN or infinite values"):
        load_data(memmap(save(images=images, test_images=np.ones((3, 2, 2), np.float32))), validation=0)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (LABELS[:, None], ("0", "1", "2")),
        (LABELS.astype(np.float64), ("0", "1", "2")),
        (LABELS.astype(">i2"), ("0", "1", "2")),
        (np.array(["a", "emu", "b"])[LABELS], ("a", "b", "emu")),
        (np.array([b"a", b"emu", b"b"])[LABELS], ("a", "b", "emu")),
        (LABELS > 0, ("False", "True")),
    ],
)
def test_labels_of_any_kind(save: Save, labels: np.ndarray, classes: tuple[str, ...]) -> None:
    data = loaded(save(images=PIXELS, labels=labels))
    assert data.classes == classes
    assert data.train.labels is not None
    names = [name.decode() if isinstance(name, bytes) else str(name) for name in labels.reshape(-1).tolist()]
    kept = data.train.rows.row_of(torch.arange(54)).tolist()  # type: ignore[attr-defined]
    written = [str(int(float(names[k]))) if labels.dtype.kind == "f" else names[k] for k in kept]
    assert [classes[label] for label in data.train.labels] == written


def test_without_test_images(save: Save) -> None:
    data = loaded(save(images=PIXELS, labels=LABELS), test=0)
    assert (len(data.train), len(data.test)) == (60, 0)
    assert rows(data.train, PIXELS) == list(range(60))


PEAK = """
import sys
from pathlib import Path
from dbn.data import check_unit_interval, load_data, memmap
from dbn.pretraining import fit
from dbn import RBM
from dbn.models.units import Bernoulli
data = load_data(memmap(sys.argv[1], 255, window=4), validation=500, test=500)
check_unit_interval(data.train, data_name='x')
sum(float(chunk.sum()) for chunk in data.train.chunks())
fit(RBM(Bernoulli(1024), Bernoulli(4)), data.train, epochs=1, batch_size=1000)
print(next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")).split()[1])
"""


def test_peak_memory_does_not_grow_with_the_number_of_images(tmp_path: Path) -> None:
    """Check, sum up and train on 20 MB and on 400 MB of images: the peaks differ by less than 20 MB.

    The peak is Linux's VmHWM: getrusage's starts at that of the process that started this one.
    """
    if not Path("/proc/self/status").is_file():
        pytest.skip("there is no /proc: the peak of a process's memory is read there")
    peaks = []
    for n in (20_000, 400_000):
        folder = tmp_path / str(n)
        folder.mkdir()
        array = np.lib.format.open_memmap(folder / "images.npy", "w+", np.uint8, (n, 1024))
        for start in range(0, n, 20_000):
            array[start : start + 20_000] = start // 20_000 + 2
        array.flush()
        del array
        done = subprocess.run(
            [sys.executable, "-c", PEAK, str(folder)], capture_output=True, text=True, cwd=tmp_path, timeout=300
        )
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout.split()[-1]) / 1024)
        (folder / "images.npy").unlink()
    assert abs(peaks[1] - peaks[0]) < 20, f"MiB at the peak: {peaks}"
