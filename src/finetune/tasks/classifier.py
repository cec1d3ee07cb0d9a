"""Classification by softmax and cross-entropy, or an older loss."""

from typing import Any

from torch import Tensor
from torchmetrics import MeanMetric

from dbn.data import DataSet
from dbn.data.blocks import Block, Minibatch
from dbn.random.streams import streams
from finetune.networks.meaning import Meaning
from finetune.tasks.balanced_error import BalancedError
from finetune.tasks.base import FineTuning, TaskMetrics
from finetune.tasks.calibration import CalibrationError
from finetune.tasks.losses import LOSSES, cross_entropy, squared
from finetune.tasks.mixup import mix


class Classifier(FineTuning):
    """Trains a classifier, whose class is that of the largest output, by the loss of the settings.

    Where classes have weights, the balanced error decides which epoch was best, else the error.

    Args:
        *args: as for :class:`FineTuning`.
        **kwargs: as for :class:`FineTuning`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.monitor = "error" if self.settings.class_weights is None else "balanced_error"

    def losses(self, outputs: Tensor, batch: Minibatch) -> Tensor:
        """The loss of each image times its weight, with the label smoothing of the settings."""
        assert batch.labels is not None
        return batch.weighed(self.loss_of(outputs, batch.labels, self.settings.label_smoothing))

    def loss_of(self, outputs: Tensor, labels: Tensor, smoothing: float) -> Tensor:
        """The loss of the settings for outputs ``(..., batch, n_classes)`` and labels ``(..., batch)``."""
        loss = LOSSES[self.settings.loss]
        labels = labels.flatten(0, outputs.dim() - 2)
        return loss(outputs.flatten(0, -2), labels, smoothing).view(outputs.shape[:-1])

    def begin_block(self, block: Block) -> Block:
        """Deform the block's images, and mix them."""
        block = super().begin_block(block)
        if self.settings.mixup is None:
            return block
        counters = (self.current_epoch, block.number, self.global_rank)
        generators = streams(self.seeds, "mixup", *counters, device=block.device)
        return mix(block, self.settings.mixup, self.network.sizes[-1], generators)

    def meaning(self, data: DataSet) -> Meaning:
        """Logits, or with another loss scores, of the data's classes."""
        outputs = "logits" if self.settings.loss == "cross_entropy" else "scores"
        return Meaning(data.scaling, "classifier", outputs, data.classes)

    def metrics(self) -> "ClassifierMetrics":
        """Error, and further metrics that depend on the loss."""
        return ClassifierMetrics(self.network.sizes[-1], self.settings.loss)


class ClassifierMetrics(TaskMetrics):
    """Metrics of a classifier.

    ``error``: fraction of wrong labels; ``balanced_error``, see :class:`BalancedError`. With cross-entropy also
    ``nll``, mean negative log-likelihood in nats, and ``calibration_error``, see :class:`CalibrationError`; with
    squared loss ``squared_loss``, its mean.
    """

    def __init__(self, n_classes: int, loss: str = "cross_entropy") -> None:
        metrics: dict[str, Any] = {"error": MeanMetric(), "balanced_error": BalancedError(n_classes)}
        if loss == "cross_entropy":
            metrics["nll"] = MeanMetric()
            metrics["calibration_error"] = CalibrationError()
        elif loss == "squared":
            metrics["squared_loss"] = MeanMetric()
        super().__init__(**metrics)

    def update(self, outputs: Tensor, block: Block) -> None:
        """Add images with their logits ``(n, n_classes)``."""
        assert block.labels is not None
        predicted = outputs.argmax(1)
        self.add("error", (predicted != block.labels).double())
        self.add("balanced_error", predicted, block.labels)
        if "nll" in self.named:
            self.add("nll", cross_entropy(outputs.double(), block.labels, 0.0))
            self.add("calibration_error", outputs, block.labels)
        elif "squared_loss" in self.named:
            self.add("squared_loss", squared(outputs.double(), block.labels, 0.0))
