"""scikit-learn's own checks of an estimator; the two that repeat rows in place of weights suppose full batches."""

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


STOCHASTIC = "a row of weight 2 is in one minibatch, a repeated row in two: stochastic gradients differ"
EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": STOCHASTIC,
    "check_sample_weight_equivalence_on_sparse_data": STOCHASTIC,
}


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=lambda estimator: EXPECTED_FAILURES)
def test_it_passes(estimator: Any, check: Any) -> None:
    check(estimator)
