"""The interface of pretraining methods: a method makes a layer, and the LightningModule that trains it."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from dbn.data.blocks import Block, Minibatch
from dbn.data.images import DataSet, ImageSet
from dbn.errors import DivergenceError, SettingError
from dbn.fitting.block_module import BlockModule, Optimizer
from dbn.fitting.checkpoints import any_process
from dbn.fitting.ranks import is_first
from dbn.machine.optimizer import SGD
from dbn.models.dbn import DBN
from dbn.models.layer import Layer
from dbn.pretraining.augmented import Prepare
from dbn.pretraining.check_effect import check_no_gradient_settings, check_use_of_settings
from dbn.pretraining.joint import JointLayers
from dbn.pretraining.patience import Patience
from dbn.pretraining.settings import LayerSettings
from dbn.pretraining.warning_signs import RisingError, Sign, signs_of_inputs, signs_of_layer
from dbn.random.streams import streams
from dbn.settings import call_factory

log = logging.getLogger(__name__)

OptimizerFactory = Callable[..., Optimizer]
"""Makes the optimiser from parameter groups and ``lr``."""


class LayerTraining(BlockModule):
    """Trains one layer of a stack, or those of several stacks together; base class for pretraining methods.

    A subclass defines :meth:`minibatch_step`, :meth:`metrics_of` and :attr:`flops`.

    Args:
        layer: the layer, or a group of layers, see :meth:`dbn.models.layer.Layer.group`; all layers for a joint method.
        settings: training settings.
        seeds: the run's seed; in a group, one for each member.
        number: of the layer, from 1; part of the names of metrics and a counter of random streams.
        optimizer: factory of the optimiser.
        precision: of the products: ``auto``, ``float32``, ``bf16`` or ``tf32``, see :mod:`dbn.machine.precision`.
        prepare: applied to a block's features first, with noise from the stream ``pretraining_augment``.
        monitored: training images for metrics, ``(n, n_inputs)`` for each member; None: no metrics.
        monitored_validation: validation images for metrics, ``(m, n_inputs)`` for each member.

    Attributes:
        patience: decides when members stop; None: they train for all epochs.
        warnings: of each member, signs that its training fails by their kinds, see
            :mod:`dbn.pretraining.warning_signs`.
    """

    def __init__(
        self,
        layer: Layer | JointLayers,
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
        self.precision_decided_by = f"precision={precision}"
        self.prepare = prepare
        self.monitored = monitored
        self.monitored_validation = monitored_validation
        self.generator: Any = None
        n = len(seeds)
        self.patience = None if settings.patience is None else Patience(settings.patience, settings.watch, n)
        self.errors = [RisingError() for _ in range(n)]
        self.warnings: list[dict[str, str]] = [{} for _ in range(n)]

    @property
    def title(self) -> str:
        """What the names of metrics begin with: ``layer1``."""
        return f"layer{self.number}"

    @property
    def what(self) -> str:
        """What is trained, for messages."""
        return f"Layer {self.number}"

    @property
    @abstractmethod
    def flops(self) -> int:
        """Floating-point operations per image and epoch."""

    def flops_of(self, epochs: int) -> int:
        """Floating-point operations per image of the first ``epochs`` epochs."""
        return epochs * self.flops

    @abstractmethod
    def metrics_of(self, member: Any, train: Tensor, validation: Tensor | None) -> dict[str, float]:
        """Metrics of a layer, by name.

        Args:
            member: the layer.
            train: training images ``(n, n_inputs)``.
            validation: validation images ``(m, n_inputs)``, or None.
        """

    def further_metrics(self) -> Sequence[Mapping[str, float]]:
        """Metrics of the epoch that a layer does not say by itself, of each member; empty: none."""
        return ()

    @property
    def largest_product(self) -> int:
        """Multiplications in the largest matrix product of a minibatch, over all members of a group."""
        return self.batch_size * len(self.seeds) * self.layer.operations

    def configure_optimizers(self) -> Optimizer:
        """Make the optimiser; weight decay applies to weights only.

        Raises:
            SettingError: the optimiser has no use for a setting of the layer.
        """
        weights = self.layer.weights()
        others = [own for own in self.layer.parameters() if not any(own is weight for weight in weights)]
        groups = [
            {"params": weights, "weight_decay": self.settings.weight_cost},
            {"params": others, "weight_decay": 0.0},
        ]
        made: Optimizer = call_factory("stack.optimizer", self.make_optimizer, groups, lr=self.settings.learning_rate)
        check_use_of_settings(made, self.settings)
        return made

    def on_train_start(self) -> None:
        """End the fit at once if patience was exhausted before an interruption."""
        super().on_train_start()
        if self.patience is not None and self.patience.all_stopped:
            self.trainer.should_stop = True

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what decides when to stop, and which warnings were given."""
        checkpoint["watching"] = {
            "patience": None if self.patience is None else self.patience.state(),
            "errors": [own.state() for own in self.errors],
            "warnings": self.warnings,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore it; checkpoints of earlier versions hold nothing of it."""
        state = checkpoint.get("watching")
        if state is None:
            return
        if self.patience is not None and state["patience"] is not None:
            self.patience.load_state(state["patience"])
        for own, found in zip(self.errors, state["errors"], strict=True):
            own.load_state(found)
        self.warnings = state["warnings"]

    def on_train_epoch_start(self) -> None:
        """Set the momentum of this epoch, if the optimiser has one, and the learning rate, if it changes."""
        for group in self.lightning_optimizer().optimizer.param_groups:
            if self.settings.final_learning_rate is not None:
                group["lr"] = self.settings.learning_rate_at(self.current_epoch)
            if "momentum" in group:
                group["momentum"] = self.settings.momentum_at(self.current_epoch)

    def begin_block(self, block: Block) -> Block:
        """Open the block's random stream, and prepare its features."""
        counters = (self.number, self.current_epoch, block.number, self.global_rank)
        self.generator = self.block_noise("gibbs", *counters, device=block.device)
        if self.prepare is None:
            return block
        noise = streams(self.seeds, "pretraining_augment", *counters, device=block.device)
        return block.with_features(self.prepare(block.features, noise))

    @abstractmethod
    def minibatch_step(self, batch: Minibatch, optimizer: Optimizer | Any) -> None:
        """Update the layer once, with noise from ``self.generator``."""

    def on_train_epoch_end(self) -> None:
        """Raise if parameters are not finite, before a checkpoint is written; otherwise log metrics and warnings.

        Members whose watched metric has not improved for long enough stop, and with the last of them the fit.

        Raises:
            DivergenceError: a parameter is infinite or NaN.
        """
        if self.patience is not None:
            self.patience.restore(self.layer)
        diverged = self.diverged()
        if diverged is not None:
            raise DivergenceError(
                f"{self.what} diverged in epoch {self.current_epoch + 1}{diverged}: its parameters are no "
                f"longer finite. Lower {self.settings.key('learning_rate')} (it is {self.settings.learning_rate:g}; "
                "real-valued units need about 0.001), and give Gaussian visible units standardised images "
                "(data.standardise=true)."
            )
        if self.monitored is not None:
            members = self.layer.members()
            validation: Sequence[Tensor | None] = self.monitored_validation or [None] * len(members)
            with torch.no_grad():
                rows = [self.metrics_of(*own) for own in zip(members, self.monitored, validation, strict=True)]
            for row, further in zip(rows, self.further_metrics(), strict=False):
                row.update(further)
            trained = [None] * len(rows) if self.patience is None else list(self.patience.trained)
            self.log_rows(
                [{f"{self.title}/{name}": value for name, value in row.items()} for row in rows],
                finished=[number for number, epochs in enumerate(trained) if epochs is not None],
            )
            ending = self.stop_members(rows)
            if self.trainer.fast_dev_run:  # type: ignore[attr-defined]  # Lightning sets it; nothing is learned then
                return
            for number, (member, images, row) in enumerate(zip(members, self.monitored, rows, strict=True)):
                if trained[number] is None:
                    self.look_for_signs(number, member, images, row, is_last=number in ending)

    def stop_members(self, rows: Sequence[Mapping[str, float]]) -> list[int]:
        """Stop members whose patience is exhausted; returns the numbers of those that have had their last epoch."""
        everyone, last = list(range(len(rows))), self.current_epoch + 1 == self.trainer.max_epochs
        if self.patience is None:
            return everyone if last else []
        exhausted = self.patience.exhausted([row[self.patience.metric] for row in rows], self.current_epoch)
        if self.trainer.world_size > 1:  # rounding may differ between processes, which must stop together
            exhausted = everyone if any_process(self.trainer, bool(exhausted)) else []
        if not last:
            for number in exhausted:
                self.patience.stop(number, self.current_epoch, self.layer)
            self.trainer.should_stop = self.trainer.should_stop or self.patience.all_stopped
        return everyone if last else exhausted

    def ended(self, number: int) -> tuple[int, str]:
        """Number of epochs that member ``number`` trained in a fit that is over, and why it ended, for results."""
        if self.patience is not None and (trained := self.patience.trained[number]) is not None:
            return trained, self.patience.reason(number)
        return self.settings.epochs, f"all of {self.settings.key('epochs')}={self.settings.epochs}"

    def look_for_signs(
        self, number: int, member: Any, images: Tensor, row: Mapping[str, float], *, is_last: bool
    ) -> None:
        """Warn of each new sign that the training of member ``number`` fails."""
        signs: list[Sign | None] = [self.errors[number].sign(member, row, self.settings)]
        if self.current_epoch == 0 and self.number == 1:
            signs += signs_of_inputs(member, images)
        if is_last:
            signs += signs_of_layer(member, images, self.settings)
        for sign in signs:
            if sign is None or sign.kind in self.warnings[number] or (sign.is_consequence and self.warnings[number]):
                continue
            text = f"{self.what}: {sign.text}."
            self.warnings[number][sign.kind] = text
            if is_first():
                seed = f"seed {self.seeds[number]}, " if len(self.seeds) > 1 else ""
                log.warning("%s%s", seed, text)


RBMS = "RBMs, which may be convolutional: method=rbm of dbn-pretrain, start=dbn or start=dbn_relu of dbn-finetune"
"""What messages advise where a method is for dense layers only; a start says the method, and names the arm."""


class PretrainingMethod(ABC):
    """A method of pretraining a layer; it has no state.

    A user-defined method is selected by ``method._target_`` in a configuration, or passed to
    :func:`dbn.pretraining.greedy.pretrain_stack`.
    """

    progress_metric: ClassVar[str] = "reconstruction_error"
    """The metric of :meth:`LayerTraining.metrics_of` that the progress display shows."""
    is_joint: ClassVar[bool] = False
    """Whether :meth:`training` trains all layers of a stack at once, as :class:`dbn.pretraining.joint.JointLayers`."""
    is_closed_form: ClassVar[bool] = False
    """Whether :meth:`new_layer` returns trained layers, so that nothing is left to train."""
    uses_labels: ClassVar[bool] = False
    """Whether layers learn from the labels of the training images."""

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
            images: training images as inputs of the layer, to initialise biases from; None where they are unknown: for
                upper layers that are trained jointly with those below.
        """

    def check_settings(self, settings: LayerSettings) -> None:
        """Refuse settings of a layer that this method has no use for: those of the gradient of an RBM.

        Raises:
            SettingError: one has another value than that without an effect.
        """
        check_no_gradient_settings(type(self).__name__, settings)

    def in_place(self, settings: Sequence[LayerSettings]) -> list[LayerSettings]:
        """The settings of all layers as this method needs them where they are in the stack; here as they are.

        Args:
            settings: of each layer, from the data upwards.

        Raises:
            SettingError: it cannot train such a stack.
        """
        return list(settings)

    def last_stage(self, settings: Sequence[LayerSettings]) -> LayerSettings | None:
        """Training settings of a last stage, in which all layers are trained as one; None: there is none.

        Args:
            settings: of each layer, from the data upwards.
        """
        return None

    def composed(self, layers: Sequence[Any]) -> list[Layer]:
        """What the trained layers of a stack become for the last stage, whose :meth:`training` gets them jointly."""
        return list(layers)

    def check_data(self, data: DataSet, layers: Sequence[LayerSettings]) -> None:  # noqa: B027
        """Refuse a data set, or layers for it, that the method cannot be used with.

        Raises:
            SettingError: it cannot.
        """

    def settings_of(self, layers: Sequence[LayerSettings]) -> Sequence[LayerSettings]:
        """Settings by which this method trains layers of which ``layers`` are the settings: these themselves."""
        return layers

    def starting_layers(self, layers: list[Layer], start: DBN | None) -> list[Layer]:
        """The layers of a stage with the weights that training starts from, in place of new ones.

        Args:
            layers: new ones, see :meth:`new_layer`.
            start: a trained stack to start from, see :class:`dbn.pretraining.growing.StackRun`.

        Raises:
            SettingError: this method does not start from a stack.
        """
        if start is not None:
            raise SettingError(
                f"method={type(self).__name__}: it trains new layers and does not go on from a stack. Leave start away."
            )
        return layers

    def watchable(self, input_type: str | Mapping[str, Any]) -> tuple[str, ...]:
        """Metrics of validation images that :attr:`LayerSettings.watch` may name, for a layer on units of this type.

        They are among :meth:`LayerTraining.metrics_of`; lower is better, except for
        :data:`dbn.pretraining.patience.HIGHER_IS_BETTER`.
        """
        return ()

    def closed_form_flops(self, layer: Layer, n_images: int) -> int:
        """Operations of a :attr:`is_closed_form` method's :meth:`new_layer` with ``n_images`` training images."""
        raise NotImplementedError

    @abstractmethod
    def training(self, layer: Any, settings: LayerSettings, **options: Any) -> LayerTraining:
        """The module that trains a layer or a group of layers; ``options`` are those of :class:`LayerTraining`."""
