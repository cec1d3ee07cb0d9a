"""A stack during pretraining: its trained layers, and the images as inputs of the next layer."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dbn.data import DataSet
from dbn.data.augment import Augment
from dbn.data.image_weights import relative
from dbn.data.images import ImageSet
from dbn.errors import SettingError
from dbn.fitting.processes import wait_for_all
from dbn.fitting.ranks import is_first
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
        directory: folder for finished layers; None: they are not kept.
        tracker: receiver of the metrics; None: they are not kept.
        start: stack whose weights a method starts from that goes on from one; None: it starts from new ones.
    """

    seed: int = 0
    directory: Path | None = None
    tracker: Tracker | None = None
    start: DBN | None = None


@dataclass(frozen=True)
class Pretrained:
    """A pretrained stack, and facts on the training of each layer.

    Attributes:
        stack: the stack.
        facts: for each layer ``seconds`` (including time before interruptions, divided by the number of stacks that
            trained together), ``precision`` of its products and what it was ``precision_decided_by``, ``flops``,
            ``epochs``, ``training`` (how many epochs it trained, and the ``reason`` why it ended), ``warnings``, and,
            if several stacks trained together, their seeds as ``together``. Of layers that were trained jointly the
            first has the seconds, operations, epochs and warnings of all, the others none. Epochs and operations are
            those of the stack, also where others that it trained with went on.
    """

    stack: DBN
    facts: list[dict[str, Any]]


class GrowingStack:
    """A stack whose lower layers are trained.

    It grows in stages, numbered from 1: by one layer each, or, with a joint method, by all layers in a single one. A
    method may have a last stage, in which all layers, grown before, are trained as one.

    Args:
        run: seed, directory and tracker.
        method: pretraining method.
        data: images.
        settings: of each layer, from the data upwards.
        visible: type of the visible units of the first layer.
        representations: of lower layers, see :class:`Representations`.
        augment: deformation of the training images, or None.

    Attributes:
        layers: the trained layers.
        facts: on their training, see :class:`Pretrained`.
        train: training images as inputs of the next layer, without deformation.
        validation: validation images as inputs of the next layer.
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
        self.stages = stages_of(method, method.in_place(of_lowest(settings)))
        last = method.last_stage(settings)
        self.last = None if last is None else len(self.stages) + 1
        if last is not None:
            self.stages.append([last])
        self.visible = visible
        self.augment = augment
        self.scaling = data.scaling
        self.layers: list[Layer] = []
        self.facts: list[dict[str, Any]] = []
        self.finished_stages: set[int] = set()
        self.store = Representations("compute" if augment else representations, run.directory)
        shapes = [layer.output_shape for layer in untrained_layers(method, settings, visible, data.shape)]
        self.train: ImageSet = same_windows(relative(data.train), [math.prod(shape) for shape in shapes[:-1]])
        self.images = self.train
        self.validation: ImageSet = data.validation
        self.validation_images = self.validation
        numbers, self.files = range(1, len(self.stages) + 1), dict[int, Path]()
        if run.directory is not None:
            self.files = {n: run.directory / "checkpoints" / f"layer{n}.safetensors" for n in numbers}
        self.last_untrained = max((n for n in numbers if not self.is_trained(n)), default=0)

    @property
    def to_load(self) -> ImageSet:
        """Images to load blocks from: inputs of the next layer, or with augmentation the original images."""
        return self.train if self.augment is None else self.images

    def is_trained(self, number: int) -> bool:
        """Whether the file of stage ``number`` exists."""
        return number in self.files and self.files[number].is_file()

    def new_layers(self, number: int) -> list[Layer]:
        """The new layers of stage ``number``, with initial weights."""
        if number == self.last:
            return self.method.composed(self.layers)
        layers: list[Layer] = []
        for settings in self.stages[number - 1]:
            known = [*self.layers, *layers]
            below = known[-1] if known else None
            layer = self.method.new_layer(
                self.visible if below is None else below.output_type,
                self.scaling.shape if below is None else below.output_shape,
                settings,
                generator=stream(self.seed, "init", len(known) + 1),
                images=None if layers else self.train,
            )
            layers.append(layer)
        return self.method.starting_layers(layers, self.run.start)

    def add(self, layers: Sequence[Layer], number: int, facts: dict[str, Any]) -> None:
        """Append the trained layers of a stage, and write them to its file with ``facts`` on their training."""
        if number in self.files and not self.is_trained(number) and is_first():
            DBN(layers).save(self.files[number], facts)
        wait_for_all()
        self._take(layers, number, facts)

    def _take(self, layers: Sequence[Layer], number: int, facts: dict[str, Any]) -> None:
        self.finished_stages.add(number)
        if number == self.last:
            self._replace(layers, facts)
        else:
            self._append(layers, facts)

    def _replace(self, layers: Sequence[Layer], facts: dict[str, Any]) -> None:
        """Take the layers as the last stage left them; its seconds and operations are added to the last layer's."""
        self.layers = list(layers)
        of_layer, seconds = self.facts[-1], self.facts[-1]["seconds"] + facts["seconds"]
        loads = [own.get("other_load") for own in (of_layer, facts)]
        if None not in loads and seconds > 0:
            loads = [sum(own["other_load"] * own["seconds"] for own in (of_layer, facts)) / seconds]
        self.facts[-1] = {
            **of_layer,
            "seconds": seconds,
            "other_load": None if None in loads else loads[0],
            **{name: of_layer[name] + facts[name] for name in ("flops", "epochs", "warnings")},
            "training": {**of_layer["training"], "as_one": facts["training"]},
        }

    def _append(self, layers: Sequence[Layer], facts: dict[str, Any]) -> None:
        self.layers += layers
        self.facts += [facts, *({**facts, "seconds": 0.0, "flops": 0, "epochs": 0, "warnings": []} for _ in layers[1:])]

    def finish_layer(self, number: int) -> None:
        """Load stage ``number`` from its file if it was trained before, and compute the inputs of the next one."""
        if number not in self.finished_stages:
            trained = DBN.load(self.files[number])
            layers = [trained[k] for k in range(len(trained))]
            self._take(layers, number, DBN.describe(self.files[number])["description"])
        if number + 1 == self.last:
            self.train, self.validation = self.images, self.validation_images
        elif number < self.last_untrained:
            layer = self.layers[-1]
            self.train, self.validation = self.store.above(layer, self.train, number), propagate(layer, self.validation)

    @property
    def epochs(self) -> int:
        """Epochs that its layers trained, in all."""
        return sum(facts["epochs"] for facts in self.facts)

    def finished(self) -> Pretrained:
        """The complete stack; deletes representations on disk."""
        self.store.clear()
        return Pretrained(DBN(self.layers, self.scaling), self.facts)


def stages_of(method: PretrainingMethod, settings: Sequence[LayerSettings]) -> list[list[LayerSettings]]:
    """Settings of the layers of each stage, see :class:`GrowingStack`.

    Raises:
        SettingError: layers that are trained jointly have different training settings.
    """
    if not method.is_joint:
        return [[own] for own in settings]
    for name in JOINT_SETTINGS:
        values = [getattr(own, name) for own in settings]
        if len(set(values)) > 1:
            raise SettingError(
                f"stack.layers: {name} is {', '.join(map(str, values))}, but {type(method).__name__} trains all layers "
                f"at once. Give every layer the same, and stack.upper_layers none."
            )
    return [list(settings)]


JOINT_SETTINGS = (
    "learning_rate", "final_learning_rate", "initial_momentum", "initial_momentum_epochs", "momentum", "weight_cost",
    "epochs", "batch_size", "patience", "watch",
)  # fmt: skip
"""Settings that layers share which are trained jointly."""


def of_lowest(settings: Sequence[LayerSettings]) -> list[LayerSettings]:
    """The settings, the first of them as those of a layer on images."""
    return [*(own.on_images() for own in settings[:1]), *settings[1:]]


def untrained_layers(
    method: PretrainingMethod,
    settings: Sequence[LayerSettings],
    visible: str | Mapping[str, Any],
    shape: Sequence[int],
) -> list[Layer]:
    """Layers without initialised weights, for their shapes and types.

    Args:
        method: pretraining method.
        settings: of each layer, from the data upwards.
        visible: type of the visible units.
        shape: of an image.
    """
    layers: list[Layer] = []
    for own in settings:
        method.check_settings(own)
    for own in method.in_place(of_lowest(settings)) if settings else ():
        layer = method.new_layer(visible, shape, own)
        layers.append(layer)
        visible, shape = layer.output_type, layer.output_shape
    return layers
