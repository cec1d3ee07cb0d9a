"""Expected calibration error of a classifier."""

import torch
from torch import Tensor
from torchmetrics import Metric

N_BINS = 15


class CalibrationError(Metric):
    r"""Expected calibration error over ``n_bins`` bins of confidence of equal width.

    .. math:: \sum_{m=1}^{M} \frac{|B_m|}{n} \left| \mathrm{acc}(B_m) - \mathrm{conf}(B_m) \right|

    Bin ``m`` holds the confidences in :math:`(\frac{m-1}{M}, \frac{m}{M}]`, the first one also 0. (torchmetrics' own
    metric has a separate bin ``M + 1`` for a confidence of 1.)

    Args:
        n_bins: ``M``.

    References:
        Guo et al. (2017), *On calibration of modern neural networks*, ICML, equation 3.
    """

    full_state_update = False
    higher_is_better = False
    n_images: Tensor
    n_right: Tensor
    confidence: Tensor

    def __init__(self, n_bins: int = N_BINS) -> None:
        super().__init__()
        self.n_bins = n_bins
        self.set_dtype(torch.float64)
        for name in ("n_images", "n_right", "confidence"):  # sums per bin
            self.add_state(name, torch.zeros(n_bins, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Add images with their logits ``(n, n_classes)`` and labels ``(n,)``."""
        predicted = logits.argmax(1)  # as for the error
        confidence = logits.double().softmax(1).gather(1, predicted.unsqueeze(1)).squeeze(1)
        edges = torch.arange(1, self.n_bins, dtype=torch.float64, device=logits.device) / self.n_bins
        bins = torch.bucketize(confidence, edges)  # an edge belongs to the bin below it
        for total, values in (
            (self.n_images, torch.ones_like(confidence)),
            (self.n_right, (predicted == labels).double()),
            (self.confidence, confidence),
        ):
            total.index_add_(0, bins, values)

    def compute(self) -> Tensor:
        """The error, a scalar in [0, 1]; 0 without images."""
        return (self.n_right - self.confidence).abs().sum() / self.n_images.sum().clamp(min=1)
