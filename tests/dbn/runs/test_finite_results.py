"""Runs whose numbers have become infinite or NaN: an error that says what to do, no result, others left alone."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from dbn.errors import DivergenceError
from dbn.runs.run import Run, execute_all
from finetune.runs.network_run import finetune_seeds
from helpers import Composer

FAST = ["debug=fast", "stack.layers=[9,9,9]", "study=s"]


def results_of(values: Sequence[float], folder: Path) -> Any:
    """What execute_all makes of runs that end with these errors."""
    runs = [Run(folder / f"s/finetune/r_seed{seed}", {"seed": seed, "data": {}}) for seed in range(len(values))]

    def work(waiting: Sequence[Run]) -> Iterator[dict[str, Any]]:
        for run in waiting:
            yield {"stage": "finetune", "metrics": {"train/error": 0.5, "test/nll": values[run.seed]}}

    return execute_all(runs, work)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_runs_of_a_group_that_did_not_diverge_keep_their_results(value: float, tmp_path: Path) -> None:
    with pytest.raises(DivergenceError, match=r"r_seed1 diverged: metrics.test/nll is (nan|-?inf)\. Lower training"):
        results_of([0.25, value, 0.75], tmp_path)
    folders = [tmp_path / f"s/finetune/r_seed{seed}" for seed in range(3)]
    assert [(own / "result.json").is_file() for own in folders] == [True, False, True]
    assert [(own / "error.txt").is_file() for own in folders] == [False, True, False]
    assert json.loads((folders[2] / "result.json").read_text())["metrics"]["test/nll"] == 0.75
    assert "metrics.test/nll" in (folders[1] / "error.txt").read_text().splitlines()[-1]
    assert [own["metrics"]["test/nll"] for own in results_of([9, 0.5, 9], tmp_path)] == [0.25, 0.5, 0.75]
    assert not (folders[1] / "error.txt").is_file()


@pytest.mark.parametrize("n", [1, 2])
def test_a_network_of_finite_weights_and_infinite_loss(n: int, compose: Composer) -> None:
    """Of one step, so that no gradient is computed with the weights that it leads to."""
    steep = ["arm=random_relu", "training.learning_rate=1e15", "training.batch_size=2000", f"n_parallel_seeds={n}"]
    with pytest.raises(DivergenceError, match=r"random_relu_seed0 diverged: metrics\.\w+/nll is .* training\.max_norm"):
        finetune_seeds(compose("finetune", [*FAST, *steep]))
    assert len(list(Path("runs/s/finetune").glob("*/error.txt"))) == n
    assert not list(Path("runs").rglob("result.json"))


@pytest.mark.parametrize("n", [1, 2])
def test_a_stack_of_finite_weights_and_infinite_norm(n: int, compose: Composer) -> None:
    steep = ["arm=dbn", "stack.layers=[20]", "stack.every_layer.learning_rate=1e6", "stack.every_layer.epochs=1"]
    steep += [f"n_parallel_seeds={n}", "pretrain_only=true", "study=s"]
    with pytest.raises(DivergenceError, match=r"seed0 diverged: metrics\.layer1/.*stack\.every_layer\.learning_rate"):
        finetune_seeds(compose("finetune", steep))
    assert len(list(Path("runs/s/pretrain").glob("*/error.txt"))) == n
    assert not list(Path("runs").rglob("result.json"))
