"""scikit-learn's own checks of an estimator, every one of them."""

from typing import Any

from sklearn.utils.estimator_checks import parametrize_with_checks

from dbn.sklearn import DBN, RBM, ClassRBM

ESTIMATORS = [
    RBM(n_components=20, n_iter=3),
    RBM(n_components=20, n_iter=3, sampler="cd", momentum=0.5, weight_decay=1e-4),
    DBN((20, 10), n_iter=2),
    DBN((20, 10), n_iter=2, layer=1, scaling="range"),
    ClassRBM(20, n_iter=20),
    ClassRBM(20, n_iter=20, objective="discriminative", momentum=0.5, weight_decay=1e-4),
]


@parametrize_with_checks(ESTIMATORS)
def test_it_passes(estimator: Any, check: Any) -> None:
    check(estimator)
