"""Images as files, one folder per class."""

import numpy as np
import pytest
import torch
from PIL import Image

from dbn.data import image_folder
from dbn.errors import DataError, SettingError


def picture(path, value=100, size=(4, 3), mode="L"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path)
    return path


@pytest.fixture
def two_classes(tmp_path):
    """Classes b and a, two pictures each; the grey value says which picture it is."""
    for value, name in ((10, "b/2.png"), (20, "b/10.png"), (30, "a/x.bmp"), (40, "a/y.pgm")):
        picture(tmp_path / name, value)
    return tmp_path


def test_classes_and_files_in_the_order_of_their_names(two_classes):
    source = image_folder(two_classes)
    assert source.classes == ("a", "b")
    assert source.train_labels.tolist() == [0, 0, 1, 1]
    assert source.train_images.shape == (4, 1, 3, 4)  # height before width
    assert source.train_images[:, 0, 0, 0].tolist() == [30, 40, 20, 10]
    assert source.train_images.dtype == torch.uint8
    assert source.test_images is None
    assert source.maximum == 255.0


def test_hidden_files_and_other_files_are_passed_over(two_classes):
    for name in ("a/.hidden.png", "a/notes.txt", ".DS_Store", "README"):
        (two_classes / name).write_text("no image")
    (two_classes / ".cache").mkdir()
    assert len(image_folder(two_classes).train_images) == 4


def test_every_pixel_and_every_format(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 6)).astype(np.uint8)
    suffixes = ("png", "bmp", "gif", "tif", "pgm", "PNG")
    for suffix in suffixes:
        (tmp_path / suffix).mkdir()
        Image.fromarray(pixels).save(tmp_path / suffix / f"0.{suffix}")
    for suffix in ("jpg", "jpeg", "webp"):
        picture(tmp_path / suffix / f"0.{suffix}", 77, (6, 5), "RGB" if suffix == "webp" else "L")
    source = image_folder(tmp_path)
    for suffix in suffixes:
        image = source.train_images[source.train_labels == source.classes.index(suffix)]
        assert np.array_equal(image[0, 0].numpy(), pixels), suffix
    assert len(source.classes) == 9


def test_colour(tmp_path):
    for name in ("a", "b"):
        picture(tmp_path / name / "0.png", (200, 100, 50), mode="RGB")
    assert image_folder(tmp_path, grey=False).train_images[0, :, 0, 0].tolist() == [200, 100, 50]
    grey = image_folder(tmp_path, grey=True).train_images
    assert grey.shape == (2, 1, 3, 4)
    assert grey[0, 0, 0, 0] == round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)  # ITU-R 601 luma


@pytest.mark.parametrize("validation", ["val", "validation"])
def test_folders_for_splits(tmp_path, validation):
    for value, name in ((1, "train/a/0.png"), (2, "train/b/0.png"), (3, "test/b/0.png"), (4, f"{validation}/a/0.png")):
        picture(tmp_path / name, value)
    source = image_folder(tmp_path)
    got = {}
    for split in ("train", "test", "validation"):
        images, labels = getattr(source, f"{split}_images"), getattr(source, f"{split}_labels")
        got[split] = (images[:, 0, 0, 0].tolist(), labels.tolist())
    assert got == {"train": ([1, 2], [0, 1]), "test": ([3], [1]), "validation": ([4], [0])}


def test_sizes_that_differ_are_named_with_both_files(two_classes):
    picture(two_classes / "b/odd.png", size=(7, 5))
    with pytest.raises(DataError, match=r"odd\.png is 7 x 5 pixels .*x\.bmp is 4 x 3\."):
        image_folder(two_classes)


def test_a_test_image_of_another_size_is_named(tmp_path):
    for name in ("train/a/0.png", "train/b/0.png"):
        picture(tmp_path / name)
    picture(tmp_path / "test/a/0.png", size=(4, 4))
    with pytest.raises(DataError, match=r"test/a/0\.png is 4 x 4"):
        image_folder(tmp_path)


def test_unreadable_and_truncated_images_are_named(two_classes):
    broken = two_classes / "a/broken.png"
    broken.write_text("no image")
    with pytest.raises(DataError, match=r"broken\.png cannot be read as an image"):
        image_folder(two_classes)
    noise = np.random.default_rng(0).integers(0, 256, (3, 4)).astype(np.uint8)
    Image.fromarray(noise).save(broken)
    broken.write_bytes(broken.read_bytes()[:50])
    with pytest.raises(DataError, match=r"broken\.png cannot be read as an image"):
        image_folder(two_classes)


def test_pictures_of_several_sizes_are_resized_where_that_is_asked_for(two_classes):
    picture(two_classes / "b/odd.png", 50, size=(7, 5))
    with pytest.raises(DataError, match=r"'data\.size=\[3,4\]' \(height, width\)"):
        image_folder(two_classes)
    for size, shape in (([3, 4], (1, 3, 4)), (6, (1, 6, 6))):
        source = image_folder(two_classes, size=size)
        assert source.train_images.shape == (5, *shape)
        assert source.train_images[:, 0, 1, 1].tolist() == [30, 40, 20, 10, 50]
    square = two_classes / "square"
    for name in ("a/0", "a/1", "b/0"):
        picture(square / f"{name}.png", size=(4, 4))
    picture(square / "b/1.png", size=(8, 8))
    with pytest.raises(DataError, match=r"Set data\.size=4 "):
        image_folder(square)
    assert image_folder(square, size=4).train_images.shape == (4, 1, 4, 4)


def test_folders_inside_class_folders_are_read_and_files_that_are_not_are_counted(two_classes, caplog):
    """As torchvision's ImageFolder: the class is the uppermost folder. What is left out is said, with a name."""
    for value, name in ((60, "a/deep/er/0.png"), (50, "a/deep/0.png"), (1, "loose.png")):
        picture(two_classes / name, value)
    for name in ("a/notes.txt", "b/deep.heic", "a/deep/list.csv", "a/.hidden"):
        (two_classes / name).parent.mkdir(exist_ok=True)
        (two_classes / name).write_text("no image")
    (two_classes / "b/back").symlink_to(two_classes / "b")  # without end, if it was followed again and again
    source = image_folder(two_classes)
    assert source.train_images[:, 0, 0, 0].tolist() == [50, 60, 30, 40, 20, 10]
    assert source.train_labels.tolist() == [0, 0, 0, 0, 1, 1]
    said = caplog.text
    assert "3 files are not read, as no images by their name" in said
    assert "1 files are not read, as they lie in no class's folder: loose.png" in said
    assert "2 files are read from folders inside the classes' folders: a/deep/0.png and others" in said


def test_without_labels_images_may_lie_anywhere(tmp_path):
    """What the message about one class, and that about no folders, advise works."""
    for value, name in ((3, "2.png"), (1, "1.png"), (2, "sub/9.png")):
        picture(tmp_path / name, value)
    with pytest.raises(DataError, match=r"same label, 'sub'.*data\.labels=false"):
        image_folder(tmp_path).check_trainable()
    source = image_folder(tmp_path, labels=False)
    assert source.train_images[:, 0, 0, 0].tolist() == [1, 3, 2]
    assert source.train_labels is None
    assert source.classes == ()
    (tmp_path / "sub/9.png").unlink()
    (tmp_path / "sub").rmdir()
    with pytest.raises(DataError, match=r"has no folders in it.*data\.labels=false"):
        image_folder(tmp_path)
    assert len(image_folder(tmp_path, labels=False).train_images) == 2
    for split, value in (("train", 8), ("test", 9)):
        picture(tmp_path / "split" / split / "0.png", value)
    source = image_folder(tmp_path / "split", labels=False)
    assert (source.train_images[0, 0, 0, 0], source.test_images[0, 0, 0, 0]) == (8, 9)
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="none has no images in it"):
        image_folder(tmp_path / "none", labels=False)


@pytest.mark.parametrize(("key", "value"), [("grey", "yes"), ("labels", None), ("grey", 1)])
def test_switches_are_true_or_false(two_classes, key, value):
    with pytest.raises(SettingError, match=rf"data\.{key}={value}: use true or false"):
        image_folder(two_classes, **{key: value})


def test_an_empty_class_is_named(two_classes):
    (two_classes / "c").mkdir()
    with pytest.raises(DataError, match=r"/c has no images"):
        image_folder(two_classes)


def test_folders_without_images(tmp_path):
    with pytest.raises(DataError, match="has no folders in it"):
        image_folder(tmp_path)
    picture(tmp_path / "0.png")
    with pytest.raises(DataError, match="has no folders in it"):
        image_folder(tmp_path)
    (tmp_path / "train").mkdir()
    with pytest.raises(DataError, match=r"train has no class folders"):
        image_folder(tmp_path)


def test_one_class_only(tmp_path):
    picture(tmp_path / "only/0.png")
    with pytest.raises(DataError, match="same label, 'only'"):
        image_folder(tmp_path).check_trainable()


def test_a_class_that_is_tested_but_not_trained(tmp_path):
    for name in ("train/a/0.png", "train/b/0.png", "test/c/0.png"):
        picture(tmp_path / name)
    with pytest.raises(DataError, match=r"no folder 'c' in .*train"):
        image_folder(tmp_path)


@pytest.mark.parametrize("names", [("test", "a"), ("train", "more"), ("train", "val", "validation"), ("test",)])
def test_split_folders_that_do_not_make_sense(tmp_path, names):
    for name in names:
        picture(tmp_path / name / "a/0.png")
    with pytest.raises(DataError, match="train must be"):
        image_folder(tmp_path)


def test_no_folder(tmp_path):
    with pytest.raises(DataError, match=r"nowhere is not a folder.*data\.path"):
        image_folder(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"data\.path is not set"):
        image_folder(None)
