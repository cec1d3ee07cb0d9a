"""Arrays of a person's own: names of any kind, sparse matrices, MATLAB files; and what messages advise works."""

import re
import shlex
import zipfile

import numpy as np
import pytest
import scipy.io
import scipy.sparse
import torch

from dbn.data import load_data, mat, memmap, npz
from dbn.data.sources import sparse
from dbn.errors import DataError, SettingError

GENERATOR = np.random.default_rng(0)
PIXELS = GENERATOR.integers(0, 256, (12, 4, 5)).astype(np.uint8)
COLOURS = GENERATOR.integers(0, 256, (12, 4, 5, 3)).astype(np.uint8)
LABELS = np.arange(12) % 3


def settings_in(error) -> dict[str, str]:
    """Settings ``data.key=value`` that a message advises, as a shell and Hydra read them."""
    words = re.findall(r"'data\.[^']*'|data\.\w+=\w+", str(error))
    pairs = (shlex.split(word)[0].removeprefix("data.").split("=", 1) for word in words)
    return {key: value.strip('"') for key, value in pairs}


def test_arrays_by_other_names(tmp_path):
    """The names of Keras' mnist.npz, and a validation set."""
    path = tmp_path / "mine.npz"
    np.savez(
        path, x_train=PIXELS[:6], y_train=LABELS[:6], x_test=PIXELS[6:9], y_test=LABELS[6:9], x_val=PIXELS[9:],
        y_val=LABELS[9:],
    )  # fmt: skip
    source = npz(
        path, images="x_train", labels="y_train", test_images="x_test", test_labels="y_test",
        validation_images="x_val", validation_labels="y_val",
    )  # fmt: skip
    for split, rows in (("train", slice(0, 6)), ("test", slice(6, 9)), ("validation", slice(9, 12))):
        assert np.array_equal(getattr(source, f"{split}_images")[:, 0].numpy(), PIXELS[rows]), split
        assert getattr(source, f"{split}_labels").tolist() == LABELS[rows].tolist(), split
    with pytest.raises(DataError, match=r"no array 'images'.*x_train \(6, 4, 5\) uint8.*one of x_train, x_test, x_val"):
        npz(path)


def test_validation_images_as_test_images(tmp_path):
    np.savez(
        tmp_path / "mine.npz", images=PIXELS, labels=LABELS, validation_images=PIXELS[:3], validation_labels=LABELS[:3]
    )
    data = load_data(npz(tmp_path / "mine.npz"), validation=None, test=3)
    assert torch.equal(data.validation.pixels, torch.from_numpy(PIXELS[:3]).flatten(1))
    assert data.validation.labels.tolist() == LABELS[:3].tolist()
    assert len(data.train) == 9


@pytest.mark.parametrize("names", [("arr_0", "arr_1"), ("X", "y"), ("my data", "the 'labels'"), ("1", "2"), ("ä", "é")])
def test_the_only_array_that_can_be_images_is_named_and_the_advice_works(tmp_path, names):
    path = tmp_path / "mine.npz"
    np.savez(path, **{names[0]: PIXELS, names[1]: LABELS})
    with pytest.raises(DataError, match=r"no array 'images', only: .*Only .* can be images") as caught:
        npz(path)
    if "'" in names[1]:  # no one line in a shell's quotes: the name itself is said
        assert names[1] in str(caught.value)
        return
    advised = settings_in(caught.value)
    assert advised == {"images": names[0], "labels": names[1]}
    source = npz(path, **advised)
    assert np.array_equal(source.train_images[:, 0].numpy(), PIXELS)
    assert source.train_labels.tolist() == LABELS.tolist()


def test_labels_that_fit_no_image_are_not_advised(tmp_path):
    np.savez(tmp_path / "mine.npz", x=PIXELS, y=LABELS[:4], z=np.eye(12)[:1])
    with pytest.raises(DataError) as caught:
        npz(tmp_path / "mine.npz")
    assert settings_in(caught.value) == {"images": "x"}


def test_names_that_are_not_there_and_arrays_that_are_not_used(tmp_path, caplog):
    path = tmp_path / "mine.npz"
    np.savez(path, images=PIXELS, labels=LABELS, extra=LABELS)
    with pytest.raises(DataError, match=r"data\.labels=y: .*no array 'y', only: images .*or to null"):
        npz(path, labels="y")
    with pytest.raises(SettingError, match=r"data\.images=null.*Only images can be images: set data\.images=images"):
        npz(path, images=None)
    caplog.set_level("INFO")
    assert npz(path, labels=None).train_labels is None
    assert npz(path).train_labels.tolist() == LABELS.tolist()
    assert "not used: extra (12,) int64" in caplog.text
    with pytest.raises(DataError, match=r"mine\.npz \(labels=images\): labels have shape \(12, 4, 5\)"):
        npz(path, labels="images")


def test_a_note_beside_the_arrays_does_no_harm(tmp_path):
    np.savez(tmp_path / "mine.npz", images=PIXELS)
    with zipfile.ZipFile(tmp_path / "mine.npz", "a") as file:
        file.writestr("readme.txt", "taken in May")
    assert np.array_equal(npz(tmp_path / "mine.npz").train_images[:, 0].numpy(), PIXELS)


def test_kinds_of_file_are_told_apart(tmp_path):
    (tmp_path / "mine.mat").write_bytes(b"MATLAB 5.0")
    with pytest.raises(DataError, match=r"MATLAB file\. Read it with data=mat"):
        npz(tmp_path / "mine.mat")
    np.savez(tmp_path / "mine.npz", images=PIXELS)
    with pytest.raises(DataError, match=r"Read it with data=npz"):
        mat(tmp_path / "mine.npz")
    with pytest.raises(DataError, match=r"is a folder\..*data=image_folder.*data=memmap"):
        npz(tmp_path)


COUNTS = scipy.sparse.random(
    30, 16, 0.2, "csr", random_state=0, data_rvs=lambda n: GENERATOR.integers(1, 200, n)
).astype(np.int64)


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "bsr", "dia"])
@pytest.mark.parametrize("dtype", ["i8", "u1", "f4", "f8", "?"])
def test_sparse_matrices_are_read_as_they_are(tmp_path, form, dtype):
    matrix = COUNTS.astype(dtype).asformat(form)
    scipy.sparse.save_npz(tmp_path / "mine.npz", matrix)
    source = npz(tmp_path / "mine.npz", maximum=200)
    assert source.train_images.shape == (30, 1, 4, 4)
    assert source.train_images.dtype == (torch.float32 if dtype[0] == "f" else torch.uint8)
    assert np.array_equal(source.train_images.flatten(1).numpy(), matrix.toarray())
    assert source.train_labels is None


def test_sparse_values_that_are_stored_twice_add_up(tmp_path):
    """200 and 100 make 300: a byte each, their sum is none."""
    matrix = scipy.sparse.coo_matrix(([200, 100, 3], ([0, 0, 1], [2, 2, 0])), shape=(4, 5))
    scipy.sparse.save_npz(tmp_path / "mine.npz", matrix)
    assert np.array_equal(npz(tmp_path / "mine.npz", maximum=300).train_images.flatten(1).numpy(), matrix.toarray())
    with pytest.raises(DataError, match=r"go from 0 to 300"):
        load_data(npz(tmp_path / "mine.npz"), validation=0, test=1)


def test_a_sparse_matrix_that_memory_would_not_hold(tmp_path, monkeypatch):
    """Refused before it is made dense; and the advice, followed, gives the matrix."""
    scipy.sparse.save_npz(tmp_path / "large.npz", scipy.sparse.coo_matrix(([1.0], ([0], [0])), shape=(10**7, 10**5)))
    with pytest.raises(DataError, match=r"\(10000000, 100000\), 3\.73e\+03 GiB .* up to 4 GiB .*data=memmap"):
        npz(tmp_path / "large.npz")
    monkeypatch.setattr(sparse, "DENSE_BYTES", 100)
    scipy.sparse.save_npz(tmp_path / "mine.npz", COUNTS)
    with pytest.raises(DataError, match="data=memmap") as caught:
        npz(tmp_path / "mine.npz")
    create, fill = re.search(
        r"images = (numpy.*?\)), then images\[i:j\] = (matrix.*?\(\))\.", str(caught.value)
    ).groups()
    monkeypatch.chdir(tmp_path)
    images = eval(create, {"numpy": np})
    for i in range(0, 30, 10):
        images[i : i + 10] = eval(fill, {"matrix": COUNTS, "i": i, "j": i + 10})
    images.flush()
    data = load_data(memmap(tmp_path), validation=0, test=0)
    assert np.array_equal(np.round(data.train.features().numpy() * 255), COUNTS.toarray())


def test_a_sparse_matrix_pickled_into_an_array_is_refused_with_what_to_do(tmp_path):
    np.savez(tmp_path / "mine.npz", images=COUNTS)
    with pytest.raises(DataError, match=r"pickled objects.*scipy\.sparse\.save_npz"):
        npz(tmp_path / "mine.npz")


def save_mat(tmp_path, **arrays):
    scipy.io.savemat(tmp_path / "mine.mat", arrays)
    return tmp_path / "mine.mat"


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("said", [False, True])
@pytest.mark.parametrize("images", [PIXELS, COLOURS, PIXELS.reshape(12, 20)], ids=["grey", "colour", "flat"])
def test_matlab_pictures(tmp_path, images, last, said):
    """The images are the first dimension or, as MATLAB has it, the last: said, or as long as the labels."""
    path = save_mat(tmp_path, images=np.moveaxis(images, 0, -1) if last else images, labels=LABELS)
    source = mat(path, images_last=last if said else None)
    np.savez(tmp_path / "mine.npz", images=images, labels=LABELS)
    expected = npz(tmp_path / "mine.npz")
    assert torch.equal(source.train_images, expected.train_images)
    assert torch.equal(source.train_labels, expected.train_labels)
    assert source.name == "mat"


def test_matlab_pictures_that_could_be_either_are_asked_about(tmp_path):
    """Both pieces of advice give what they say."""
    for arrays in ({}, {"labels": np.arange(28) % 2}):
        stacked = np.zeros((28, 20, 28 if arrays else 40), np.uint8)
        path = save_mat(tmp_path, images=stacked, **arrays)
        with pytest.raises(
            DataError, match=rf"{stacked.shape[2]} images of 28 x 20, or 28 of 20 x {stacked.shape[2]}\?"
        ):
            mat(path)
        assert mat(path, images_last=True).train_images.shape == (stacked.shape[2], 1, 28, 20)
        assert mat(path, images_last=False).train_images.shape == (28, 1, 20, stacked.shape[2])
    with pytest.raises(SettingError, match=r"data\.images_last='yes'"):
        mat(path, images_last="yes")


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (LABELS.astype(float), ("0", "1", "2")),
        (LABELS[:, None].astype(np.uint8), ("0", "1", "2")),
        (np.array(["ab", "c", "d"])[LABELS], ("ab", "c", "d")),
        (np.array(["ab", "c", "d"], dtype=object)[LABELS], ("ab", "c", "d")),
        (np.array(["ab", "c", "d"], dtype=object)[LABELS][:, None], ("ab", "c", "d")),
        (LABELS > 0, ("0", "1")),
    ],
)
def test_matlab_labels(tmp_path, labels, classes):
    """Doubles, columns, rows of characters padded with blanks, cell arrays, logical values."""
    source = mat(save_mat(tmp_path, images=PIXELS, labels=labels))
    assert source.classes == classes
    assert source.train_labels.tolist() == (LABELS > 0 if len(classes) == 2 else LABELS).astype(int).tolist()


def test_matlab_sparse_and_other_names(tmp_path):
    path = save_mat(tmp_path, fea=COUNTS.astype(float), gnd=np.arange(30) % 2 + 1.0)
    with pytest.raises(DataError) as caught:
        mat(path)
    source = mat(path, maximum=200, **settings_in(caught.value))
    assert np.array_equal(source.train_images.flatten(1).numpy(), COUNTS.toarray())
    assert source.classes == ("1", "2")
    with pytest.raises(DataError, match=r"go from 0 to \d+, .*data\.maximum="):
        load_data(mat(path, images="fea"))


def test_advice_for_matlab_pictures_names_labels_that_count_the_last_dimension(tmp_path):
    path = save_mat(tmp_path, X=np.moveaxis(PIXELS, 0, -1), y=LABELS)
    with pytest.raises(DataError, match=r"X \(4, 5, 12\) uint8, y \(1, 12\) int64") as caught:
        mat(path)
    assert settings_in(caught.value) == {"images": "X", "labels": "y"}
    assert np.array_equal(mat(path, images="X", labels="y").train_images[:, 0].numpy(), PIXELS)


def test_matlab_files_that_cannot_be_read(tmp_path):
    path = save_mat(tmp_path, images=PIXELS)
    content = path.read_bytes()
    for fault in (b"", b"nonsense" * 100, content[: len(content) // 2], content[:128] + b"\xff" * 100):
        path.write_bytes(fault)
        with pytest.raises(DataError, match=r"mine\.mat"):
            mat(path)
    for hdf5 in (b"\x89HDF\r\n\x1a\n", b"MATLAB 7.3 MAT-file".ljust(512) + b"\x89HDF\r\n\x1a\n"):
        path.write_bytes(hdf5)
        with pytest.raises(DataError, match=r"version 7\.3.*'-v7'.*data=npz"):
            mat(path)
    with pytest.raises(DataError, match=r"data\.path is not set"):
        mat(None)
    with pytest.raises(DataError, match=r"nothing\.mat is not a file"):
        mat(tmp_path / "nothing.mat")
    path = save_mat(tmp_path, images={"nested": PIXELS}, labels=LABELS)
    with pytest.raises(DataError, match=r"images are of type .*Save them as uint8"):
        mat(path)
