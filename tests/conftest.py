"""Fixtures that several parts share."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

os.environ["TRITON_INTERPRET"] = "0" if torch.cuda.is_available() else "1"  # before anything imports Triton

import hydra
import pytest
from omegaconf import OmegaConf

from dbn.commands.configuration import config_directory, resolve_config
from dbn.data import DataSet, digits, load_data
from helpers import Composer, Route
from quick_composition import compose_quickly


@pytest.fixture(autouse=True, scope="session")
def _quick_composition() -> Iterator[None]:
    """Configurations are composed by the thousand."""
    with pytest.MonkeyPatch.context() as patches:
        compose_quickly(patches)
        yield


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs in a folder of its own, quietly, and leaves torch's settings alone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CI", "true")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    torch.manual_seed(0)
    torch.set_num_threads(1)  # small models: several test processes share the machine better so


@pytest.fixture
def data_root() -> Path:
    """The folder with the real data sets."""
    if "DBN_DATA" not in os.environ:
        pytest.skip("DBN_DATA is not set: the real data sets are not at hand")
    return Path(os.environ["DBN_DATA"])


@pytest.fixture
def compose(tmp_path: Path) -> Composer:
    """Compose a configuration as the command line does, with runs below the test's own folder."""

    def composed(name: str, overrides: Sequence[str] = ()) -> dict[str, Any]:
        with hydra.initialize_config_dir(str(config_directory()), version_base="1.3"):
            config = hydra.compose(name, [f"paths.runs={tmp_path}/runs", "progress=false", *overrides])
        assert OmegaConf.is_dict(config)
        result: dict[str, Any] = resolve_config(config)
        return result

    return composed


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> Route:
    """Kernels wherever they can run: compiled on a GPU if there is one, else on the CPU in Triton's interpreter."""
    pytest.importorskip("triton", reason="Triton is not installed")
    route = Route(torch.device("cuda" if torch.cuda.is_available() else "cpu"), in_kernels=True)
    monkeypatch.setattr("dbn.machine.kernels.DEVICES", (route.device.type,))
    return route


@pytest.fixture(params=["torch", "kernels"])
def route(request: pytest.FixtureRequest) -> Route:
    """Plain torch on the CPU, then kernels."""
    if request.param == "kernels":
        found: Route = request.getfixturevalue("kernels")
        return found
    return Route(torch.device("cpu"), in_kernels=False)


@pytest.fixture(scope="session")
def digits_data() -> DataSet:
    """The embedded digits, split."""
    return load_data(digits())
