"""The objective: which names are taken, and that it is no part of what a run is."""

from typing import Any

import pytest

from dbn.errors import SettingError
from dbn.runs.identity import run_identity
from finetune.runs.check_config import check_finetuning
from finetune.runs.network_run import finetune
from finetune.runs.objective import objective_values, objectives_of
from helpers import Composer


@pytest.mark.parametrize(
    ("overrides", "objectives"),
    [
        ([], ("validation/error",)),
        (["task=autoencoder"], ("validation/squared_error",)),
        (["task=regression", "data=diabetes"], ("validation/rmse",)),
        (["objective=validation/nll"], ("validation/nll",)),
        (["objective=[validation/balanced_error,operations]"], ("validation/balanced_error", "operations")),
    ],
)
def test_it_is_what_is_asked_for_or_the_metric_of_the_task(
    overrides: list[str], objectives: tuple[str, ...], compose: Composer
) -> None:
    config = compose("finetune", overrides)
    assert objectives_of(config) == objectives
    check_finetuning(config)


@pytest.mark.parametrize(
    ("overrides", "advice"),
    [
        (["objective=test/error"], "Use validation/error"),
        (["objective=validation/r2", "task=regression", "data=diabetes"], "Use validation/rmse"),
        (["objective=validation/rmse"], "Choose from validation/error"),
        (["objective=validation/nll", "training.loss=squared"], "validation/squared_loss"),
        (["objective=validation/eror"], "Did you mean validation/error"),
        (["objective=operations"], "objective=[validation/error,operations]"),
        (["objective=[validation/error,validation/error]"], "the same twice"),
        (["objective=[]"], "name a metric"),
        (["objective=validation/error", "data.validation=0", "training.weights=last"], "data.validation=0.2"),
    ],
)
def test_what_cannot_be_minimised_is_refused_with_what_can(
    overrides: list[str], advice: str, compose: Composer
) -> None:
    with pytest.raises(SettingError) as refused:
        check_finetuning(compose("finetune", overrides))
    assert advice in str(refused.value)


def test_a_run_has_the_values_and_is_the_same_run_whatever_is_asked_of_it(compose: Composer) -> None:
    small = ["arm=random_relu", "stack.layers=[8]", "training.epochs=1"]
    config = compose("finetune", [*small, "objective=[validation/nll,n_parameters,operations]"])
    result = finetune(config)
    values: Any = objective_values([result], config)
    assert values[0] == result["metrics"]["validation/nll"]
    assert values[1] == 64 * 8 + 8 + 8 * 10 + 10
    assert values[2] == result["flops"]["fine_tuning"]
    plain = compose("finetune", small)
    assert run_identity(plain) == run_identity(config)
    assert finetune(plain)["seconds"] == result["seconds"], "found, not trained again"


def test_a_run_without_validation_images_returns_nothing(compose: Composer) -> None:
    config = compose("finetune", ["data.validation=0"])
    assert objective_values([{"metrics": {"test/error": 0.1}}], config) is None
    assert objective_values([], config) is None
