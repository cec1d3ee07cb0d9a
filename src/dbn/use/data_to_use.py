"""The images that a configuration asks a trained model to be applied to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import hydra

from dbn.data.parts import Part, parts_of
from dbn.data.streamed.source import StreamedSource
from dbn.pretraining.check_config import check_data
from dbn.use.trained_run import TrainedRun


@dataclass(frozen=True, eq=False)
class DataToUse:
    """Images to apply a model to.

    Attributes:
        name: of the data.
        parts: the images, in the order of their source.
        classes: names of the classes; empty where there are no labels.
        shape: channels, height, width.
    """

    name: str
    parts: Sequence[Part]
    classes: tuple[str, ...]
    shape: tuple[int, int, int]

    def __len__(self) -> int:
        """Number of images."""
        return sum(map(len, self.parts))

    @property
    def has_names(self) -> bool:
        """Whether some images have names."""
        return any(part.names for part in self.parts)

    @property
    def has_labels(self) -> bool:
        """Whether some images have labels."""
        return any(part.images.labels is not None for part in self.parts)


def data_to_use(given: Mapping[str, Any] | None, split: str, runs: Sequence[TrainedRun]) -> DataToUse:
    """Read the images.

    Args:
        given: the group ``data`` of the command; None: that of the run.
        split: see :func:`dbn.data.parts.parts_of`.
        runs: of the models; if they have different seeds, a split has to be one that no seed decides.

    Raises:
        SettingError: an invalid setting, or no data are given and none are known.
        DataError: they cannot be read.
    """
    data = runs[0].data() if given is None else given
    check_data(data)
    source = hydra.utils.instantiate(data["source"])
    own = None if given is None else given.get("split_seed")
    seeds = {run.split_seed for run in runs} if own is None else {own}
    split_seed = seeds.pop() if len(seeds) == 1 else None
    options = {name: data[name] for name in ("validation", "test") if name in data}
    parts = parts_of(source, split, split_seed=split_seed, **options)
    shape = source.shape if isinstance(source, StreamedSource) else tuple(source.train_images.shape[1:])
    return DataToUse(source.name, parts, source.classes, shape)
