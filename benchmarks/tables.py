"""Tables beside scikit-learn: regression on diabetes, imputation of wine with a fifth of its values missing.

``python benchmarks/tables.py`` prints two tables in Markdown, means over ten seeds with 95 % intervals, and differences
to the first row, paired by seed. A seed draws the split, or the cells that are missing, the same for all methods.
"""

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import hydra
import numpy as np
import pandas as pd
import torch
from scipy import stats
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_wine
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 (makes IterativeImputer importable)
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.linear_model import RidgeCV
from sklearn.metrics import root_mean_squared_error
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler

from dbn.commands.configuration import config_directory, resolve_config
from dbn.data import DataSet, TableSource, load_data
from dbn.data.from_config import data_of
from dbn.pretraining import LayerSettings, pretrain_stack
from dbn.samplers.imputation import impute_table
from finetune.runs.network_run import finetune_seeds

Row = tuple[str, list[float], float]
"""A method, its value for each seed, its seconds."""

OURS = {
    "DBN 50-50, fine-tuned": ["arm=dbn", "training.learning_rate=0.1"],
    "the same network from random weights, ReLU": ["arm=random_relu", "training.learning_rate=0.02"],
}
COMMON = ["task=regression", "data=diabetes", "stack=table", "training.epochs=60", "progress=false"]


def main() -> None:
    """Run both comparisons and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    seeds = range(parser.parse_args().seeds)
    warnings.filterwarnings("ignore", category=UserWarning, module="sklearn")  # of iterations that end early
    print(f"### Regression: diabetes, RMSE on a fifth of the rows, {len(seeds)} seeds\n")
    print(markdown(regression(seeds), "test RMSE", 2))
    print(f"\n### Imputation: wine, 20 % of values missing at random, {len(seeds)} seeds\n")
    print(markdown(imputation(seeds), "RMSE of standardised values", 3))


def regression(seeds: Sequence[int]) -> list[Row]:
    """Test RMSE of every method."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, own in OURS.items():
            overrides = [*COMMON, *own, f"paths.runs={folder}", f"n_parallel_seeds={len(seeds)}"]
            started = time.process_time()
            results = finetune_seeds(composed(overrides))
            seconds = time.process_time() - started
            rows.append((name, [result["metrics"]["test/rmse"] for result in results], seconds))
        sets = [data_of(composed([*COMMON, "arm=dbn", f"seed={seed}", f"paths.runs={folder}"])) for seed in seeds]
    peers: dict[str, Callable[[int], Any]] = {
        "MLPRegressor, 50-50 ReLU, early stopping": lambda seed: MLPRegressor(
            hidden_layer_sizes=(50, 50), early_stopping=True, validation_fraction=0.2, max_iter=2000, random_state=seed
        ),
        "MLPRegressor, 50-50 ReLU, defaults": lambda seed: MLPRegressor(
            hidden_layer_sizes=(50, 50), max_iter=2000, random_state=seed
        ),
        "ridge regression": lambda seed: RidgeCV(np.logspace(-2, 4, 25)),
    }
    for name, make in peers.items():
        started = time.process_time()
        values = [peer_error(data, make(seed)) for seed, data in zip(seeds, sets, strict=True)]
        rows.append((name, values, time.process_time() - started))
    return rows


def composed(overrides: Sequence[str]) -> dict[str, Any]:
    """A configuration of dbn-finetune."""
    with hydra.initialize_config_dir(str(config_directory()), version_base="1.3"):
        found: dict[str, Any] = resolve_config(hydra.compose("finetune", list(overrides)))
    return found


def peer_error(data: DataSet, estimator: Any) -> float:
    """Test RMSE of an estimator of scikit-learn's, on the same features, trained on training and validation rows."""
    splits = [data.train, data.validation, data.test]
    features = [images.features().numpy() for images in splits]
    values = [np.asarray(images.labels)[:, 0] for images in splits]
    model = TransformedTargetRegressor(estimator, transformer=StandardScaler())
    model.fit(np.concatenate(features[:2]), np.concatenate(values[:2]))
    return float(root_mean_squared_error(values[2], model.predict(features[2])))


def imputation(seeds: Sequence[int]) -> list[Row]:
    """RMSE over the missing cells of every method, in standard deviations of the complete columns."""
    whole = load_wine(as_frame=True).data
    methods: dict[str, Callable[[pd.DataFrame, int], Any]] = {
        "RBM, 13 x 50": partial(by_rbm, rounds=1),
        "RBM, 13 x 50, trained again on what it filled in, 3 times": partial(by_rbm, rounds=3),
        "IterativeImputer": lambda frame, seed: IterativeImputer(random_state=seed, max_iter=50).fit_transform(frame),
        "KNNImputer": lambda frame, seed: scaled(KNNImputer(), frame),
        "mean of the column": lambda frame, seed: SimpleImputer().fit_transform(frame),
    }
    scale = whole.std(ddof=0).to_numpy()
    rows = []
    for name, fill in methods.items():
        started, values = time.process_time(), []
        for seed in seeds:
            missing = np.random.default_rng(seed).random(whole.shape) < 0.2
            found = np.asarray(fill(whole.mask(missing), seed), dtype=float)
            errors = ((found - whole.to_numpy()) / scale)[missing]
            values.append(float(np.sqrt(np.mean(errors**2))))
        rows.append((name, values, time.process_time() - started))
    return rows


def scaled(imputer: Any, frame: pd.DataFrame) -> Any:
    """What an imputer of distances makes of standardised columns, in the columns' units."""
    scaler = StandardScaler().fit(frame)
    return scaler.inverse_transform(imputer.fit_transform(scaler.transform(frame)))


def by_rbm(frame: pd.DataFrame, seed: int, rounds: int) -> pd.DataFrame:
    """An RBM of the table, pretrained on it and asked for what is missing."""
    filled, known = frame, frame
    layer = LayerSettings(n_hidden=50, epochs=300, learning_rate=0.005, batch_size=20, weight_cost=0.002)
    for _ in range(rounds):
        data = load_data(TableSource.of(known), validation=0, test=0)
        stack = pretrain_stack(data, [layer], visible="as_data", seed=seed, progress=False)
        filled = impute_table(stack, frame, seed=seed)
        known = filled
    return filled


def markdown(rows: Sequence[Row], head: str, decimals: int) -> str:
    """A table of means, of differences to the first row, and of seconds."""
    lines = [f"| method | {head} | difference to the first | processor seconds |", "|---|---|---|---|"]
    first = np.array(rows[0][1])
    for name, values, seconds in rows:
        difference = "" if name == rows[0][0] else interval(np.array(values) - first, decimals, "+")
        lines.append(f"| {name} | {interval(np.array(values), decimals)} | {difference} | {seconds:.1f} |")
    return "\n".join(lines)


def interval(values: Any, decimals: int, sign: str = "") -> str:
    """Mean and half of its 95 % t interval."""
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values) if len(values) > 1 else float("nan")
    return f"{values.mean():{sign}.{decimals}f} ± {half:.{decimals}f}"


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
