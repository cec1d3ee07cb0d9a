"""Classification: softmax and cross-entropy."""

from typing import Any

from torch import Tensor
from torch.nn import functional as F
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassCalibrationError

from dbn.data.blocks import Block, Minibatch
from finetune.tasks.base import FineTuning, TaskMetrics


class Classifier(FineTuning):
    """Trains class probabilities ``softmax(network(x))`` by cross-entropy; see :class:`FineTuning`."""

    watched = "error"

    def losses(self, outputs: Tensor, batch: Minibatch) -> Tensor:
        """Cross-entropy of each image, in nats, with the label smoothing of the settings."""
        labels = batch.labels
        assert labels is not None
        smoothing = self.settings.label_smoothing
        losses = F.cross_entropy(outputs.flatten(0, -2), labels.flatten(), reduction="none", label_smoothing=smoothing)
        return losses.view(labels.shape)

    def metrics(self) -> "ClassifierMetrics":
        """Error, negative log-likelihood, calibration error."""
        return ClassifierMetrics(self.network.sizes[-1])


class ClassifierMetrics(TaskMetrics):
    """``error``: fraction of wrong labels. ``nll``: mean negative log-likelihood in nats. ``calibration_error``:
    expected calibration error over 15 bins of confidence (Guo et al. 2017, *On calibration of modern neural networks*).
    """  # noqa: D205

    def __init__(self, n_classes: int) -> None:
        metrics: dict[str, Any] = {
            "error": MeanMetric(),
            "nll": MeanMetric(),
            "calibration_error": MulticlassCalibrationError(n_classes, n_bins=15),
        }
        super().__init__(**metrics)

    def update(self, outputs: Tensor, block: Block) -> None:
        """Add images with their logits ``(n, n_classes)``."""
        assert block.labels is not None
        self.add("error", (outputs.argmax(1) != block.labels).double())
        self.add("nll", F.cross_entropy(outputs.double(), block.labels, reduction="none"))
        self.add("calibration_error", outputs.softmax(1), block.labels)
