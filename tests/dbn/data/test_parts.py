"""The images that a trained model is applied to: all of a source in its order, or the very ones of a run's split."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from dbn.data import Source, StreamedSource, digits, easypr, image_folder, load_data, memmap, olivetti
from dbn.data.parts import Part, parts_of
from dbn.errors import DataError, SettingError

PIXELS = torch.arange(40, dtype=torch.uint8).reshape(40, 1, 1, 1).expand(40, 1, 2, 2).contiguous()
LABELS = torch.arange(40) % 4


def streamed(folder: Path) -> StreamedSource:
    np.save(folder / "images.npy", PIXELS[:, 0].numpy())
    np.save(folder / "labels.npy", LABELS.numpy())
    return memmap(folder, maximum=40)


def in_memory(folder: Path) -> Source:
    return Source("mine", PIXELS, LABELS, maximum=40, names=tuple(f"image{k}" for k in range(40)))


def first_pixels(part: Part) -> list[int]:
    return part.images.take(torch.arange(len(part))).pixels[:, 0].int().tolist()


@pytest.mark.parametrize("make", [in_memory, streamed])
def test_all_images_in_the_order_of_the_source(make: Callable[[Path], Source], tmp_path: Path) -> None:
    (part,) = parts_of(make(tmp_path))
    assert first_pixels(part) == part.index.tolist() == list(range(40))
    assert part.in_order
    assert part.images.labels is not None
    assert torch.equal(part.images.labels, LABELS)


@pytest.mark.parametrize("make", [in_memory, streamed])
@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_split_is_that_of_a_run(make: Callable[[Path], Source], split: str, tmp_path: Path) -> None:
    """The images that load_data gives, in its order, and each with its number in the source."""
    source = make(tmp_path)
    data = load_data(source, split_seed=5, validation=8, test=0.25)
    (part,) = parts_of(source, split, split_seed=5, validation=8, test=0.25)
    expected = getattr(data, split)
    assert len(part) == {"train": 22, "validation": 8, "test": 10}[split]
    assert torch.equal(part.images.take(torch.arange(len(part))).features() * expected.factor, expected.features())
    assert torch.equal(part.images.labels, expected.labels)  # type: ignore[arg-type]
    assert first_pixels(part) == part.index.tolist()
    assert part.names == (tuple(f"image{k}" for k in part.index) if source.name == "mine" else ())
    assert part.in_order == bool((part.index.diff() > 0).all())
    if split == "test":
        assert data.test_index is not None
        assert torch.equal(part.index, data.test_index)


@pytest.mark.parametrize("name", ["easypr", "olivetti"])
def test_groups_stay_whole_as_in_a_run(name: str, data_root: Path) -> None:
    source = easypr(data_root) if name == "easypr" else olivetti(data_root)
    options = {"validation": 0.1, "test": 0.2}
    data = load_data(source, split_seed=1, **options)  # type: ignore[arg-type]
    for split in ("train", "validation", "test"):
        (part,) = parts_of(source, split, split_seed=1, **options)  # type: ignore[arg-type]
        pixels = part.images.take(torch.arange(len(part))).pixels
        assert torch.equal(pixels, getattr(data, split).pixels)
        assert torch.equal(source.train_images[part.index].flatten(1), pixels)


def test_what_the_source_has_itself() -> None:
    """It is used as it is: no seed decides it, and with all of it there is nothing left to hold out."""
    test = PIXELS[:3] + 1
    source = Source("mine", PIXELS, LABELS, test, LABELS[:3], maximum=40, test_names=("a", "b", "c"))
    parts = parts_of(source)
    assert [(part.name, len(part)) for part in parts] == [("train", 40), ("test", 3)]
    (part,) = parts_of(source, "test")
    assert (part.names, part.index.tolist()) == (("a", "b", "c"), [0, 1, 2])
    assert len(parts_of(source, "train", split_seed=0, validation=0)[0]) == 40
    whole = Source("mine", PIXELS, None, PIXELS, None, PIXELS[:5], None)
    assert [len(parts_of(whole, split)[0]) for split in ("train", "validation", "test")] == [40, 5, 40]
    assert [part.name for part in parts_of(whole)] == ["train", "validation", "test"]


def test_a_split_that_depends_on_an_unknown_seed_is_refused() -> None:
    with pytest.raises(SettingError, match=r"split=test.*data\.split_seed=0"):
        parts_of(digits(), "test")
    with pytest.raises(SettingError, match=r"split=test: data=digits has no test images with data\.test=0"):
        parts_of(digits(), "test", split_seed=0, test=0)


def test_anything_that_can_be_read_will_do(tmp_path: Path) -> None:
    """A single image, one class, a class without image, missing values; to train on it is refused."""
    one = Source("one", PIXELS[:1], LABELS[:1], maximum=40)
    some = Source("some", PIXELS, LABELS * 0 + 1, classes=("a", "b", "c"), maximum=40)
    holes = Source("holes", torch.full((2, 1, 2, 2), torch.nan))
    for source, n in ((one, 1), (some, 40), (holes, 2)):
        (part,) = parts_of(source)
        assert len(part) == n
        with pytest.raises(DataError):
            load_data(source, validation=0, test=0)
        with pytest.raises(DataError):
            parts_of(source, "train", split_seed=0, validation=0, test=0)
    np.save(tmp_path / "images.npy", PIXELS[:, 0].numpy())
    np.save(tmp_path / "labels.npy", np.full(40, 7))
    (part,) = parts_of(memmap(tmp_path))
    assert len(part) == 40
    with pytest.raises(DataError, match=r"labels\.npy: every image has the same label, 7"):
        load_data(memmap(tmp_path, maximum=40), validation=0, test=0)


def test_a_folder_of_one_class(tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "only").mkdir()
    Image.fromarray(PIXELS[0, 0].numpy()).save(tmp_path / "only" / "0.png")
    (part,) = parts_of(image_folder(tmp_path))
    assert part.names == ("only/0.png",)
