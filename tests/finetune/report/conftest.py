"""Fixtures that write small studies."""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fake_study import FakeStudy
from numpy.typing import NDArray

from finetune.report.comparison.axes import Axis


@pytest.fixture
def study(tmp_path: Path) -> FakeStudy:
    return FakeStudy(tmp_path / "runs" / "toy")


@pytest.fixture(scope="session")
def make_study(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], FakeStudy]:
    return lambda name: FakeStudy(tmp_path_factory.mktemp("runs") / name)


@pytest.fixture
def along_labels(study: FakeStudy) -> tuple[Axis, dict[tuple[str, int], NDArray[np.float64]]]:
    """Two arms with 3 seeds at 100, 1000 and 10000 labels."""
    rng = np.random.default_rng(1)
    errors = {}
    for name, labels in itertools.product(("dbn", "relu"), (100, 1000, 10_000)):
        errors[name, labels] = rng.uniform(0.05, 0.1, 3)
        study.arm(f"{name}_{labels}", errors[name, labels].tolist(), arm=name, n_labelled=labels)
    (axis,) = study.axes()
    return axis, errors
