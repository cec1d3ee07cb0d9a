"""A stack on its way up: its trained layers, and the images as its top layer sees them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dbn.data import DataSet
from dbn.data.augment import Augment
from dbn.data.images import ImageSet
from dbn.fitting.processes import is_first, wait_for_all
from dbn.models.dbn import DBN
from dbn.models.layer import Layer
from dbn.pretraining.method import PretrainingMethod
from dbn.pretraining.representations import Representations, propagate, same_windows
from dbn.pretraining.settings import LayerSettings
from dbn.random.streams import stream
from dbn.runs.tracking import Tracker


@dataclass(frozen=True)
class StackRun:
    """Seed, output directory and tracker of one stack.

    Attributes:
        seed: the run's seed.
        directory: where finished layers are kept; None keeps nothing.
        tracker: where metrics go; None keeps none.
    """

    seed: int = 0
    directory: Path | None = None
    tracker: Tracker | None = None


@dataclass(frozen=True)
class Pretrained:
    """A pretrained stack, and facts on the training of each layer.

    Attributes:
        stack: the stack.
        facts: for each layer ``seconds``, those before an interruption included, a stack's share of them;
            ``precision`` of its products; ``flops``; and, if several stacks trained together, their seeds as
            ``together``.
    """

    stack: DBN
    facts: list[dict[str, Any]]


class GrowingStack:
    """A stack whose first layers are trained.

    Args:
        run: seed, directory and tracker.
        method: how layers are pretrained.
        data: images.
        settings: of each layer, from the data upwards.
        visible: type of the visible units of the first layer.
        representations: of lower layers, see :class:`Representations`.
        augment: deforms the images that layers train on; None leaves them.

    Attributes:
        layers: the trained layers.
        facts: on their training, see :class:`Pretrained`.
        train: training images as the next layer sees them, not deformed.
        validation: validation images likewise.
    """

    def __init__(
        self,
        run: StackRun,
        method: PretrainingMethod,
        data: DataSet,
        settings: Sequence[LayerSettings],
        visible: str | Mapping[str, Any],
        representations: str,
        augment: Augment | None = None,
    ) -> None:
        self.run = run
        self.seed = run.seed
        self.method = method
        self.settings = settings
        self.visible = visible
        self.augment = augment
        self.scaling = data.scaling
        self.layers: list[Layer] = []
        self.facts: list[dict[str, Any]] = []
        self.store = Representations("compute" if augment else representations, run.directory)
        shapes = [layer.output_shape for layer in untrained_layers(method, settings, visible, data.shape)]
        self.train: ImageSet = same_windows(data.train, [math.prod(shape) for shape in shapes[:-1]])
        self.images = self.train
        self.validation: ImageSet = data.validation
        files = [layer_file(run.directory, k + 1) for k in range(len(settings))] if run.directory else []
        self.files = dict(enumerate(files, start=1))
        self.last_untrained = max((n for n in range(1, len(settings) + 1) if not self.is_trained(n)), default=0)

    @property
    def to_load(self) -> ImageSet:
        """What blocks are loaded from: the images themselves where they are deformed first."""
        return self.train if self.augment is None else self.images

    def is_trained(self, number: int) -> bool:
        """Whether layer ``number`` is kept in its file."""
        return number in self.files and self.files[number].is_file()

    def new_layer(self, number: int) -> Layer:
        """Layer ``number``, untrained."""
        below = self.layers[number - 2] if number > 1 else None
        return self.method.new_layer(
            self.visible if below is None else below.output_type,
            self.scaling.shape if below is None else below.output_shape,
            self.settings[number - 1],
            generator=stream(self.seed, "init", number),
            images=self.train,
        )

    def add(self, layer: Layer, number: int, facts: dict[str, Any]) -> None:
        """Take a trained layer in, and keep it in its file with ``facts`` on its training."""
        if number in self.files and not self.is_trained(number) and is_first():
            DBN([layer]).save(self.files[number], facts)
        wait_for_all()
        self.layers.append(layer)
        self.facts.append(facts)

    def propagate_images(self, number: int) -> None:
        """From layer ``number``, taken from its file if need be, to the images as the next one sees them."""
        if len(self.layers) < number:
            self.layers.append(DBN.load(self.files[number])[0])
            self.facts.append(DBN.describe(self.files[number])["description"])
        if number < self.last_untrained:
            layer = self.layers[-1]
            self.train, self.validation = self.store.above(layer, self.train, number), propagate(layer, self.validation)

    def finished(self) -> Pretrained:
        """The whole stack; representations on disk are deleted."""
        self.store.clear()
        return Pretrained(DBN(self.layers, self.scaling), self.facts)


def layer_file(directory: Path, number: int) -> Path:
    """Where layer ``number`` is kept once it is trained."""
    return directory / "checkpoints" / f"layer{number}.safetensors"


def untrained_layers(
    method: PretrainingMethod,
    settings: Sequence[LayerSettings],
    visible: str | Mapping[str, Any],
    shape: Sequence[int],
) -> list[Layer]:
    """Layers without weights, for their shapes and types.

    Args:
        method: makes them.
        settings: of each layer, from the data upwards.
        visible: type of the visible units.
        shape: of an image.
    """
    layers: list[Layer] = []
    for own in settings:
        layer = method.new_layer(visible, shape, own)
        layers.append(layer)
        visible, shape = layer.output_type, layer.output_shape
    return layers
