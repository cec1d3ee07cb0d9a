"""RBMs and DBNs as scikit-learn's transformers, class RBMs as its classifiers.

>>> from sklearn.datasets import load_digits
>>> from dbn.sklearn import RBM
>>> X, _ = load_digits(return_X_y=True)
>>> RBM(n_components=20, n_iter=2, random_state=0).fit_transform(X / 16).shape
(1797, 20)
"""

from typing import TYPE_CHECKING

from dbn.lazy import lazy_attributes

if TYPE_CHECKING:
    from dbn.sklearn.class_rbm import ClassRBM
    from dbn.sklearn.dbn import DBN
    from dbn.sklearn.rbm import RBM

__all__ = ["DBN", "RBM", "ClassRBM"]

if not TYPE_CHECKING:  # a checker that saw it would let every misspelt name pass
    __getattr__, __dir__ = lazy_attributes(
        __name__, {"ClassRBM": "dbn.sklearn.class_rbm", "DBN": "dbn.sklearn.dbn", "RBM": "dbn.sklearn.rbm"}
    )
