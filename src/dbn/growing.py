"""A stack on its way up: its trained RBMs, and the images as its top layer sees them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dbn.augment import Augment
from dbn.data import DataSet
from dbn.data.images import Images
from dbn.processes import is_first, wait_for_all
from dbn.rbm import RBM
from dbn.representations import Representations, propagate, same_windows
from dbn.stack import DBN
from dbn.streams import stream
from dbn.tracking import Tracker
from dbn.training import LayerSettings
from dbn.units import make_units


@dataclass(frozen=True)
class Place:
    """A stack's seed, and where what belongs to it goes.

    Attributes:
        seed: the run's seed.
        directory: where finished layers are kept; None keeps nothing.
        tracker: where metrics go; None keeps none.
    """

    seed: int = 0
    directory: Path | None = None
    tracker: Tracker | None = None


class GrowingStack:
    """A stack whose first layers are trained.

    Args:
        place: seed and directory.
        data: images.
        layers: settings of each RBM, from the data upwards.
        visible: type of the visible units of the first RBM.
        representations: of lower layers, see :class:`Representations`.
        augment: deforms the images that layers train on; None leaves them.

    Attributes:
        rbms: the trained layers.
        train: training images as the next layer sees them, not deformed.
        validation: validation images likewise.
    """

    def __init__(
        self,
        place: Place,
        data: DataSet,
        layers: Sequence[LayerSettings],
        visible: str,
        representations: str,
        augment: Augment | None = None,
    ) -> None:
        self.place = place
        self.layers = layers
        self.kinds = [visible, *(layer.hidden for layer in layers)]
        self.sizes = [data.n_features, *(layer.n_hidden for layer in layers)]
        self.augment = augment
        self.shape = data.shape
        self.store = Representations("compute" if augment else representations, place.directory)
        self.rbms: list[RBM] = []
        self.train: Images = same_windows(data.train, self.sizes[1:-1])
        self.images = self.train
        self.validation = data.validation
        files = [layer_file(place.directory, number) for number in range(1, len(layers) + 1)] if place.directory else []
        self.files = dict(enumerate(files, start=1))
        self.last_untrained = max((n for n in range(1, len(layers) + 1) if not self.is_trained(n)), default=0)

    @property
    def seed(self) -> int:
        """The run's seed."""
        return self.place.seed

    @property
    def to_load(self) -> Images:
        """What blocks are loaded from: the images themselves where they are deformed first."""
        return self.train if self.augment is None else self.images

    def is_trained(self, number: int) -> bool:
        """Whether layer ``number`` is kept in its file."""
        return number in self.files and self.files[number].is_file()

    def new_rbm(self, number: int) -> RBM:
        """Layer ``number``, untrained."""
        settings = self.layers[number - 1]
        rbm = RBM(
            make_units(self.kinds[number - 1], self.sizes[number - 1]),
            make_units(self.kinds[number], self.sizes[number]),
            weight_std=settings.weight_std,
            generator=stream(self.seed, "init", number),
        )
        if settings.bias_from_data:
            rbm.visible.initialise_bias(self.train.mean())
        return rbm

    def add(self, rbm: RBM, number: int, facts: dict[str, Any]) -> None:
        """Take a trained layer in, and keep it in its file with ``facts`` on its training."""
        if number in self.files and not self.is_trained(number) and is_first():
            DBN([rbm]).save(self.files[number], facts)
        wait_for_all()
        self.rbms.append(rbm)

    def go_up(self, number: int) -> None:
        """From layer ``number``, taken from its file if need be, to the images as the next one sees them."""
        if len(self.rbms) < number:
            self.rbms.append(DBN.load(self.files[number])[0])
        if number < self.last_untrained:
            rbm = self.rbms[-1]
            self.train, self.validation = self.store.above(rbm, self.train, number), propagate(rbm, self.validation)


def layer_file(directory: Path, number: int) -> Path:
    """Where layer ``number`` is kept once it is trained."""
    return directory / "checkpoints" / f"layer{number}.safetensors"
