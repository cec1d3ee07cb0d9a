"""Fine-tuning a network by backpropagation: what classifier and autoencoder share."""

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from dbn.data.blocks import Block, BlockLoader, Minibatch
from dbn.data.images import Images
from dbn.errors import DivergenceError
from dbn.loop import BlockModule, Optimizer, add_gradients
from dbn.settings import calling
from dbn.streams import stream
from finetune.augment import Augment
from finetune.network import Network
from finetune.settings import Schedule, TrainingSettings


class FineTuning(BlockModule):
    """Trains a network by backpropagation.

    Args:
        network: the network, with its starting weights.
        settings: how to train it.
        optimizer: makes the optimiser from parameter groups; a ``weight_decay`` of its own applies to weights only.
        steps_per_epoch: optimiser steps in an epoch, for the schedule.
        schedule: of the learning rate; None keeps it.
        augment: deforms training images; None leaves them.
        shape: channels, height, width of an image.
        seed: the run's seed.
        precision: of the matrix products in training: ``auto``, ``float32`` or ``bf16``.
    """

    watched: str
    """The validation metric to choose weights by; lower is better."""

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
        seed: int = 0,
        precision: str = "auto",
    ) -> None:
        super().__init__()
        self.network = network
        self.settings = settings
        self.make_optimizer = optimizer
        self.steps_per_epoch = steps_per_epoch
        self.schedule = schedule
        self.augment = augment
        self.shape = shape
        self.seed = seed
        self.precision = precision
        self.train_loss: Tensor | float = 0.0
        self.train_images = 0
        self.validation_metrics = self.metrics()

    @abstractmethod
    def loss(self, outputs: Tensor, batch: Minibatch) -> Tensor:
        """Summed over the images, in nats."""

    @abstractmethod
    def metrics(self) -> "TaskMetrics":
        """Fresh metrics of the task."""

    def configure_optimizers(self) -> Any:
        """Weight decay applies to weights only."""
        *hidden, output = self.network.linear_layers()
        groups: list[dict[str, Any]] = []
        for layers in (hidden, [output]):  # apart: torch's fused SGD wants parameters that start to learn together
            groups.append({"params": [layer.weight for layer in layers]})
            groups.append({"params": [layer.bias for layer in layers], "weight_decay": 0.0})
        optimizer = calling("optimizer", self.make_optimizer, groups)
        if self.schedule is None:
            return optimizer
        per_epoch = self.steps_per_epoch if self.schedule.interval == "step" else 1
        length = {self.schedule.length: per_epoch * self.settings.epochs} if self.schedule.length else {}
        scheduler = calling("schedule", self.schedule.factory, optimizer, **length)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler}}

    def on_fit_start(self) -> None:
        """Choose the layers' precision, now that the device is known."""
        self.network.choose_precision(self.precision, self.settings.batch_size, self.device)

    def on_train_epoch_start(self) -> None:
        """In the first ``head_epochs`` only the output layer learns."""
        head_only = self.current_epoch < self.settings.head_epochs
        for layer in self.network.linear_layers()[:-1]:
            layer.requires_grad_(not head_only)
        self.train_loss, self.train_images = 0.0, 0

    def begin_block(self, block: Block) -> Block:
        """Open the block's streams of noise, and deform its images."""
        counters = (self.current_epoch, block.number, self.global_rank)
        device = block.features.device
        self.network.use_noise_from(stream(self.seed, "dropout", *counters, device=device))
        if self.augment is None:
            return block
        features = self.augment(block.features, self.shape, stream(self.seed, "augment", *counters, device=device))
        return block.with_features(features)

    def minibatch_step(self, batch: Minibatch, optimizer: Optimizer | Any) -> None:
        """Forward, backward, step, schedule, limits."""
        loss = self.loss(self.network(batch.features), batch)
        optimizer.zero_grad()
        (loss / batch.count).backward()
        add_gradients(self.network)
        optimizer.step()
        if self.schedule is not None and self.schedule.interval == "step":
            self.lr_schedulers().step()  # type: ignore[union-attr]
        if self.settings.max_norm is not None:
            self.network.limit_norms(self.settings.max_norm)
        self.train_loss = self.train_loss + loss.detach()
        self.train_images += len(batch.features)

    def on_train_epoch_end(self) -> None:
        """Stop at values that are not finite, before a checkpoint is written; otherwise log the training loss.

        Raises:
            DivergenceError: a parameter is not a finite number.
        """
        if not self.parameters_are_finite():
            raise DivergenceError(
                f"Fine-tuning diverged in epoch {self.current_epoch + 1}: the network's weights are no longer finite. "
                "Lower optimizer.lr, or set training.max_norm."
            )
        if self.schedule is not None and self.schedule.interval == "epoch":
            self.lr_schedulers().step()  # type: ignore[union-attr]
        self.log("train/loss", float(self.train_loss) / max(1, self.train_images))

    def validation_step(self, block: Block, index: int) -> None:
        """Add a block of validation images to the metrics."""
        self.validation_metrics.update(self.network(block.features), block)

    def on_validation_epoch_end(self) -> None:
        """Log the validation metrics."""
        for name, value in self.validation_metrics.compute().items():
            self.log(f"validation/{name}", value, prog_bar=name == self.watched)
        self.validation_metrics.reset()

    @torch.no_grad()
    def evaluate(self, images: Images) -> dict[str, float]:
        """The task's metrics on ``images``, as the network stands, without dropout or augmentation."""
        training = self.network.training
        self.network.eval()
        metrics = self.metrics().to(images.pixels.device)
        for block in BlockLoader(images, batch_size=1000, minibatches_per_block=1):
            metrics.update(self.network(block.features), block)
        self.network.train(training)
        return metrics.compute()


class TaskMetrics(nn.Module):
    """Named torchmetrics, in float64 so that a count of errors over ten thousand images is exact."""

    def __init__(self, **metrics: Metric) -> None:
        super().__init__()
        self.named = nn.ModuleDict({name: metric.set_dtype(torch.float64) for name, metric in metrics.items()})

    def add(self, name: str, *values: Tensor) -> None:
        """Update the metric called ``name``."""
        metric = self.named[name]
        assert isinstance(metric, Metric)
        metric.update(*values)

    @abstractmethod
    def update(self, outputs: Tensor, block: Block) -> None:
        """Add a block of images with the network's outputs for them."""

    def compute(self) -> dict[str, float]:
        """Name to value."""
        return {name: float(metric.compute()) for name, metric in self.named.items() if isinstance(metric, Metric)}

    def reset(self) -> None:
        """Forget everything."""
        for metric in self.named.values():
            assert isinstance(metric, Metric)
            metric.reset()
