"""From a source to a data set: split, flatten, scale."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from dbn.data.images import DataSet, Images, rows_of
from dbn.data.selected_images import SelectedImages
from dbn.data.source import Source
from dbn.data.split.hold_out import offset_and_factor
from dbn.data.split.source_splits import Split, split_source
from dbn.data.streamed.load import load_streamed
from dbn.data.streamed.source import StreamedSource
from dbn.data.tables.load import load_tables
from dbn.data.tables.source import TableSource
from dbn.data.value_of_one import Range, value_of_one
from dbn.errors import DataError


def load_data(
    source: Source | StreamedSource | TableSource,
    *,
    split_seed: int = 0,
    validation: int | float | None = 0.2,
    test: int | float = 0.2,
    standardise: bool = False,
) -> DataSet:
    """Split a source into training, validation and test images, and determine their scaling.

    With labels, splits are stratified by class. The held-out images depend on ``split_seed`` only, and are in random
    order. Sizes follow scikit-learn: a fraction is rounded up, test images are held out first, then validation images
    from the rest. Groups of images are never divided, and sizes are approximate; if groups are copies of a picture,
    sizes count pictures, and each is held out once.

    Args:
        source: what a reader of files returned; the training images of a :class:`StreamedSource` stay in their file; of
            a table see :func:`dbn.data.tables.load.load_tables`.
        split_seed: seed of the stream ``split``.
        validation: number (int) or fraction (float) of validation images; 0: none. Ignored (pass None) if the source
            has validation images.
        test: number or fraction of test images; 0: none. Ignored if the source has test images.
        standardise: give every feature mean 0 and standard deviation 1 over the training images, see
            :func:`dbn.data.split.hold_out.standardisation`; values may then have any range. Otherwise features are
            pixels divided by ``source.maximum``, in [0, 1], and counts as they are.

    Example:
        >>> from dbn.data import digits, load_data
        >>> data = load_data(digits(), validation=200)
        >>> len(data.train), len(data.validation), data.train.features().max()
        (1237, 200, tensor(1.))

    Raises:
        SettingError: ``validation`` or ``test`` is invalid, or leaves no training images.
        DataError: ``source`` is no source; a class has too few images to be in every split; or values lie outside 0 to
            ``source.maximum``, or have an ambiguous range, see :func:`dbn.data.value_of_one.value_of_one`.
    """
    return load_splits(source, [split_seed], validation=validation, test=test, standardise=standardise)[0]


def load_splits(
    source: Source | StreamedSource | TableSource,
    split_seeds: Sequence[int],
    *,
    validation: int | float | None = 0.2,
    test: int | float = 0.2,
    standardise: bool = False,
) -> list[DataSet]:
    """Split a source in several ways, each as :func:`load_data` does, with the same errors.

    Data sets share the pixels of a source in memory. Equal seeds have the same data set.

    Args:
        source: what a reader of files returned.
        split_seeds: seed of each data set, at least one.
        validation: as in :func:`load_data`.
        test: as in :func:`load_data`.
        standardise: as in :func:`load_data`; the statistics are those of each split's own training images.
    """
    if not isinstance(source, (Source, StreamedSource, TableSource)):
        raise DataError(
            f"source is a {type(source).__name__}: load_data takes what a reader of files returns, such as digits(), "
            "or Source('mine', images, labels, maximum=255) with images (n, channels, height, width) in a tensor."
        )
    if not isinstance(source, TableSource):  # whose rows are checked when they are encoded
        source.check_trainable()
    options = {"validation": validation, "test": test, "standardise": standardise}
    seeds = dict.fromkeys(split_seeds)
    if isinstance(source, StreamedSource):
        made = {seed: load_streamed(source, split_seed=seed, **options) for seed in seeds}  # type: ignore[arg-type]
    elif isinstance(source, TableSource):
        made = load_tables(source, list(seeds), validation=validation, test=test, standardise=standardise)
    else:
        made = _load_from_memory(source, list(seeds), validation, test, standardise)
    return [made[seed] for seed in split_seeds]


def _load_from_memory(
    source: Source, split_seeds: list[int], validation: int | float | None, test: int | float, standardise: bool
) -> dict[int, DataSet]:
    """The data set of each seed; of several, the images are selections from the same pixels."""
    seen = Range.of([source.train_images, *source.held_out])
    maximum = source.maximum
    if not source.counts:
        maximum = value_of_one(seen, maximum, data_name=source.name, standardise=standardise)
    elif not standardise:
        maximum = 1.0
    pixels = source.train_images.flatten(1).contiguous()
    given = _given(source.validation_images, source.validation_labels)
    tested = _given(source.test_images, source.test_labels)
    choose: Callable[[Tensor, Split, Tensor | None], Images | SelectedImages]
    choose = _copied if len(split_seeds) == 1 else _selected

    def of_split(split: Split | None, own: Images | None) -> Images | SelectedImages:
        if split is not None:
            return choose(pixels, split, source.train_weights)
        assert own is not None  # the source gives the images of this split
        return own

    channels, height, width = source.train_images.shape[1:]
    data = {}
    for seed in split_seeds:
        splits = split_source(source, seed, validation=validation, test=test)
        held_out, names = splits.test, source.test_names
        if held_out is not None:
            names = tuple(source.names[k] for k in held_out.index.tolist()) if source.names else ()
        stored = choose(pixels, splits.train, source.train_weights)
        offset, factor = offset_and_factor(stored, maximum, standardise=standardise)
        data[seed] = DataSet(
            name=source.name,
            train=replace(stored, offset=offset, factor=factor),
            validation=replace(of_split(splits.validation, given), offset=offset, factor=factor),
            test=replace(of_split(held_out, tested), offset=offset, factor=factor),
            shape=(channels, height, width),
            classes=source.classes,
            maximum=seen.magnitude if maximum is None or source.counts else maximum,
            test_index=None if held_out is None else held_out.index,
            test_names=names,
            feature_names=source.feature_names,
        )
    return data


def _given(images: Tensor | None, labels: Tensor | None) -> Images | None:
    """Images that the source gives for a split, without scaling; None if it gives none."""
    return None if images is None else Images.of(images.flatten(1).contiguous(), labels)


def _copied(pixels: Tensor, split: Split, weights: Tensor | None) -> Images:
    """Copies of the images of a split, without scaling; ``pixels`` themselves if these are all images in order."""
    whole = len(split) == len(pixels) and torch.equal(split.index, torch.arange(len(pixels)))
    images = Images.of(pixels if whole else pixels[split.index], split.labels)
    return images if weights is None else images.weighted(weights[split.index])


def _selected(pixels: Tensor, split: Split, weights: Tensor | None) -> SelectedImages:
    """The images of a split, as positions in ``pixels``, without scaling."""
    return SelectedImages(
        pixels, split.index, split.labels, torch.tensor(0.0), torch.tensor(1.0), rows_of(weights, split.index)
    )
