"""scikit-learn's own checks of a regressor."""

from typing import Any

from sklearn.utils.estimator_checks import parametrize_with_checks

from finetune.sklearn import DBNRegressor

STOCHASTIC = "a row of weight 2 is in one minibatch, a repeated row in two: stochastic gradients differ"
EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": STOCHASTIC,
    "check_sample_weight_equivalence_on_sparse_data": STOCHASTIC,
}


@parametrize_with_checks(
    [DBNRegressor((20,), pretraining_epochs=2, epochs=40)],
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES,
)
def test_it_passes(estimator: Any, check: Any) -> None:
    check(estimator)
