"""The images, or rows of a table, that a configuration asks a trained model to be applied to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import hydra

from dbn.data.parts import Part, parts_of
from dbn.data.tables.columns import Columns
from dbn.data.tables.parts import parts_of_table
from dbn.data.tables.source import TableSource
from dbn.errors import SettingError
from dbn.pretraining.check_config import check_data
from dbn.use.trained_run import TrainedRun

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class DataToUse:
    """Images to apply a model to.

    Attributes:
        name: of the data.
        parts: the images, in the order of their source.
        classes: names of the classes; empty where there are no labels.
        targets: names of the values to predict, which are then the labels, NaN where not known; empty without these.
        frame: the table whose rows are the images, all of them; None: these are images.
    """

    name: str
    parts: Sequence[Part]
    classes: tuple[str, ...]
    targets: tuple[str, ...] = ()
    frame: "pd.DataFrame | None" = None

    def __len__(self) -> int:
        """Number of images."""
        return sum(map(len, self.parts))

    @property
    def noun(self) -> str:
        """What there are several of."""
        return "images" if self.frame is None else "rows"

    @property
    def has_names(self) -> bool:
        """Whether some images have names."""
        return any(part.names for part in self.parts)

    @property
    def has_labels(self) -> bool:
        """Whether some images have labels."""
        return any(part.images.labels is not None for part in self.parts)


def data_to_use(
    given: Mapping[str, Any] | None, split: str, runs: Sequence[TrainedRun], columns: Columns | None
) -> DataToUse:
    """Read the images, or the rows of a table.

    Args:
        given: the group ``data`` of the command; None: that of the run.
        split: see :func:`dbn.data.parts.parts_of`.
        runs: of the models; if they have different seeds, a split has to be one that no seed decides.
        columns: of the models, which a table is read by; None: they take images.

    Raises:
        SettingError: an invalid setting, or no data are given and none are known; or a table for a model of images, or
            the other way round.
        DataError: they cannot be read.
    """
    data = runs[0].data() if given is None else given
    check_data(data)
    source = hydra.utils.instantiate(data["source"])
    own = None if given is None else given.get("split_seed")
    seeds = {run.split_seed for run in runs} if own is None else {own}
    split_seed = seeds.pop() if len(seeds) == 1 else None
    options = {name: data[name] for name in ("validation", "test") if name in data}
    if isinstance(source, TableSource):
        if columns is None:
            raise SettingError(f"data={source.name}: this is a table, and the model takes images. Give images.")
        found = parts_of_table(source, columns, split, split_seed=split_seed, **options)
        return DataToUse(source.name, [found.part], found.classes, found.targets, found.frame)
    if columns is not None:
        raise SettingError(
            f"data={source.name}: these are images, and the model takes a table with the columns "
            f"{', '.join(columns.names)}. Use data=table data.path=..."
        )
    parts = parts_of(source, split, split_seed=split_seed, **options)
    return DataToUse(source.name, parts, source.classes)
