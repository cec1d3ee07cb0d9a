"""Pretrained networks as scikit-learn's estimators.

>>> from sklearn.datasets import load_digits
>>> from finetune.sklearn import DBNClassifier
>>> X, y = load_digits(return_X_y=True)
>>> y[500:] = -1  # no label: these rows are for pretraining only
>>> DBNClassifier((50,), pretraining_epochs=2, epochs=5, random_state=0).fit(X, y).predict_proba(X[:3]).shape
(3, 10)
"""

from typing import TYPE_CHECKING

from dbn.lazy import lazy_attributes

if TYPE_CHECKING:
    from finetune.sklearn.classifier import DBNClassifier
    from finetune.sklearn.regressor import DBNRegressor

__all__ = ["DBNClassifier", "DBNRegressor"]

if not TYPE_CHECKING:  # a checker that saw it would let every misspelt name pass
    __getattr__, __dir__ = lazy_attributes(
        __name__, {"DBNClassifier": "finetune.sklearn.classifier", "DBNRegressor": "finetune.sklearn.regressor"}
    )
