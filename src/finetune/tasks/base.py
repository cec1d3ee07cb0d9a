"""Fine-tuning by backpropagation: the base class of the tasks, and of their metrics."""

from abc import abstractmethod
from collections.abc import Sequence
from itertools import chain
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from dbn.data import DataSet
from dbn.data.augment import Augment, Scalings
from dbn.data.block_loader import BlockLoader
from dbn.data.blocks import Block, Minibatch
from dbn.data.images import ImageSet
from dbn.data.scaling import Scaling
from dbn.errors import DivergenceError
from dbn.fitting.block_module import BlockModule, Optimizer
from dbn.fitting.processes import add_gradients, gather_from_all, sum_over_all
from dbn.machine.kernels import kernel_streams
from dbn.machine.precision import Choice
from dbn.machine.products import faster_products
from dbn.models import flops
from dbn.random.streams import Source, streams
from dbn.settings import call_factory
from finetune.networks.meaning import Meaning
from finetune.networks.network import Network
from finetune.networks.network_memory import EVALUATED_AT_ONCE
from finetune.tasks.learning_rate_schedule import Schedule, start
from finetune.tasks.settings import TrainingSettings


class FineTuning(BlockModule):
    """Trains a network by backpropagation, or a group of networks.

    Args:
        network: the network with its initial weights, or a :class:`finetune.networks.group.NetworkGroup`.
        settings: training settings.
        optimizer: factory of the optimiser, from parameter groups and ``lr``; weight decay applies to weights only.
        steps_per_epoch: optimiser steps per epoch, for the schedule.
        schedule: of the learning rate; None: constant.
        augment: changes of the training images, or None.
        shape: channels, height, width of an image.
        scaling: of the features, for changes of colours; in a group one for all or one for each member; None: they are
            intensities from 0 to 1.
        seeds: the run's seed; in a group, one for each member.
        precision: of the matrix products in training: ``auto``, ``float32``, ``bf16`` or ``tf32``.
        epochs_before: epochs of the run that this one continues; a schedule with a length covers the other epochs.
    """

    recordable: ClassVar[bool] = True

    monitor: str
    """Validation metric by which weights are chosen; lower is better."""
    images_per_example: int = 1
    """Images that a step passes through the network for each image of the minibatch."""

    def __init__(
        self,
        network: Network,
        settings: TrainingSettings,
        *,
        optimizer: Any,
        steps_per_epoch: int,
        schedule: Schedule | None = None,
        augment: Augment | None = None,
        shape: tuple[int, int, int] = (1, 1, 1),
        scaling: Scalings | None = None,
        seeds: Sequence[int] = (0,),
        precision: str = "auto",
        epochs_before: int = 0,
    ) -> None:
        super().__init__()
        self.network = network
        self.settings = settings
        self.batch_size = settings.batch_size
        self.make_optimizer = optimizer
        self.steps_per_epoch = steps_per_epoch
        self.schedule = schedule
        self.augment = augment
        self.shape = shape
        self.scaling = scaling
        self.seeds = seeds
        self.precision = precision
        self.precision_choices: Sequence[Choice] = ()
        self.epochs_before = epochs_before
        self.train_loss = torch.zeros(len(seeds))
        self.train_images = 0
        self.largest_operations = max(network.operations)
        self.validation_metrics = nn.ModuleList(self.metrics() for _ in seeds)

    @property
    def largest_product(self) -> int:
        """Multiplications in the largest matrix product of a minibatch, over all members of a group."""
        return self.batch_size * self.images_per_example * len(self.seeds) * self.largest_operations

    @abstractmethod
    def losses(self, outputs: Tensor, batch: Minibatch) -> Tensor:
        """Loss of each image, ``(batch,)``, in a group ``(members, batch)``."""

    @abstractmethod
    def meaning(self, data: DataSet) -> Meaning:
        """What inputs and outputs of the trained network mean, for its file."""

    @abstractmethod
    def metrics(self) -> "TaskMetrics":
        """New metrics of the task."""

    def configure_optimizers(self) -> Any:
        """Make optimiser and schedule; weight decay applies to weights only."""
        *hidden, output = self.network.blocks
        groups: list[dict[str, Any]] = []
        for blocks in (
            hidden,
            [output],
        ):  # separate: in a group of torch's fused SGD, all parameters must start learning together
            scales = [block.normalisation.parameters() for block in blocks if block.normalisation is not None]
            groups.append({"params": [block.layer.weight for block in blocks]})
            biases = [block.layer.biases() for block in blocks]
            groups.append({"params": [*chain(*biases, *scales)], "weight_decay": 0.0})
        optimizer = call_factory("optimizer", self.make_optimizer, groups, lr=self.settings.learning_rate)
        if self.schedule is None:
            return optimizer
        n_epochs = self.settings.epochs - self.epochs_before
        scheduler = self.schedule.scheduler(optimizer, n_epochs, self.steps_per_epoch)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler}}

    def on_fit_start(self) -> None:
        """Choose the layers' precision, which depends on the device."""
        self.precision_choices = self.network.choose_precision(self.precision, self.batch_size, self.device)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the sums of the training loss of each process in the current epoch."""
        sums = torch.cat([self.train_loss.double(), self.train_loss.new_tensor([self.train_images]).double()])
        checkpoint["epoch_so_far"] = [own.tolist() for own in gather_from_all(sums)]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the sums of the training loss; if the number of processes changed, the first one gets all of them."""
        each = torch.tensor(checkpoint["epoch_so_far"], dtype=torch.float64)
        if len(each) != self.trainer.world_size:
            each = torch.cat([each.sum(0, keepdim=True), each.new_zeros(self.trainer.world_size - 1, each.shape[1])])
        *losses, images = each[self.global_rank].tolist()
        self.train_loss, self.train_images = torch.tensor(losses), int(images)

    def on_train_start(self) -> None:
        """Set up a fit that may resume within an epoch, for which ``on_train_epoch_start`` is not called."""
        super().on_train_start()
        self.train_loss = self.train_loss.to(self.device)
        if self.scaling is not None:
            each = [self.scaling] if isinstance(self.scaling, Scaling) else self.scaling
            self.scaling = [own.to(self.device) for own in each]
        self.freeze_hidden()
        if self.schedule is not None:
            start(self.lr_schedulers())

    def on_train_epoch_start(self) -> None:
        """Reset the sums of the training loss."""
        self.freeze_hidden()
        self.train_loss.zero_()  # in place: recorded steps add to it
        self.train_images = 0

    def freeze_hidden(self) -> None:
        """Set ``requires_grad``: only the output layer in the first ``head_epochs``, then all layers."""
        head_only = self.current_epoch < self.settings.head_epochs
        for block in self.network.blocks[:-1]:
            block.requires_grad_(not head_only)

    def begin_block(self, block: Block) -> Block:
        """Open the block's random streams, deform its images, and count them."""
        counters = (self.current_epoch, block.number, self.global_rank)
        self.network.use_noise_from(self.block_noise("dropout", *counters, device=block.device))
        self.train_images += len(block)
        if self.augment is None:
            return block
        generator = streams(self.seeds, "augment", *counters, device=block.device)
        return block.with_features(self.augment(block.features, self.shape, generator, self.scaling))

    def objective(self, batch: Minibatch) -> tuple[Tensor, Tensor]:
        """What a step minimises, a scalar, and the loss of each image, as :meth:`losses` gives it."""
        losses = self.losses(self.network(batch.features), batch)
        return losses.sum() / batch.count, losses

    def open_streams(self, name: str, *counters: int, device: torch.device) -> Source:
        """Noise that kernels draw, where there are some: dropout is one."""
        return kernel_streams(self.seeds, name, *counters, device=device)

    def minibatch_step(self, batch: Minibatch, optimizer: Optimizer | Any) -> None:
        """Forward and backward pass, optimiser step, max-norm."""
        objective, losses = self.objective(batch)
        optimizer.zero_grad()
        with faster_products(batch.features.shape[:-1].numel() * self.images_per_example * self.largest_operations):
            objective.backward()
        self.add_gradients_of_loss(batch)
        add_gradients(self.network)
        optimizer.step()
        if self.settings.max_norm is not None:
            self.network.limit_norms(self.settings.max_norm)
        self.train_loss += losses.detach().sum(-1)

    def add_gradients_of_loss(self, batch: Minibatch) -> None:
        """Write the gradients of parameters that autograd has none for; here nothing."""

    def further_operations(self, n_images: int) -> int:
        """Floating-point operations for ``n_images`` training images (over all epochs) beside backpropagation's."""
        return n_images * flops.forward([layer.fixed_operations for layer in self.network.layers])

    def advance_schedule(self) -> None:
        """Let a schedule of steps set the learning rate of the next one."""
        if self.schedule is not None and self.schedule.interval == "step":
            self.lr_schedulers().step()  # type: ignore[union-attr]

    def on_train_epoch_end(self) -> None:
        """Raise if parameters are not finite, before a checkpoint is written; otherwise log the training loss.

        Raises:
            DivergenceError: a parameter is infinite or NaN.
        """
        diverged = self.diverged()
        if diverged is not None:
            raise DivergenceError(
                f"Fine-tuning diverged in epoch {self.current_epoch + 1}{diverged}: the network's weights are no "
                "longer finite. Lower training.learning_rate, or set training.max_norm."
            )
        if self.schedule is not None and self.schedule.interval == "epoch":
            self.lr_schedulers().step()  # type: ignore[union-attr]
        losses, n = sum_over_all(self.train_loss.clone(), torch.tensor(self.train_images, device=self.device))
        self.log_rows([{"train/loss": loss / max(1, int(n))} for loss in losses.tolist()])

    def validation_step(self, block: Block, index: int) -> None:
        """Add a block of validation images to the metrics."""
        outputs = self.network(block.features)
        each = outputs if len(self.seeds) > 1 else [outputs]
        for metrics, own, own_block in zip(self.validation_metrics, each, block.of_members(), strict=True):
            assert isinstance(metrics, TaskMetrics)
            metrics.update(own, own_block)

    def on_validation_epoch_end(self) -> None:
        """Log the validation metrics."""
        rows = []
        for metrics in self.validation_metrics:
            assert isinstance(metrics, TaskMetrics)
            rows.append({f"validation/{name}": value for name, value in metrics.compute().items()})
            metrics.reset()
        self.log_rows(rows)

    @torch.no_grad()
    def evaluate(self, images: ImageSet) -> dict[str, float]:
        """The task's metrics on ``images``, in evaluation mode."""
        training = self.network.training
        self.network.eval()
        metrics = self.metrics().to(images.device)
        metrics.disable_sync()
        for block in BlockLoader(images, batch_size=EVALUATED_AT_ONCE, minibatches_per_block=1):
            metrics.update(self.network(block.features), block)
        self.network.train(training)
        return metrics.compute()


class TaskMetrics(nn.Module):
    """Named torchmetrics, in float64 so that counts are exact."""

    def __init__(self, **metrics: Metric) -> None:
        super().__init__()
        self.named = nn.ModuleDict({name: metric.set_dtype(torch.float64) for name, metric in metrics.items()})

    def disable_sync(self) -> None:
        """Do not synchronise with other processes: this process evaluates all images."""
        for metric in self.named.values():
            assert isinstance(metric, Metric)
            metric.distributed_available_fn = lambda: False

    def add(self, name: str, *values: Tensor) -> None:
        """Update the metric called ``name``."""
        metric = self.named[name]
        assert isinstance(metric, Metric)
        metric.update(*values)

    @abstractmethod
    def update(self, outputs: Tensor, block: Block) -> None:
        """Add a block of images with the network's outputs for them."""

    def compute(self) -> dict[str, float]:
        """Values of the metrics by name."""
        return {name: float(metric.compute()) for name, metric in self.named.items() if isinstance(metric, Metric)}

    def reset(self) -> None:
        """Reset all metrics."""
        for metric in self.named.values():
            assert isinstance(metric, Metric)
            metric.reset()
