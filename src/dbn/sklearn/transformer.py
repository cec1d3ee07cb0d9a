"""What the estimators have in common: validated rows, scaling, application of a model batch after batch."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted, validate_data
from torch import Tensor, nn

from dbn.data.given_images import BATCH
from dbn.errors import DataError
from dbn.settings import check_number
from dbn.sklearn.inputs import ACCEPTED, Inputs, dtype_of


class ScaledTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """A transformer that scales its inputs. A subclass sets ``inputs_`` when it is fitted.

    Attributes:
        inputs_: scaling of the rows, :class:`dbn.sklearn.inputs.Inputs`.
    """

    inputs_: Inputs
    _model: ClassVar[str]
    """Name of the attribute that a fit sets last."""

    def __sklearn_is_fitted__(self) -> bool:
        return self._model in vars(self)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _rows(self, X: Any, **options: Any) -> Any:
        """Validated rows: an array or a CSR matrix of one of :data:`ACCEPTED`; ``options`` of ``validate_data``."""
        return validate_data(self, X, accept_sparse="csr", dtype=ACCEPTED, **options)

    def _applied(self, model: nn.Module, X: Any, function: Callable[[Any, Tensor], Tensor]) -> NDArray:
        """``function`` of a model in the type of ``X``, and of the features of ``X``, batch after batch.

        Returns:
            Results ``(n, ...)`` in the type of :func:`dbn.sklearn.inputs.dtype_of`.
        """
        check_is_fitted(self)
        X = self._rows(X, reset=False)
        own = in_type(model, dtype_of(X))
        with torch.no_grad():
            return np.concatenate([function(own, features).numpy() for _, features in self.inputs_.batches(X)])

    def _returned(self, model: nn.Module, H: Any, size: int, function: Callable[[Any, Tensor], Tensor]) -> NDArray:
        """``function`` of a model in the type of ``H`` ``(n, size)``, as rows in the units of ``X``."""
        check_is_fitted(self)
        H = check_array(H, dtype=(np.float64, np.float32), input_name="X")
        if H.shape[1] != size:
            raise DataError(f"X has {H.shape[1]} columns, but {type(self).__name__} has {size} hidden units.")
        own = in_type(model, H.dtype.type)
        rows: list[NDArray] = []
        with torch.no_grad():
            for start in range(0, len(H), BATCH):
                features = function(own, torch.from_numpy(np.require(H[start : start + BATCH], None, ["C", "W"])))
                rows.append(self.inputs_.stored(features))
        return np.concatenate(rows)


def in_type(model: nn.Module, dtype: Any) -> nn.Module:
    """A float32 model itself, or a copy in float64."""
    return deepcopy(model).double() if dtype == np.float64 else model


def draw_seed(random_state: np.random.RandomState) -> int:
    """A seed for the package's random streams."""
    return int(random_state.randint(np.iinfo(np.int32).max))


def array(values: Tensor, like: Any) -> NDArray:
    """A copy of ``values`` as an array of the type ``like``."""
    found: NDArray = values.detach().numpy().astype(like)
    return found


def check_layer(estimator: Any, layer: int | None, depth: int) -> None:
    """Raise ``SettingError`` unless ``layer`` is None, or one of the ``depth`` hidden layers, from 1."""
    if layer is not None:
        check_number(f"{type(estimator).__name__}.layer", layer, low=1, high=depth, whole=True)
