"""Fixtures that several parts share."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import hydra
import pytest
import torch
from omegaconf import OmegaConf

from dbn import RBM
from dbn.command import config_directory, plain
from dbn.data import DataSet, digits, load_data
from dbn.units import UNITS, make_units

PAIRS = [(visible, hidden) for visible in sorted(UNITS) for hidden in sorted(UNITS)]
"""Every pair of unit types."""


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


def make_rbm(visible: str = "bernoulli", hidden: str = "bernoulli", n_visible: int = 5, n_hidden: int = 4) -> RBM:
    """A small float64 RBM with weights and biases away from zero.

    Weights shrink where both sides are real: the energy must be bounded below.
    """
    std = 0.15 if visible == hidden == "gaussian" else 0.8
    rbm = RBM(make_units(visible, n_visible), make_units(hidden, n_hidden)).double()
    generator = torch.Generator().manual_seed(n_visible * 100 + n_hidden)
    with torch.no_grad():
        rbm.weight.copy_(torch.randn(n_visible, n_hidden, generator=generator, dtype=torch.float64) * std)
        for units in (rbm.visible, rbm.hidden):
            units.bias.copy_(torch.randn(units.size, generator=generator, dtype=torch.float64) * 0.5)
    return rbm


def random_states(kind: str, n: int, size: int) -> torch.Tensor:
    """States that units of this type can have."""
    if kind == "bernoulli":
        return torch.randint(2, (n, size)).double()
    return torch.randn(n, size, dtype=torch.float64)


Composer = Callable[..., dict[str, Any]]


@pytest.fixture
def compose(tmp_path: Path) -> Composer:
    """Compose a configuration as the command line does, with runs below the test's own folder."""

    def composed(name: str, overrides: Sequence[str] = ()) -> dict[str, Any]:
        with hydra.initialize_config_dir(str(config_directory()), version_base="1.3"):
            config = hydra.compose(name, [f"paths.runs={tmp_path}/runs", "progress=false", *overrides])
        assert OmegaConf.is_dict(config)
        result: dict[str, Any] = plain(config)
        return result

    return composed


@pytest.fixture(scope="session")
def digits_data() -> DataSet:
    """The embedded digits, split."""
    return load_data(digits())
