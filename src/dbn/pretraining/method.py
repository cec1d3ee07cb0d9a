"""The interface of pretraining methods: a method makes a layer, and the LightningModule that trains it."""

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
from dbn.random.streams import Source, streams
from dbn.settings import call_factory

OptimizerFactory = Callable[..., Optimizer]
"""Makes the optimiser from parameter groups and ``lr``."""


class LayerTraining(BlockModule):
    """Trains one layer of a stack, or those of several stacks together; base class for pretraining methods.

    A subclass defines :meth:`minibatch_step`, :meth:`metrics_of` and :attr:`flops`.

    Args:
        layer: the layer, or a group of layers, see :meth:`dbn.models.layer.Layer.group`.
        settings: training settings.
        seeds: the run's seed; in a group, one for each member.
        number: of the layer, from 1; part of the names of metrics and a counter of random streams.
        optimizer: factory of the optimiser.
        precision: of the matrix products: ``auto``, ``float32`` or ``bf16``, see :mod:`dbn.machine.precision`.
        prepare: applied to a block's features first, with noise from the stream ``pretraining_augment``.
        monitored: training images for metrics, ``(n, n_inputs)`` for each member; None: no metrics.
        monitored_validation: validation images for metrics, ``(m, n_inputs)`` for each member.
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
        monitored: Sequence[Tensor] | None = None,
        monitored_validation: Sequence[Tensor] | None = None,
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
        self.monitored = monitored
        self.monitored_validation = monitored_validation
        self.generator: Any = None

    @property
    @abstractmethod
    def flops(self) -> int:
        """Floating-point operations per image and epoch."""

    @abstractmethod
    def metrics_of(self, member: Any, train: Tensor, validation: Tensor | None) -> dict[str, float]:
        """Metrics of a layer, by name.

        Args:
            member: the layer.
            train: training images ``(n, n_inputs)``.
            validation: validation images ``(m, n_inputs)``, or None.
        """

    @property
    def largest_product(self) -> int:
        """Multiplications in the largest matrix product of a minibatch, over all members of a group."""
        return self.batch_size * len(self.seeds) * self.layer.operations

    def configure_optimizers(self) -> Optimizer:
        """Make the optimiser; weight decay applies to weights only."""
        weights = self.layer.weights()
        others = [own for own in self.layer.parameters() if not any(own is weight for weight in weights)]
        groups = [
            {"params": weights, "weight_decay": self.settings.weight_cost},
            {"params": others, "weight_decay": 0.0},
        ]
        return call_factory("stack.optimizer", self.make_optimizer, groups, lr=self.settings.learning_rate)

    def on_train_epoch_start(self) -> None:
        """Set the momentum of this epoch, if the optimiser has one."""
        for group in self.lightning_optimizer().optimizer.param_groups:
            if "momentum" in group:
                group["momentum"] = self.settings.momentum_at(self.current_epoch)

    def begin_block(self, block: Block) -> Block:
        """Open the block's random stream, and prepare its features."""
        counters = (self.number, self.current_epoch, block.number, self.global_rank)
        generator = self.block_noise(*counters, device=block.device)
        self.generator = generator if self.graphs is None else self.graphs.reseeded(generator)
        if self.prepare is None:
            return block
        noise = streams(self.seeds, "pretraining_augment", *counters, device=block.device)
        return block.with_features(self.prepare(block.features, noise))

    def block_noise(self, *counters: int, device: torch.device) -> Source:
        """Noise of a block's steps, from the stream ``gibbs``."""
        return streams(self.seeds, "gibbs", *counters, device=device)

    @abstractmethod
    def minibatch_step(self, batch: Minibatch, optimizer: Optimizer | Any) -> None:
        """Update the layer once, with noise from ``self.generator``."""

    def on_train_epoch_end(self) -> None:
        """Raise if parameters are not finite, before a checkpoint is written; otherwise log the metrics.

        Raises:
            DivergenceError: a parameter is infinite or NaN.
        """
        diverged = self.diverged()
        if diverged is not None:
            raise DivergenceError(
                f"Layer {self.number} diverged in epoch {self.current_epoch + 1}{diverged}: its parameters are no "
                f"longer finite. Lower stack.every_layer.learning_rate (it is {self.settings.learning_rate:g}; "
                "real-valued units need about 0.001), and give Gaussian visible units standardised images "
                "(data.standardise=true)."
            )
        if self.monitored is not None:
            members = self.layer.members()
            validation: Sequence[Tensor | None] = self.monitored_validation or [None] * len(members)
            with torch.no_grad():
                rows = [self.metrics_of(*own) for own in zip(members, self.monitored, validation, strict=True)]
            self.log_rows([{f"layer{self.number}/{name}": value for name, value in row.items()} for row in rows])


class PretrainingMethod(ABC):
    """A method of pretraining a layer; it has no state.

    A user-defined method is selected by ``method._target_`` in a configuration, or passed to
    :func:`dbn.pretraining.greedy.pretrain_stack`.
    """

    progress_metric: ClassVar[str] = "reconstruction_error"
    """The metric of :meth:`LayerTraining.metrics_of` that the progress display shows."""

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
        """Create an untrained layer.

        Args:
            input_type: type of the units below.
            input_shape: their shape.
            settings: of the layer.
            generator: source of the initial weights; None: zero weights, for a layer of which only shapes are needed.
            images: training images as inputs of the layer, to initialise biases from.
        """

    @abstractmethod
    def training(self, layer: Any, settings: LayerSettings, **options: Any) -> LayerTraining:
        """The module that trains a layer or a group of layers; ``options`` are those of :class:`LayerTraining`."""
