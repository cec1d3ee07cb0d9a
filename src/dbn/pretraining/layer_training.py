"""The LightningModule that trains a layer, or all layers of a stack: what pretraining methods share."""

import logging
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from dbn.data.blocks import Block, Minibatch
from dbn.data.images import ImageSet
from dbn.errors import DivergenceError, SettingError
from dbn.fitting.block_module import BlockModule, Optimizer
from dbn.fitting.checkpoints import any_process
from dbn.fitting.ranks import is_first
from dbn.machine.optimizer import SGD
from dbn.models.layer import Layer
from dbn.pretraining.augmented import Prepare
from dbn.pretraining.check_effect import check_use_of_settings
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

    weighs_images: ClassVar[bool] = False
    """Whether :meth:`minibatch_step` uses the images' weights; where it does not, images with weights are refused."""

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
        """Floating-point operations per image of the first ``epochs`` epochs; the module then stands at the last."""
        total = 0
        for epoch in range(epochs):
            self.stand_at(epoch)
            total += self.flops
        return total

    def stand_at(self, epoch: int) -> None:
        """Set what :attr:`flops` of an epoch depend on, where they are not the same in all: numbers of Gibbs steps."""

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

    def check_weights(self, images: ImageSet) -> None:
        """Refuse images with weights where training would leave them out.

        Raises:
            SettingError: it would.
        """
        if images.weights is not None and not self.weighs_images:
            raise SettingError(
                f"data.weights: {type(self).__name__} does not weigh its images. Train without weights, "
                "data.weights=null, or use method=rbm; a module of your own whose minibatch_step uses batch.weights "
                "says so by weighs_images = True."
            )

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
