"""Runs of baselines, started by the first fine-tuning run of a study that asks for them.

For autoencoders: linear baselines, one run per study, data set, split and code size. For classifiers: recognisers
published for the data, one run per study, number of labels and seed.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from dbn.data import DataSet, StreamedImages
from dbn.data.allowed_values import is_standardised
from dbn.data.few_images import is_fast
from dbn.data.images import StoredImages
from dbn.data.split_settings import split_seed_of
from dbn.errors import SettingError
from dbn.pretraining.from_config import layers_of
from dbn.runs.directories import study_directory
from dbn.runs.identity import LABEL_KEYS
from dbn.runs.run import execute
from dbn.settings import check_choice
from finetune.baselines.easypr.recogniser import train_easypr
from finetune.baselines.logistic_pca import logistic_pca
from finetune.baselines.pca import pca
from finetune.tasks.predictions import write_predictions

Baseline = Callable[[Tensor, Tensor, int], Tensor]
LOGISTIC = "logistic_pca"
BASELINES: dict[str, Baseline] = {
    "pca": pca,
    LOGISTIC: lambda train, test, code_size: logistic_pca(train, test, code_size, seed=0),
}
"""Baselines of autoencoders: (training images, test images, code size) -> reconstructions of the test images."""
RECOGNISERS = {"easypr": train_easypr}
"""Baselines of classifiers, each under the name of the data set that it was published for."""


def check_baselines(config: Mapping[str, Any], data: DataSet) -> None:
    """Check that the baselines of ``task.baselines`` can be run.

    Raises:
        SettingError: a baseline is unknown for the task or made for other data, there are no test images, the training
            images are not held in memory, or their range is not that of the baseline.
    """
    names = config["task"]["baselines"]
    autoencoder = config["task"]["name"] == "autoencoder"
    for name in names:
        check_choice("task.baselines", name, BASELINES if autoencoder else RECOGNISERS)
        if not autoencoder and name != data.name:
            raise SettingError(
                f"task.baselines={list(names)}: {name} is a recogniser of data={name}, this is data={data.name}. "
                "Use task.baselines=[]."
            )
    if names and not len(data.test):
        raise SettingError(
            f"task.baselines={list(names)}: they are compared on test images, and data={data.name} has none "
            "(data.test=0). Use task.baselines=[], or data.test=0.2."
        )
    if names and isinstance(data.train, StreamedImages):
        raise SettingError(
            f"task.baselines={list(names)}: they need all training images in memory, and those of data={data.name} "
            "stay in their file. Use task.baselines=[]."
        )
    if LOGISTIC in names and is_standardised(data.train):
        others = [name for name in names if name != LOGISTIC]
        raise SettingError(
            f"task.baselines={list(names)}: {LOGISTIC} is for features from 0 to 1, and those of data={data.name} are "
            f"standardised. Use task.baselines=[{','.join(others)}]."
        )


def run_baselines(config: Mapping[str, Any], data: DataSet) -> None:
    """Run the baselines of ``task.baselines`` that the study lacks, in ``<runs>/<study>/baseline/``.

    Args:
        config: configuration of the fine-tuning run.
        data: its data; of the training images only those with labels.

    Raises:
        SettingError: see :func:`check_baselines`.
    """
    check_baselines(config, data)
    run = _run_linear if config["task"]["name"] == "autoencoder" else _run_recogniser
    for name in config["task"]["baselines"]:
        run(name, config, data)


def _run_linear(name: str, config: Mapping[str, Any], data: DataSet) -> None:
    code_size = layers_of(config["stack"])[-1].n_hidden
    full_name = _full_name(name, code_size, config)
    shared = {key: value for key, value in config["data"].items() if key not in LABEL_KEYS}
    split = split_seed_of(config)  # all that is random about it
    own = {"study": config["study"], "baseline": name, "code_size": code_size, "data": shared}

    def work(_: Path) -> dict[str, Any]:
        start = time.perf_counter()
        test = data.test.features()
        reconstructed = BASELINES[name](data.train.features(), test, code_size)
        metrics = {"test/squared_error": float(F.mse_loss(reconstructed, test)) * data.n_features}
        facts = {"seconds": time.perf_counter() - start, "n_labelled": None, "metrics": metrics}
        return _result(config, data, name, full_name, split) | facts

    execute(_directory(config, full_name, split), own, work)


def _run_recogniser(name: str, config: Mapping[str, Any], data: DataSet) -> None:
    seed, n_labelled = config["seed"], config["data"]["n_labelled"]
    full_name = _full_name(name, n_labelled, config)
    own = {"study": config["study"], "baseline": name, "seed": seed, "data": config["data"]}

    def work(directory: Path) -> dict[str, Any]:
        start = time.perf_counter()
        network = RECOGNISERS[name](_pixels(data.train, data), _labels(data.train), len(data.classes), seed)
        seconds = time.perf_counter() - start
        predicted = {
            split: network.predict(_pixels(images, data))
            for split, images in (("train", data.train), ("validation", data.validation), ("test", data.test))
            if len(images)
        }
        write_predictions(directory, data, torch.from_numpy(predicted["test"]))
        return _result(config, data, name, full_name, seed) | {
            "n_labelled": n_labelled,
            "classes": list(data.classes),
            "metrics": {
                f"{split}/error": float((own_predicted != _labels(getattr(data, split))).mean())
                for split, own_predicted in predicted.items()
            },
            "seconds": seconds,
            "epochs": network.epochs,
            "n_parameters": sum(weight.size for weight in network.layers),
        }

    execute(_directory(config, full_name, seed), own, work)


def _full_name(name: str, number: int | None, config: Mapping[str, Any]) -> str:
    """With the number, if there is one, and ``fast`` where the images are few: other runs must not find it."""
    words = [name, *([] if number is None else [str(number)]), *(["fast"] if is_fast(config["trainer"]) else [])]
    return "_".join(words)


def _directory(config: Mapping[str, Any], full_name: str, seed: int) -> Path:
    return study_directory(config) / "baseline" / f"{full_name}_seed{seed}"


def _result(config: Mapping[str, Any], data: DataSet, name: str, full_name: str, seed: int) -> dict[str, Any]:
    """The part of ``result.json`` that all baselines share."""
    return {
        "study": config["study"],
        "stage": "baseline",
        "task": config["task"]["name"],
        "name": full_name,
        "arm": name,
        "seed": seed,
        "data": data.name,
        "pretrained": False,
    }


def _pixels(images: StoredImages, data: DataSet) -> NDArray[np.uint8]:
    """Pixels as stored, ``(n, height, width)``."""
    pixels: NDArray[np.uint8] = images.take(torch.arange(len(images))).pixels.cpu().numpy().reshape(-1, *data.shape[1:])
    return pixels


def _labels(images: StoredImages) -> NDArray[np.int64]:
    assert images.labels is not None  # a classifier is refused on data without labels
    labels: NDArray[np.int64] = images.labels.cpu().numpy()
    return labels
