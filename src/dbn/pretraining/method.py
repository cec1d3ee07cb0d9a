"""The contract of a pretraining method: it makes a layer, and the module that trains it from minibatches."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from dbn.data.blocks import Block, Minibatch
from dbn.data.images import ImageSet
from dbn.errors import DivergenceError
from dbn.fitting.block_module import BlockModule, Optimizer
from dbn.machine.optimizer import SGD
from dbn.models.layer import Layer
from dbn.pretraining.augmented import Prepare
from dbn.pretraining.settings import LayerSettings
from dbn.random.streams import streams
from dbn.settings import call_factory

OptimizerFactory = Callable[..., Optimizer]
"""Makes the optimiser from parameter groups, ``lr`` and, if it has one, ``momentum``."""


class LayerTraining(BlockModule):
    """Trains one layer of a stack, or those of several stacks together; methods subclass it.

    A subclass says what :meth:`minibatch_step` does with a minibatch (features and labels), and what
    :meth:`metrics_of` tells of a layer.

    Args:
        layer: the layer, or a group of them, see :meth:`dbn.models.layer.Layer.group`.
        settings: how to train it.
        seeds: the run's seed; of a group, each member's.
        number: of the layer, from 1: names metrics and streams.
        optimizer: makes the optimiser.
        precision: of the matrix products: ``auto``, ``float32`` or ``bf16``, see :mod:`dbn.machine.precision`.
        prepare: what is done to a block's features first, drawing from the stream ``pretraining_augment``.
        watched: training images to watch, ``(n, n_inputs)``, for each member; None watches nothing.
        watched_validation: validation images to watch, ``(m, n_inputs)``, for each member.
    """

    def __init__(
        self,
        layer: Layer,
        settings: LayerSettings,
        *,
        seeds: Sequence[int] = (0,),
        number: int = 1,
        optimizer: OptimizerFactory = SGD,
        precision: str = "auto",
        prepare: Prepare | None = None,
        watched: Sequence[Tensor] | None = None,
        watched_validation: Sequence[Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.layer = layer
        self.settings = settings
        self.batch_size = settings.batch_size
        self.seeds = seeds
        self.number = number
        self.make_optimizer = optimizer
        self.precision = precision
        self.prepare = prepare
        self.watched = watched
        self.watched_validation = watched_validation
        self.generator: Any = None

    @property
    @abstractmethod
    def flops(self) -> int:
        """Floating-point operations per image of a pass through the training images."""

    @abstractmethod
    def metrics_of(self, member: Any, train: Tensor, validation: Tensor | None) -> dict[str, float]:
        """What tells whether a layer learns.

        Args:
            member: the layer.
            train: training images to watch ``(n, n_inputs)``.
            validation: validation images ``(m, n_inputs)``, or None.
        """

    @property
    def largest_product(self) -> int:
        """Multiplications in the largest product of a minibatch with weights, of all models that train together."""
        return self.batch_size * len(self.seeds) * self.layer.operations

    def configure_optimizers(self) -> Optimizer:
        """The weight cost applies to weights only."""
        weights = self.layer.weights()
        others = [own for own in self.layer.parameters() if not any(own is weight for weight in weights)]
        groups = [
            {"params": weights, "weight_decay": self.settings.weight_cost},
            {"params": others, "weight_decay": 0.0},
        ]
        return call_factory("stack.optimizer", self.make_optimizer, groups, lr=self.settings.learning_rate)

    def on_train_epoch_start(self) -> None:
        """Set the momentum of this epoch, for optimisers that have one."""
        for group in self.lightning_optimizer().optimizer.param_groups:
            if "momentum" in group:
                group["momentum"] = self.settings.momentum_at(self.current_epoch)

    def begin_block(self, block: Block) -> Block:
        """Open the block's stream of noise, and deform its images where that is wanted."""
        counters = (self.number, self.current_epoch, block.number, self.global_rank)
        generator = streams(self.seeds, "gibbs", *counters, device=block.device)
        self.generator = generator if self.graphs is None else self.graphs.reseeded(generator)
        if self.prepare is None:
            return block
        noise = streams(self.seeds, "pretraining_augment", *counters, device=block.device)
        return block.with_features(self.prepare(block.features, noise))

    @abstractmethod
    def minibatch_step(self, batch: Minibatch, optimizer: Optimizer | Any) -> None:
        """One update of the layer, with noise from ``self.generator``."""

    def on_train_epoch_end(self) -> None:
        """Stop at values that are not finite, before a checkpoint is written; otherwise log what can be watched.

        Raises:
            DivergenceError: a parameter is not a finite number.
        """
        diverged = self.diverged()
        if diverged is not None:
            raise DivergenceError(
                f"Layer {self.number} diverged in epoch {self.current_epoch + 1}{diverged}: its parameters are no "
                f"longer finite. Lower stack.every_layer.learning_rate (it is {self.settings.learning_rate:g}; "
                "real-valued units need about 0.001), and give Gaussian visible units standardised images "
                "(data.standardise=true)."
            )
        if self.watched is not None:
            members = self.layer.members()
            validation: Sequence[Tensor | None] = self.watched_validation or [None] * len(members)
            with torch.no_grad():
                rows = [self.metrics_of(*own) for own in zip(members, self.watched, validation, strict=True)]
            self.log_rows([{f"layer{self.number}/{name}": value for name, value in row.items()} for row in rows])


class PretrainingMethod(ABC):
    """A way of pretraining a layer.

    One of one's own is chosen by ``method._target_`` in a configuration, or handed to
    :func:`dbn.pretraining.greedy.pretrain_stack`. It keeps no state from layer to layer.
    """

    progress_metric: ClassVar[str] = "reconstruction_error"
    """Which of :meth:`LayerTraining.metrics_of` a progress display shows."""

    @abstractmethod
    def new_layer(
        self,
        input_type: str | Mapping[str, Any],
        input_shape: Sequence[int],
        settings: LayerSettings,
        *,
        generator: torch.Generator | None = None,
        images: ImageSet | None = None,
    ) -> Layer:
        """An untrained layer.

        Args:
            input_type: type of the units below.
            input_shape: their shape.
            settings: of the layer.
            generator: source of starting weights; None leaves them at zero, for a layer that is only looked at.
            images: training images as the layer will see them, for biases that start from the data.
        """

    @abstractmethod
    def training(self, layer: Any, settings: LayerSettings, **options: Any) -> LayerTraining:
        """The module that trains a layer, or a group of them; ``options`` are those of :class:`LayerTraining`."""
