"""A SLURM cluster for the tests of this folder, and the batch files as a person submits them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.slurm import Cluster, missing_programs


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Started once."""
    missing = missing_programs()
    if missing:
        if os.environ.get("DBN_NEEDS_SLURM"):
            pytest.fail(f"SLURM is not installed: {', '.join(missing)} are missing")
        pytest.skip("SLURM is not installed")
    folder = tmp_path_factory.mktemp("slurm")
    own = Cluster(folder)
    own.start()
    yield own
    own.stop()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where sbatch is called: any folder, with a space in its name."""
    path = tmp_path / "my work"
    path.mkdir()
    return path
