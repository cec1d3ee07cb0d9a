"""Balanced error of a classifier."""

import torch
from torch import Tensor
from torchmetrics import Metric


class BalancedError(Metric):
    """Mean over classes of the fraction of the class's images that are wrong: 1 minus the balanced accuracy.

    Classes without images are left out of the mean; without any image it is 0.

    Args:
        n_classes: number of classes.

    References:
        Brodersen, Ong, Stephan & Buhmann (2010), *The balanced accuracy and its posterior distribution*, ICPR.
    """

    full_state_update = False
    higher_is_better = False
    n_images: Tensor
    n_wrong: Tensor

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.set_dtype(torch.float64)
        for name in ("n_images", "n_wrong"):  # of each class
            self.add_state(name, torch.zeros(n_classes, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, predicted: Tensor, labels: Tensor) -> None:
        """Add images with their predicted classes and labels, ``(n,)`` each."""
        self.n_images.index_add_(0, labels, torch.ones_like(labels, dtype=torch.float64))
        self.n_wrong.index_add_(0, labels, (predicted != labels).double())

    def compute(self) -> Tensor:
        """The error, a scalar in [0, 1]."""
        present = self.n_images > 0
        shares = self.n_wrong / self.n_images.clamp(min=1)
        return shares.sum() / present.sum().clamp(min=1)
