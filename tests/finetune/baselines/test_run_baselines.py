"""Baselines as runs of a study: once for each seed, with predictions, and refused where they do not fit."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from dbn.data import Source, digits, load_data
from dbn.errors import SettingError
from finetune.baselines import run_baselines as module
from finetune.baselines.easypr.recogniser import EasyPRNetwork, train_easypr
from finetune.baselines.run_baselines import check_baselines, run_baselines
from finetune.runs.network_run import finetune
from finetune.tasks.predictions import read_predictions
from helpers import Composer


def test_a_study_has_it_once_for_each_seed_with_predictions(
    compose: Composer, bars: Callable[[int], Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = []

    def train(images: NDArray[np.uint8], labels: NDArray[np.int64], n_classes: int, seed: int) -> EasyPRNetwork:
        trained.append(seed)
        return train_easypr(images, labels, n_classes, seed, at_least=0)

    monkeypatch.setitem(module.RECOGNISERS, "easypr", train)
    data = load_data(bars(60), validation=0, test=15)
    for seed in (0, 1, 1):
        run_baselines(compose("finetune", ["data=easypr", "task.baselines=[easypr]", f"seed={seed}"]), data)
    assert trained == [0, 1]
    config = compose("finetune", ["data=easypr", "task.baselines=[easypr]", "data.n_labelled=45"])
    run_baselines(config, data)
    folder = Path(config["paths"]["runs"]) / "default" / "baseline"
    assert sorted(path.name for path in folder.iterdir()) == ["easypr_45_seed0", "easypr_seed0", "easypr_seed1"]
    result = json.loads((folder / "easypr_seed1" / "result.json").read_text())
    assert (result["stage"], result["task"], result["arm"], result["seed"]) == ("baseline", "classifier", "easypr", 1)
    assert result["classes"] == ["i", "zh_yi", "x"]
    predictions = read_predictions(folder / "easypr_seed1")
    assert predictions is not None
    assert data.test.labels is not None
    assert data.test_index is not None
    assert np.array_equal(predictions.label, data.test.labels[data.test_index.argsort()])
    assert result["metrics"]["test/error"] == (predictions.label != predictions.predicted).mean()
    assert "validation/error" not in result["metrics"]


def test_a_recogniser_of_other_data_or_of_no_name_is_refused(compose: Composer) -> None:
    data = load_data(digits())
    with pytest.raises(SettingError, match=r"task\.baselines=\['easypr'\]: .*data=easypr, this is data=digits"):
        check_baselines(compose("finetune", ["task.baselines=[easypr]"]), data)
    with pytest.raises(SettingError, match=r"task\.baselines='pca': no such choice"):
        check_baselines(compose("finetune", ["task.baselines=[pca]"]), data)


def test_a_baseline_for_other_features_is_refused_before_training(compose: Composer) -> None:
    options = ["task=autoencoder", "data.standardise=true", "stack.visible=gaussian", "stack.layers=[12,4]"]
    with pytest.raises(SettingError, match=r"logistic_pca is for features from 0 to 1.*Use task.baselines=\[pca\]"):
        finetune(compose("finetune", options))
    assert not list(Path("runs").rglob("*.ckpt")), "nothing was trained"
