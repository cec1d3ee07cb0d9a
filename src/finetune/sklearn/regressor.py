"""A pretrained network as a scikit-learn regressor."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.utils.validation import _check_sample_weight, check_array

from dbn.errors import DataError
from finetune.networks.meaning import Meaning
from finetune.networks.network import Network
from finetune.networks.targets import Targets
from finetune.sklearn.pretrained_network import PretrainedNetwork
from finetune.tasks.regression import Regression
from finetune.tasks.settings import TrainingSettings


class DBNRegressor(RegressorMixin, PretrainedNetwork):
    """Regressor that is pretrained as a DBN on all rows, and fine-tuned by least squares on those with a target.

    Rows whose target is NaN have none: they take part in pretraining only. Targets, one or several, are standardised
    within ``fit``. Parameters and attributes are those of
    :class:`finetune.sklearn.pretrained_network.PretrainedNetwork`; early stopping goes by the root mean squared error.

    Attributes:
        targets_: names, means and deviations of the targets, :class:`finetune.networks.targets.Targets`.

    Example:
        >>> from sklearn.datasets import load_diabetes
        >>> from finetune.sklearn import DBNRegressor
        >>> X, y = load_diabetes(return_X_y=True)
        >>> DBNRegressor((50,), pretraining_epochs=2, epochs=5, random_state=0).fit(X, y).predict(X).shape
        (442,)
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "DBNRegressor":
        """Pretrain on all rows ``X``, fine-tune on those with a target.

        Args:
            X: ``(n_samples, n_features)``, dense or sparse.
            y: targets ``(n_samples,)`` or ``(n_samples, n_targets)``; NaN: none.
            sample_weight: weights of the rows' losses ``(n_samples,)``, which are divided by their mean; rows of weight
                0 and rows without target take part in pretraining only.

        Raises:
            ValueError: a parameter, ``X``, ``y`` or ``sample_weight`` is invalid.
            DivergenceError: parameters became infinite or NaN.
        """
        given = self._checked()
        if y is None:
            raise DataError("DBNRegressor requires y to be passed, but the target y is None.")
        X = self._rows(X)
        y = check_array(y, dtype=np.float64, ensure_2d=False, ensure_all_finite="allow-nan", input_name="y")
        values = y[:, None] if y.ndim == 1 else y
        if len(values) != X.shape[0]:
            raise DataError(f"y has {len(values)} rows, X has {X.shape[0]}. Give a target for each row, or NaN.")
        weights: NDArray = _check_sample_weight(sample_weight, X, dtype=np.float64, copy=True)
        if (weights < 0).any():
            raise DataError(f"sample_weight holds {weights.min():g}. Give numbers from 0.")
        rows = np.flatnonzero(np.isfinite(values).all(1) & (weights > 0))
        if not len(rows):
            raise DataError(
                "No row has both a target and a weight: all are NaN, or the weights of all others are zero. Train a "
                "DBN on them instead."
            )
        own = None if sample_weight is None else torch.from_numpy(weights[rows] / weights[rows].mean()).float()
        targets = torch.from_numpy(values[rows])
        names = [f"y{k}" for k in range(values.shape[1])]
        self.targets_ = Targets.of(names, targets)
        self._is_single = y.ndim == 1
        self._fit(X, given, rows, targets.float(), own, values.shape[1])
        return self

    def predict(self, X: Any) -> NDArray:
        """Targets of rows ``X``, ``(n_samples,)`` or ``(n_samples, n_targets)`` as they were given to ``fit``."""
        values = self._outputs(X, lambda outputs: self.targets_.values(outputs))
        return values[:, 0] if self._is_single else values

    def _module(self, network: Network, settings: TrainingSettings, **options: Any) -> Regression:
        """See :meth:`PretrainedNetwork._module`."""
        return Regression(network, settings, targets=[self.targets_], **options)

    def _meaning(self) -> Meaning:
        """Standardised targets."""
        return Meaning(self.inputs_.scaling, "regression", "standardised", targets=self.targets_)
