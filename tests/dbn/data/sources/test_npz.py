"""A person's own arrays: every layout that is read, every fault that is named."""

import numpy as np
import pytest
import torch

from dbn.data import load_data, npz
from dbn.errors import DataError, SettingError

PIXELS = (np.arange(6 * 2 * 3, dtype=np.uint8) * 7).reshape(6, 2, 3)
LABELS = np.array([0, 1, 0, 1, 0, 1])


@pytest.fixture
def save(tmp_path):
    def save(**arrays):
        path = tmp_path / "mine.npz"
        np.savez(path, **arrays)
        return path

    return save


def test_grey_pictures_with_labels(save):
    source = npz(save(images=PIXELS, labels=LABELS))
    assert np.array_equal(source.train_images.numpy()[:, 0], PIXELS)
    assert source.train_images.dtype == torch.uint8
    assert source.train_labels.tolist() == LABELS.tolist()
    assert (source.classes, load_data(source, validation=0, test=2).maximum, source.name) == (("0", "1"), 255.0, "npz")


def test_channels_come_last_in_the_file_and_first_in_the_tensor(save):
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 6, 3)).astype(np.uint8)
    source = npz(save(images=images))
    assert source.train_images.shape == (5, 3, 4, 6)
    assert np.array_equal(source.train_images[2, 1].numpy(), images[2, :, :, 1])
    assert load_data(source, validation=0, test=1).train.pixels.is_contiguous()


@pytest.mark.parametrize(("features", "shape"), [(16, (1, 4, 4)), (15, (1, 1, 15)), (1, (1, 1, 1))])
def test_flat_images_are_square_where_they_can_be(save, features, shape):
    assert npz(save(images=np.zeros((3, features)))).train_images.shape == (3, *shape)


def test_test_arrays(save):
    source = npz(save(images=PIXELS, labels=LABELS, test_images=PIXELS[:2], test_labels=LABELS[1::-1]))
    assert np.array_equal(source.test_images.numpy()[:, 0], PIXELS[:2])
    assert source.test_labels.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("array", "given", "maximum", "dtype"),
    [
        (PIXELS, None, 255.0, torch.uint8),
        (PIXELS > 49, None, 1.0, torch.uint8),
        ((PIXELS > 49).astype(np.uint8), None, 1.0, torch.uint8),
        ((PIXELS > 49).astype(np.int64), None, 1.0, torch.uint8),
        (PIXELS.astype(np.int64), None, 255.0, torch.uint8),
        (PIXELS / 255, None, 1.0, torch.float32),
        ((PIXELS / 255).astype(">f4"), None, 1.0, torch.float32),
        (PIXELS.astype(np.float32), 245, 245.0, torch.float32),
        (PIXELS, 245, 245.0, torch.uint8),
        (PIXELS.astype(np.int64), 245, 245.0, torch.uint8),
        (PIXELS.astype(np.uint16) * 200, 65535.0, 65535.0, torch.float32),
    ],
)
def test_what_stands_for_one(save, array, given, maximum, dtype):
    source = npz(save(images=array), maximum=given)
    assert load_data(source, validation=0, test=1).maximum == maximum
    assert source.train_images.dtype == dtype
    assert np.allclose(source.train_images.numpy()[:, 0], array.astype(float), rtol=1e-6)


def test_binary_training_images_with_grey_test_images_are_grey(save):
    for test_images in (PIXELS, PIXELS.astype(np.int64)):
        source = npz(save(images=PIXELS // 245, test_images=test_images))
        assert load_data(source, validation=0).maximum == 255.0


@pytest.mark.parametrize(
    ("labels", "numbers", "classes"),
    [
        (["dog", "cat", "dog", "emu", "cat", "dog"], [1, 0, 1, 2, 0, 1], ("cat", "dog", "emu")),
        (np.array([b"b", b"a", b"a", b"a", b"a", b"a"]), [1, 0, 0, 0, 0, 0], ("a", "b")),
        (np.array([7, -3, 100, 7, 7, 7], np.int16), [1, 0, 2, 1, 1, 1], ("-3", "7", "100")),
        (np.array([1, 0, 0, 0, 0, 0], bool), [1, 0, 0, 0, 0, 0], ("False", "True")),
        (np.array([2.0, -1.0, 10.0, 2.0, 2.0, 2.0]), [1, 0, 2, 1, 1, 1], ("-1", "2", "10")),
        (np.array([[7], [3], [7], [7], [7], [7]]), [1, 0, 1, 1, 1, 1], ("3", "7")),
    ],
)
def test_labels_are_numbered_in_sorted_order(save, labels, numbers, classes):
    source = npz(save(images=PIXELS, labels=labels))
    assert source.train_labels.tolist() == numbers
    assert source.classes == classes


def test_test_labels_are_numbered_by_the_training_classes(save):
    path = save(images=PIXELS, labels=["a", "b", "c"] * 2, test_images=PIXELS[:2], test_labels=["c", "b"])
    assert npz(path).test_labels.tolist() == [2, 1]


def bad(**arrays):
    return {"images": PIXELS, **arrays}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"labels": LABELS}, r"no array 'images', only: labels"),
        ({}, r"no array 'images', only: nothing"),
        (bad(labels=LABELS[:5]), r"shape \(5,\), but there are 6"),
        (bad(labels=np.eye(6, dtype=int)), r"labels have shape \(6, 6\).*not one-hot"),
        (bad(labels=LABELS / 2), r"labels hold 0\.5, the label of image 1 .*whole numbers or strings"),
        (bad(labels=[0, 1, np.nan, 1, np.nan, 1]), r"labels hold NaN or infinite values: 2 of 6, .*image 2 "),
        (bad(labels=[0, 1, np.inf, 1, 0, 1]), r"labels hold NaN or infinite values: 1 of 6"),
        (bad(labels=LABELS * 1j), r"labels are of type complex128"),
        (bad(labels=LABELS.reshape(1, 6)), r"labels have shape \(1, 6\)"),
        (bad(labels=LABELS[:0]), r"labels are empty"),
        (bad(labels=LABELS * 0), r"same label, '0'"),
        (bad(labels=LABELS, test_images=PIXELS, test_labels=LABELS + 1), r"test_labels hold 2, which no training"),
        (bad(labels=["a", "b"] * 3, test_images=PIXELS, test_labels=["a", "z"] * 3), r"test_labels hold 'z'"),
        (bad(labels=LABELS, test_images=PIXELS, test_labels=["0", "1"] * 3), r"both as numbers or as strings"),
        (bad(labels=LABELS, test_images=PIXELS), r"test_labels are missing"),
        (bad(test_images=PIXELS, test_labels=LABELS), r"test_labels but no labels"),
        (bad(labels=LABELS, test_labels=LABELS), r"test_labels without test_images"),
        (bad(test_images=PIXELS[:, :1]), r"test_images have shape \(1, 1, 3\).*train_images have \(1, 2, 3\)"),
        (bad(test_images=PIXELS / 255), r"test_images are torch\.float32, but train_images are torch\.uint8"),
        ({"images": np.full((3, 2, 2), np.nan)}, r"NaN or infinite values: 3 of 3"),
        ({"images": np.full((3, 2, 2), 1e300)}, r"NaN or infinite values"),
        ({"images": np.zeros((0, 2, 2))}, r"images have shape \(0, 2, 2\)"),
        ({"images": np.zeros((3, 0, 2))}, r"images have shape \(3, 0, 2\)"),
        ({"images": np.zeros(5)}, r"images have shape \(5,\)"),
        ({"images": np.zeros((5, 3, 32, 32))}, r"32 channels. Channels come last"),
        ({"images": np.full((3, 2, 2), 1j)}, r"images are of type complex128"),
        ({"images": np.full((3, 2, 2), "x")}, r"images are of type <U1"),
        ({"images": np.full((3, 2, 2), None)}, r"pickled objects"),
        (bad(labels=np.array([None, "a"] * 3)), r"pickled objects"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_file(save, arrays, message):
    with pytest.raises(DataError, match=message) as caught:
        npz(save(**arrays)).check_trainable()
    assert "mine.npz" in str(caught.value)


def test_a_pickle_does_not_run(save, tmp_path):
    class Mischief:
        def __reduce__(self):
            return (open, (str(tmp_path / "proof"), "w"))

    with pytest.raises(DataError, match="pickled objects"):
        npz(save(images=np.array([Mischief()], dtype=object)))
    assert not (tmp_path / "proof").exists()


def test_damaged_missing_and_wrong_files(save, tmp_path):
    path = save(images=PIXELS)
    content = path.read_bytes()
    for fault in (content[: len(content) // 2], content[:70] + b"\xff" * 20 + content[90:], b"", b"PK\x03\x04"):
        path.write_bytes(fault)
        with pytest.raises(DataError, match=r"mine\.npz"):
            npz(path)
    with pytest.raises(DataError, match=r"nothing\.npz does not exist.*data\.path"):
        npz(tmp_path / "nothing.npz")
    for unset in (None, ""):
        with pytest.raises(DataError, match=r"data\.path is not set"):
            npz(unset)
    np.save(tmp_path / "single.npy", PIXELS)
    with pytest.raises(DataError, match="single array"):
        npz(tmp_path / "single.npy")


@pytest.mark.parametrize("maximum", [0, -5, "many"])
def test_a_maximum_that_is_no_positive_number(save, maximum):
    with pytest.raises(SettingError, match=rf"data\.maximum={maximum} "):
        npz(save(images=PIXELS), maximum=maximum)
