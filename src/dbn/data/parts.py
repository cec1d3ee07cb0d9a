"""Images that a trained model is applied to: all of a source, or those of one split of a run."""

from dataclasses import dataclass

import torch
from torch import Tensor

from dbn.data.images import Images, StoredImages
from dbn.data.source import Source
from dbn.data.split.source_splits import split_source
from dbn.data.streamed.load import split_streamed
from dbn.data.streamed.source import StreamedSource
from dbn.errors import SettingError

ALL = "all"
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class Part:
    """Images of a source, as stored.

    Attributes:
        name: ``train``, ``validation`` or ``test``: where the source has them, or the split they were held out for.
        images: without scaling, in the order in which a run computes them.
        index: ``(n,)`` int64, number of each image in its source, from 0: among those that the source itself has for
            validation or test, otherwise among its training images.
        names: name of each image, such as its file's; empty: images have none.
        in_order: ``images`` are in the order of ``index``.
    """

    name: str
    images: StoredImages
    index: Tensor
    names: tuple[str, ...] = ()
    in_order: bool = True

    def __len__(self) -> int:
        """Number of images."""
        return len(self.images)


def parts_of(
    source: Source | StreamedSource,
    split: str = ALL,
    *,
    split_seed: int | None = None,
    validation: int | float | None = 0.2,
    test: int | float = 0.2,
) -> list[Part]:
    """The images of a source in its order, or those of one split.

    Nothing is asked of all images of a source but that they can be read: a single one will do, or one class, or none.

    Args:
        source: what a reader of files returned.
        split: ``all``: the training, validation and test images that the source has, in this order; ``train``,
            ``validation`` or ``test``: the images of that split, the same that :func:`dbn.data.load_data` makes.
        split_seed: as in :func:`dbn.data.load_data`; None: no images can be held out.
        validation: as in :func:`dbn.data.load_data`.
        test: likewise.

    Returns:
        The parts that have images; one for a split.

    Raises:
        SettingError: the split depends on a seed, and there is none; it has no images; or as
            :func:`dbn.data.load_data`.
        DataError: as :func:`dbn.data.load_data`, for a split.
    """
    own = _own_parts(source)
    if split == ALL:
        return list(own.values())
    if split in own and split != "train":
        return [own[split]]
    if split == "train" and {"validation", "test"} <= own.keys():
        return [own[split]]
    if split_seed is None:
        raise SettingError(
            f"split={split}: which images of data={source.name} these are depends on the seed of the split, and there "
            "is no single run to take it from. Give data.split_seed=0, or another one."
        )
    source.check_trainable()
    drawn = _drawn_parts(source, split_seed, validation, test)[split]
    if not len(drawn):
        raise SettingError(f"split={split}: data={source.name} has no {split} images with data.{split}=0.")
    return [drawn]


def _own_parts(source: Source | StreamedSource) -> dict[str, Part]:
    """What the source has itself."""
    given: dict[str, tuple[StoredImages | None, tuple[str, ...]]]
    if isinstance(source, StreamedSource):
        given = {"train": (source.train, ()), "validation": (source.validation, ()), "test": (source.test, ())}
    else:
        given = {
            "train": (_flat(source.train_images, source.train_labels), source.names),
            "validation": (_flat(source.validation_images, source.validation_labels), source.validation_names),
            "test": (_flat(source.test_images, source.test_labels), source.test_names),
        }
    return {
        name: Part(name, images, torch.arange(len(images)), names)
        for name, (images, names) in given.items()
        if images is not None
    }


def _flat(images: Tensor | None, labels: Tensor | None) -> Images | None:
    return None if images is None else Images.of(images.flatten(1).contiguous(), labels)


def _drawn_parts(
    source: Source | StreamedSource, split_seed: int, validation: int | float | None, test: int | float
) -> dict[str, Part]:
    """What is held out of the training images, and what remains of them."""
    if isinstance(source, StreamedSource):
        streamed = split_streamed(source, split_seed, validation=validation, test=test)
        found = {"train": Part("train", streamed.train, streamed.train.rows.row_of(torch.arange(len(streamed.train))))}
        for name, images, index in (
            ("validation", streamed.validation, streamed.validation_index),
            ("test", streamed.test, streamed.test_index),
        ):
            if index is not None:
                found[name] = Part(name, images, index, in_order=False)
        return found
    splits = split_source(source, split_seed, validation=validation, test=test)
    pixels = source.train_images.flatten(1)
    return {
        name: Part(
            name,
            Images.of(pixels[split.index], split.labels),
            split.index,
            tuple(source.names[k] for k in split.index.tolist()) if source.names else (),
            in_order=False,
        )
        for name, split in (("train", splits.train), ("validation", splits.validation), ("test", splits.test))
        if split is not None
    }
