"""Regression: prediction of numbers by least squares."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from dbn.data import DataSet
from dbn.data.blocks import Block, Minibatch
from finetune.networks.meaning import Meaning
from finetune.networks.targets import Targets
from finetune.tasks.base import FineTuning, TaskMetrics


class Regression(FineTuning):
    r"""Trains a network whose outputs are standardised targets by least squares, see :class:`FineTuning`.

    The loss of a row is :math:`\frac12 \sum_k (o_k - t_k)^2`, with targets :math:`t` of mean 0 and variance 1 over the
    labelled training rows, so that targets of any units weigh the same. It is the negative log-likelihood of Gaussian
    noise of one standard deviation, up to a constant.

    Args:
        *args: as for :class:`FineTuning`.
        targets: of each model of a group; of a single one a sequence of one.
        **kwargs: as for :class:`FineTuning`.

    References:
        Bishop (2006), *Pattern Recognition and Machine Learning*, section 5.2.
    """

    monitor = "rmse"

    def __init__(self, *args: Any, targets: Sequence[Targets], **kwargs: Any) -> None:
        self.targets = list(targets)
        super().__init__(*args, **kwargs)
        self.validation_metrics = torch.nn.ModuleList(map(RegressionMetrics, self.targets))
        means, deviations = (
            torch.stack([getattr(own, key) for own in self.targets]).unsqueeze(1) for key in ("mean", "deviation")
        )
        group = len(self.targets) > 1
        self.register_buffer("means", means if group else means[0], persistent=False)
        self.register_buffer("deviations", deviations if group else deviations[0], persistent=False)

    means: Tensor
    deviations: Tensor

    def losses(self, outputs: Tensor, batch: Minibatch) -> Tensor:
        """Half the squared error of each row's standardised targets, added, times the row's weight."""
        assert batch.labels is not None
        errors = outputs - (batch.labels - self.means) / self.deviations
        return batch.weighed(0.5 * errors.square().sum(-1))

    def meaning(self, data: DataSet) -> Meaning:
        """Standardised targets."""
        return Meaning(data.scaling, "regression", "standardised", targets=self.targets[0])

    def metrics(self) -> "RegressionMetrics":
        """Errors in the targets' own units."""
        return RegressionMetrics(self.targets[0])


class RegressionMetrics(TaskMetrics):
    """Metrics of predicted numbers, in the units of the targets, see :func:`regression_errors`.

    Args:
        targets: the targets.
    """

    def __init__(self, targets: Targets) -> None:
        super().__init__(sums=ErrorSums(len(targets.names)))
        self.targets = targets

    def update(self, outputs: Tensor, block: Block) -> None:
        """Add rows with their outputs ``(n, n_targets)``."""
        assert block.labels is not None
        self.add("sums", self.targets.values(outputs.double()), block.labels.double(), self.targets.mean.double())

    def compute(self) -> dict[str, float]:
        """Values of the metrics by name."""
        sums = self.named["sums"]
        assert isinstance(sums, ErrorSums)
        return regression_errors(sums.compute())  # of all processes


class ErrorSums(Metric):
    """Sums over rows from which errors follow, for each target.

    Args:
        n_targets: number of targets.
    """

    full_state_update = False
    sums: Tensor

    def __init__(self, n_targets: int) -> None:
        super().__init__()
        self.set_dtype(torch.float64)
        self.add_state("sums", torch.zeros(5, n_targets, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, predicted: Tensor, values: Tensor, centre: Tensor) -> None:
        """Add rows: predictions and values ``(n, n_targets)``; moments are round ``centre``, for their precision."""
        errors, centred = predicted - values, values - centre.to(values)
        parts = (torch.ones_like(errors), errors.abs(), errors.square(), centred, centred.square())
        self.sums += torch.stack([part.sum(0) for part in parts])

    def compute(self) -> Tensor:
        """Rows, absolute and squared errors, first and second moment: ``(5, n_targets)``."""
        return self.sums


def regression_errors(sums: Tensor) -> dict[str, float]:
    """Errors of predicted numbers from :class:`ErrorSums` ``(5, n_targets)``; of several targets their mean.

    ``rmse``: root of the mean squared error. ``mae``: mean absolute error. ``r2``: coefficient of determination, 1
    minus the squared error over that of the mean of the evaluated rows; 0 where all their targets are equal. Means over
    targets are scikit-learn's.
    """
    n, absolute, squared, first, second = sums
    spread = second - first.square() / n
    explained = torch.where(spread > 0, 1 - squared / spread.where(spread > 0, torch.ones_like(spread)), 0.0)
    found = {"rmse": (squared / n).sqrt(), "mae": absolute / n, "r2": explained}
    return {name: float(values.mean()) for name, values in found.items()}
