"""Autoencoding: reconstruction of images from a low-dimensional code."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import MeanMetric

from dbn.data import DataSet
from dbn.data.blocks import Block, Minibatch
from finetune.networks.meaning import Meaning
from finetune.tasks.base import FineTuning, TaskMetrics


class Autoencoder(FineTuning):
    """Trains an autoencoder; see :class:`FineTuning`.

    Args:
        *args: as for :class:`FineTuning`.
        real: outputs are means of real pixels (squared error), not logits of probabilities (cross-entropy).
        **kwargs: as for :class:`FineTuning`.
    """

    monitor = "squared_error"

    def __init__(self, *args: Any, real: bool = False, **kwargs: Any) -> None:
        self.real = real
        super().__init__(*args, **kwargs)

    def losses(self, outputs: Tensor, batch: Minibatch) -> Tensor:
        """Loss of each image, summed over pixels, times its weight: cross-entropy in nats or half the squared error."""
        if self.real:
            losses = 0.5 * F.mse_loss(outputs, batch.features, reduction="none").sum(-1)
        else:
            losses = F.binary_cross_entropy_with_logits(outputs, batch.features, reduction="none").sum(-1)
        return batch.weighed(losses)

    def reconstruct(self, features: Tensor) -> Tensor:
        """Reconstructions of images ``(batch, n_features)``; same shape."""
        outputs: Tensor = self.network(features)
        return outputs if self.real else torch.sigmoid(outputs)

    def meaning(self, data: DataSet) -> Meaning:
        """Reconstructed features, or their logits."""
        return Meaning(data.scaling, "autoencoder", "pixels" if self.real else "pixel_logits")

    def metrics(self) -> "AutoencoderMetrics":
        """Squared error and, for pixels in [0, 1], cross-entropy."""
        return AutoencoderMetrics(self.real)


class AutoencoderMetrics(TaskMetrics):
    """``squared_error`` and ``cross_entropy`` (nats): summed over an image's pixels, mean over images."""

    def __init__(self, real: bool) -> None:
        self.real = real
        names = ("squared_error",) if real else ("squared_error", "cross_entropy")
        super().__init__(**{name: MeanMetric() for name in names})

    def update(self, outputs: Tensor, block: Block) -> None:
        """Add images with the network's outputs for them ``(n, n_features)``."""
        means = outputs if self.real else torch.sigmoid(outputs)
        self.add("squared_error", (means - block.features).square().sum(1).double())
        if not self.real:
            entropy = F.binary_cross_entropy_with_logits(outputs, block.features, reduction="none")
            self.add("cross_entropy", entropy.sum(1).double())
