"""Runs of the linear baselines beside an autoencoder: one each per study, data set and code size."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from dbn.data import DataSet
from dbn.pretrain import layers_of
from dbn.runs import execute
from dbn.settings import check_choice
from finetune.baselines import logistic_pca, pca

Baseline = Callable[[Tensor, Tensor, int], Tensor]
BASELINES: dict[str, Baseline] = {
    "pca": pca,
    "logistic_pca": lambda train, test, code_size: logistic_pca(train, test, code_size, seed=0),
}


def run_baselines(config: Mapping[str, Any], data: DataSet) -> None:
    """Do those of ``task.baselines`` that the study does not have yet, in ``<runs>/<study>/baseline/``.

    Raises:
        SettingError: a baseline that is not known.
    """
    code_size = layers_of(config["stack"])[-1].n_hidden
    for name in config["task"]["baselines"]:
        check_choice("task.baselines", name, BASELINES)
        full_name = f"{name}_{code_size}"
        directory = Path(config["paths"]["runs"]) / config["study"] / "baseline" / f"{full_name}_seed0"
        shared = {key: value for key, value in config["data"].items() if key != "n_labelled"}
        own = {"study": config["study"], "baseline": name, "code_size": code_size, "data": shared}

        def work(_: Path, name: str = name, full_name: str = full_name) -> dict[str, Any]:
            start = time.perf_counter()
            test = data.test.features()
            reconstructed = BASELINES[name](data.train.features(), test, code_size)
            return {
                "study": config["study"],
                "stage": "baseline",
                "task": "autoencoder",
                "name": full_name,
                "arm": name,
                "seed": 0,
                "data": data.name,
                "n_labelled": None,
                "pretrained": False,
                "metrics": {"test/squared_error": float(F.mse_loss(reconstructed, test)) * data.n_features},
                "seconds": time.perf_counter() - start,
            }

        execute(directory, own, work)
