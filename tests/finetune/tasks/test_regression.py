"""Regression: loss and metrics by their definitions, targets in their own units, seeds together, processes, report."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from dbn.data import DataSet, Images, TableSource, load_data
from dbn.data.blocks import Block, Minibatch
from dbn.data.from_config import data_of
from dbn.errors import SettingError
from finetune.networks.group import group_networks
from finetune.networks.meaning import Meaning
from finetune.networks.network import Network
from finetune.networks.targets import Targets
from finetune.report import write_report
from finetune.runs.network_run import finetune, finetune_seeds, finetuning_directory
from finetune.tasks import Regression
from finetune.tasks.regression import RegressionMetrics
from finetune.tasks.settings import TrainingSettings
from helpers import Composer

SMALL = [
    "task=regression", "data=diabetes", "stack.layers=[8]", "stack.every_layer.epochs=2", "training.epochs=5",
    "stack.every_layer.learning_rate=0.01", "training.learning_rate=0.05",
]  # fmt: skip


def module_of(values: torch.Tensor, **settings: Any) -> Regression:
    torch.manual_seed(1)
    options: Any = {"optimizer": torch.optim.SGD, "steps_per_epoch": 1}
    targets = [Targets.of(("a", "b")[: values.shape[1]], values)]
    network = Network.dense([4, 3, values.shape[1]])
    return Regression(network, TrainingSettings(epochs=1, **settings), targets=targets, **options)


def test_the_loss_is_half_the_squared_distance_to_standardised_targets() -> None:
    values = torch.tensor([[1.0, 100.0], [2.0, 300.0], [6.0, 500.0]])
    module, outputs, weights = module_of(values), torch.randn(3, 2), torch.tensor([1.0, 0.5, 2.0])
    scaled = (values - values.mean(0)) / values.std(0, correction=0)
    expected = 0.5 * (outputs - scaled).square().sum(1)
    torch.testing.assert_close(module.losses(outputs, Minibatch(torch.zeros(3, 4), values, 3)), expected)
    found = module.losses(outputs, Minibatch(torch.zeros(3, 4), values, 3, weights))
    torch.testing.assert_close(found, expected * weights)


def test_seeds_that_train_together_have_targets_of_their_own() -> None:
    values = [torch.randn(5, 2) * 10, torch.randn(5, 2) + 7]
    targets = [Targets.of(("a", "b"), own) for own in values]
    group = group_networks([Network.dense([4, 3, 2]) for _ in values])
    options: Any = {"optimizer": torch.optim.SGD, "steps_per_epoch": 1, "seeds": [0, 1]}
    module = Regression(group, TrainingSettings(epochs=1), targets=targets, **options)
    outputs, labels = torch.randn(2, 5, 2), torch.stack(values)
    found = module.losses(outputs, Minibatch(torch.zeros(2, 5, 4), labels, 5))
    for own, each, out in zip(targets, found, zip(outputs, labels, strict=True), strict=True):
        torch.testing.assert_close(each, 0.5 * (out[0] - own.standardised(out[1])).square().sum(1))


def test_metrics_are_scikit_learn_s_in_the_targets_units() -> None:
    """Two targets of very different units, added in two parts; far from zero, where sums of squares would cancel."""
    generator = np.random.default_rng(3)
    y = np.stack([generator.normal(0.01, 0.002, 90), generator.normal(1e6, 3, 90)], 1)
    targets = Targets.of(("a", "b"), torch.from_numpy(y).float())
    y = torch.from_numpy(y).float()
    outputs = targets.standardised(y) + 0.3 * torch.randn(90, 2, generator=torch.Generator().manual_seed(4))
    metrics = RegressionMetrics(targets)
    for part in (slice(0, 40), slice(40, 90)):
        n = len(y[part])
        metrics.update(outputs[part], Block(0, torch.zeros(n, 4), y[part], (n,), (n,)))
    predicted = targets.values(outputs.double()).numpy()
    found, truth = metrics.compute(), y.double().numpy()
    assert found["rmse"] == pytest.approx(root_mean_squared_error(truth, predicted), rel=1e-9)
    assert found["mae"] == pytest.approx(mean_absolute_error(truth, predicted), rel=1e-9)
    assert found["r2"] == pytest.approx(r2_score(truth, predicted), rel=1e-6)


def test_equal_targets_have_no_explained_share() -> None:
    same = torch.full((4, 1), 5.0)
    targets = Targets.of(("a",), same)
    assert targets.deviation.tolist() == [1.0]
    metrics = RegressionMetrics(targets)
    metrics.update(torch.zeros(4, 1), Block(0, torch.zeros(4, 2), same, (4,), (4,)))
    assert metrics.compute() == {"rmse": 0.0, "mae": 0.0, "r2": 0.0}


def predictions(config: dict[str, Any]) -> tuple[DataSet, np.ndarray]:
    """The data set of a run, and what its network, loaded from its file, predicts for its test rows."""
    data = data_of(config)
    return data, np.asarray(Network.load(finetuning_directory(config)).predict(data.test))


def test_a_result_is_what_the_saved_network_gives(compose: Composer) -> None:
    config = compose("finetune", [*SMALL, "arm=dbn"])
    result = finetune(config)
    data, predicted = predictions(config)
    truth = np.asarray(data.test.labels)
    assert predicted.shape == truth.shape == (89, 1)
    metrics = result["metrics"]
    assert {name.split("/")[0] for name in metrics} == {"train", "validation", "test"}
    assert metrics["test/rmse"] == pytest.approx(root_mean_squared_error(truth, predicted), rel=1e-5)
    assert metrics["test/mae"] == pytest.approx(mean_absolute_error(truth, predicted), rel=1e-5)
    assert metrics["test/r2"] == pytest.approx(r2_score(truth, predicted), abs=1e-5)
    assert (result["task"], result["targets"], result["classes"]) == ("regression", ["progression"], [])
    directory = finetuning_directory(config)
    assert not (directory / "pictures.npz").exists()
    assert not list(Path(config["paths"]["runs"]).rglob("pictures.npz"))


def test_rows_are_predicted_in_another_process(compose: Composer, tmp_path: Path) -> None:
    """From the network's file alone, with values missing and columns in another order; as here, bit by bit."""
    config = compose("finetune", [*SMALL, "arm=dbn"])
    finetune(config)
    from sklearn.datasets import load_diabetes

    rows = load_diabetes(as_frame=True, scaled=False).frame.drop(columns="target")[::-1].iloc[:25, ::-1]
    rows.iloc[3, 4] = None
    rows.to_csv(tmp_path / "new.csv", index=False)
    code = (
        "import pandas, sys, numpy; from finetune import Network; "
        "print(Network.load(sys.argv[1]).predict(pandas.read_csv(sys.argv[2]))[:, 0].tolist())"
    )
    arguments = [sys.executable, "-c", code, str(finetuning_directory(config)), str(tmp_path / "new.csv")]
    found = json.loads(subprocess.run(arguments, check=True, capture_output=True, text=True).stdout)
    here = Network.load(finetuning_directory(config)).predict(pd.read_csv(tmp_path / "new.csv"))
    assert found == here[:, 0].tolist()
    assert 20 < np.mean(found) < 350


def test_several_targets_and_labels_for_some_rows(compose: Composer, tmp_path: Path) -> None:
    """Two linear functions of three columns, with 60 labels: nearly all of their variance is explained."""
    generator = np.random.default_rng(5)
    x = generator.normal(size=(400, 3))
    frame = pd.DataFrame(x, columns=["a", "b", "c"]).assign(
        p=1000 + 50 * x[:, 0] - 20 * x[:, 1], q=0.01 * x[:, 2] + 0.001 * generator.normal(size=400)
    )
    frame.to_csv(tmp_path / "linear.csv", index=False)
    options = ["task=regression", "data=table", f"data.path={tmp_path}/linear.csv", "data.target=[p,q]"]
    options += ["arm=random_relu", "stack.layers=[20]", "training.epochs=150", "training.learning_rate=0.05"]
    config = compose("finetune", [*options, "data.n_labelled=60"])
    result = finetune(config)
    assert result["targets"] == ["p", "q"]
    assert result["n_labelled"] == 60
    assert result["n_validation"] == 60
    assert result["metrics"]["test/r2"] > 0.9
    data, predicted = predictions(config)
    assert data.train.labels is not None
    truth = np.asarray(data.test.labels)
    assert (np.abs((predicted - truth).mean(0)) < 0.2 * truth.std(0)).all(), "each in its own units"


def test_seeds_together_are_as_alone(compose: Composer) -> None:
    """Same splits, labels and order: the same results up to rounding, each with the statistics of its own rows."""
    common = [*SMALL, "arm=random_relu", "training.weights=last"]
    together = finetune_seeds(compose("finetune", [*common, "n_parallel_seeds=3", "study=together"]))
    for seed, own in enumerate(together):
        alone = finetune(compose("finetune", [*common, f"seed={seed}", "study=alone"]))
        for name, value in alone["metrics"].items():
            assert own["metrics"][name] == pytest.approx(value, rel=1e-3), (seed, name)


def test_two_processes_train_the_network_that_one_trains(tmp_path: Path) -> None:
    """Pretrained on columns of several types, and fine-tuned: both stages run in two processes; the second is exact."""
    two = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]
    settings = [*SMALL, "arm=random_relu", "schedule=constant", "training.batch_size=50"]
    found = []
    for name, more in (("one", []), ("two", two)):
        (tmp_path / name).mkdir()
        command = [sys.executable, "-m", "finetune.train", *settings, *more]
        done = subprocess.run(command, cwd=tmp_path / name, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        (file,) = (tmp_path / name).glob("runs/*/finetune/*/network.safetensors")
        found.append((load_file(file), json.loads((file.parent / "result.json").read_text())["metrics"]))
    (weights, metrics), (others, others_metrics) = found
    for name, weight in weights.items():
        torch.testing.assert_close(others[name], weight, rtol=0, atol=1e-4, msg=name)
    assert others_metrics == pytest.approx(metrics, rel=1e-3)
    command = [sys.executable, "-m", "finetune.train", *SMALL, "arm=dbn", *two]
    done = subprocess.run(command, cwd=tmp_path / "two", capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


def test_a_report_of_regression_compares_rmse(compose: Composer, tmp_path: Path) -> None:
    """Two arms, five seeds: headline, table and figures are of the RMSE, in the target's units, lower being better."""
    for arm in ("dbn", "random_relu"):
        finetune_seeds(compose("finetune", [*SMALL, f"arm={arm}", "n_parallel_seeds=5", "study=numbers"]))
    report = write_report(tmp_path / "runs" / "numbers")
    text = report.table.read_text()
    assert "test RMSE" in text
    assert "test MAE" in text
    assert "test R²" in text
    assert "%)" not in text.replace("95 %)", "")
    head = text.split("\n\n")
    rows = pd.read_csv(report.csv)
    means = rows[rows["stage"] == "finetune"].groupby("name")["test/rmse"].mean()
    assert set(means.index) == {"dbn", "random_relu"}
    for name, mean in means.items():
        assert f"{mean:.2f}" in text, (name, mean)
    assert 40 < means.min() < 100, "the target's own units"
    assert any("RMSE" in part for part in head)
    page = report.html.read_text()
    assert "test RMSE" in page
    assert "percentage points" not in page
    with pytest.raises(SettingError, match=r"less is better\. Use test/rmse"):
        write_report(tmp_path / "runs" / "numbers", metric="test/r2")


def test_tasks_and_targets_that_do_not_match_are_refused(compose: Composer) -> None:
    with pytest.raises(SettingError, match=r"task=regression: data=digits .*task=classifier"):
        finetune(compose("finetune", ["task=regression"]))
    with pytest.raises(SettingError, match=r"task=regression: data=wine .*<target>=number"):
        finetune(compose("finetune", ["task=regression", "data=wine"]))
    with pytest.raises(SettingError, match=r"task=classifier: data=diabetes .*task=regression"):
        finetune(compose("finetune", ["data=diabetes"]))
    for key, value in (("mixup", 0.2), ("label_smoothing", 0.1), ("loss", "squared"), ("class_weights", "balanced")):
        with pytest.raises(SettingError, match=rf"training\.{key}={value}"):
            finetune(compose("finetune", [*SMALL, f"training.{key}={value}"]))
    for setting in ("augment.rotation=10", "features=3", "unlabelled=fixmatch", "stack.augment.rotation=10"):
        with pytest.raises(SettingError, match=r"data=wine is a table"):
            finetune(compose("finetune", ["data=wine", "arm=random_relu", setting]))
    with pytest.raises(SettingError, match="visible units are mixed"):
        finetune(
            compose("finetune", ["data=diabetes", "task=autoencoder", "stack.layers=[8,{n_hidden:2,hidden:gaussian}]"])
        )
    with pytest.raises(SettingError, match=r"task\.baselines"):
        finetune(compose("finetune", [*SMALL, "task.baselines=[pca]"]))


def test_a_network_of_targets_gives_no_classes(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": np.arange(30.0), "b": np.arange(30.0) ** 2})
    data = load_data(TableSource.of(frame, "b"))
    assert data.train.labels is not None
    network = Network.dense([1, 3, 1])
    network.meaning = Meaning(data.scaling, "regression", "standardised", targets=Targets.of(["b"], data.train.labels))
    network.save(tmp_path / "n.safetensors")
    again = Network.load(tmp_path / "n.safetensors")
    np.testing.assert_array_equal(again.predict(frame), network.predict(frame))
    assert again.meaning is not None
    assert again.meaning.targets is not None
    assert again.meaning.targets.names == ("b",)
    for wrong in (again.predict_proba, again.reconstruct):
        with pytest.raises(SettingError, match="task=regression"):
            wrong(frame)
    with pytest.raises(SettingError, match="standardised outputs have targets"):
        Meaning(data.scaling, "regression", "standardised")


def test_a_classifier_of_a_table(compose: Composer) -> None:
    """Wine, pretrained on its columns: few errors, and new tables are classified by the file."""
    options = ["data=wine", "stack=table", "arm=dbn", "training.epochs=30"]
    config = compose("finetune", options)
    result = finetune(config)
    assert result["metrics"]["test/error"] < 0.12
    data = data_of(config)
    network = Network.load(finetuning_directory(config))
    assert data.columns is not None
    assert isinstance(data.test, Images)
    frame = data.columns.decoded(data.test.pixels)
    assert np.array_equal(network.predict(frame), np.asarray(network.predict(data.test)))
