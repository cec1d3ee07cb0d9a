"""A seed also draws the split: alone and among others, for pretraining and fine-tuning, with images kept whole."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from dbn.data.from_config import data_of
from dbn.errors import RunConflictError, SettingError
from dbn.pretraining.stack_run import pretrain_seeds, pretraining_directory
from finetune.runs.network_run import finetune, finetune_seeds, finetuning_directory
from finetune.tasks.predictions import read_predictions
from helpers import Composer

SMALL = ["stack.layers=[12,8]", "stack.every_layer.epochs=2", "training.epochs=3", "training.batch_size=50"]
COPIES = ["data.name=copies", "data.source={_target_:own.copies.copies}", "training.weights=last"]


def labels_tested(config: dict[str, Any]) -> Any:
    found = read_predictions(finetuning_directory(config))
    assert found is not None
    return found.label


def test_a_seed_draws_the_split_unless_a_number_fixes_it(compose: Composer) -> None:
    drawn = finetune_seeds(compose("finetune", [*SMALL, "arm=random_relu", "n_parallel_seeds=3"]))
    assert [result["config"]["data"]["split_seed"] for result in drawn] == [0, 1, 2]
    fixed = ["study=fixed", "data.split_seed=1", "arm=random_relu", "n_parallel_seeds=2"]
    fixed_results = finetune_seeds(compose("finetune", [*SMALL, *fixed]))
    assert [result["config"]["data"]["split_seed"] for result in fixed_results] == [1, 1]
    for result in [*drawn, *fixed_results]:
        data = data_of(result["config"])
        assert data.test_index is not None
        assert data.test.labels is not None
        in_order = data.test.labels[data.test_index.argsort()]  # predictions are in the order of the source
        assert (labels_tested(result["config"]) == in_order.numpy()).all()
    tested = [data_of(result["config"]).test.features() for result in drawn]
    assert not torch.equal(tested[0], tested[1])
    assert not torch.equal(tested[1], tested[2])


@pytest.mark.parametrize("arm", ["dbn", "random_relu"])
def test_a_member_of_a_group_trains_on_its_own_split_as_it_would_alone(arm: str, compose: Composer) -> None:
    """Up to rounding; with the split of the other seed, all of these would differ by more."""
    small = [*SMALL, f"arm={arm}", "training.epochs=30", "stack.every_layer.epochs=5"]
    group = finetune_seeds(compose("finetune", [*small, "n_parallel_seeds=2", "seed=4"]))
    metrics = ("train/nll", "validation/nll", "test/nll")
    for result in group:
        (alone,) = finetune_seeds(compose("finetune", [*small, "study=alone", f"seed={result['seed']}"]))
        for metric in metrics:
            assert abs(result["metrics"][metric] / alone["metrics"][metric] - 1) < 0.01
    for metric in metrics:
        assert abs(group[0]["metrics"][metric] / group[1]["metrics"][metric] - 1) > 0.02


def test_arms_of_a_seed_share_its_stack_whoever_trained_it(compose: Composer) -> None:
    """Of all seeds the stacks have one name, and a fixed split other stacks, except where it is the seed's own."""
    pretrain_seeds(compose("pretrain", [*SMALL[:2], "n_parallel_seeds=2"]))
    results = [finetune(compose("finetune", [*SMALL, arm, f"seed={seed}"])) for arm in ("arm=dbn", "arm=dbn_dropout")
               for seed in (0, 1)]  # fmt: skip
    folder = Path(results[0]["config"]["paths"]["runs"]) / "default" / "pretrain"
    stacks = sorted(path.name for path in folder.iterdir())
    assert len(stacks) == 2
    assert stacks[0].removesuffix("_seed0") == stacks[1].removesuffix("_seed1")
    for result in results:
        config = json.loads((pretraining_directory(result["config"]) / "result.json").read_text())["config"]
        assert config["data"]["split_seed"] == result["seed"]
    fixed = [compose("finetune", [*SMALL, "arm=dbn", f"seed={seed}", "data.split_seed=0"]) for seed in (0, 1)]
    assert pretraining_directory(fixed[0]).name == stacks[0]
    assert pretraining_directory(fixed[1]).name not in stacks


def test_a_run_of_another_split_is_refused(compose: Composer) -> None:
    """As in studies that were made when a number was the default."""
    small = [*SMALL, "arm=random_relu", "seed=1"]
    finetune(compose("finetune", [*small, "data.split_seed=0"]))
    with pytest.raises(
        RunConflictError, match=r"with data\.split_seed=0, this one has data\.split_seed=1.*: data\.split_seed=0\."
    ):
        finetune(compose("finetune", small))
    directory = finetuning_directory(compose("finetune", small))
    longer = compose("finetune", [*small, "name=longer", "training.epochs=9", f"continue_from={directory}"])
    with pytest.raises(SettingError, match=r"that run has data\.split_seed=0, this one data\.split_seed=1"):
        finetune(longer)


def test_the_run_of_seed_0_is_the_one_it_was(compose: Composer) -> None:
    """A stored configuration with the number of today's default is the same run."""
    config = compose("finetune", [*SMALL, "arm=random_relu"])
    first = finetune(config)
    stored = yaml.safe_load((finetuning_directory(config) / ".hydra" / "config.yaml").read_text())
    assert stored["data"]["split_seed"] == 0
    assert finetune(compose("finetune", [*SMALL, "arm=random_relu", "data.split_seed=0"])) == first


@pytest.mark.parametrize("labels", ["null", "30"])
def test_splits_of_different_sizes_train_one_after_another(
    labels: str, compose: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a picture's copies all or one are in a split: numbers of training images differ, and all are trained on."""
    small = [*SMALL, *COPIES, f"data.n_labelled={labels}", "arm=dbn", "checkpoint_seconds=0"]
    config = compose("finetune", [*small, "n_parallel_seeds=4"])
    sizes = [len(data_of({**config, "seed": seed}).train) for seed in range(4)]
    assert len(set(sizes)) > 1
    from finetune.runs import network_run

    finish, calls = network_run._finish, []

    def failing_finish(*arguments: Any) -> dict[str, Any]:
        calls.append(0)
        if len(calls) == 3:
            raise InterruptedError
        return finish(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(network_run, "_finish", failing_finish)
        with pytest.raises(InterruptedError):
            finetune_seeds(config)
    group = finetune_seeds(config)
    for result in group:
        alone = finetune(compose("finetune", [*small, "study=alone", f"seed={result['seed']}"]))
        assert abs(result["metrics"]["train/nll"] - alone["metrics"]["train/nll"]) < 0.01
        if labels == "null":
            assert result["flops"]["fine_tuning"] == alone["flops"]["fine_tuning"]
    assert not (Path(config["paths"]["runs"]) / "default" / "together").exists()
