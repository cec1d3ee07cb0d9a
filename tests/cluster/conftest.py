"""A SLURM cluster for the tests of this folder, and the batch files as a person submits them."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.slurm import Cluster, missing_programs
from dbn.commands.configuration import config_directory
from dbn.runs.code import source_root


@pytest.fixture(scope="session")
def n_runs() -> int:
    """Runs of the large sweep, see ``make cluster-250``."""
    return int(os.environ.get("DBN_CLUSTER_RUNS", "22"))


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory, n_runs: int) -> Iterator[Cluster]:
    """Started once. Its arrays are too short for the large sweep with two runs a job: 100 jobs for 250 runs."""
    missing = missing_programs()
    if missing:
        if os.environ.get("DBN_NEEDS_SLURM"):
            pytest.fail(f"SLURM is not installed: {', '.join(missing)} are missing")
        pytest.skip("SLURM is not installed")
    folder = tmp_path_factory.mktemp("slurm")
    own = Cluster(folder, max_array_size=2 * n_runs // 5)
    try:
        own.start()
        yield own
    finally:
        own.stop()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where sbatch is called: any folder, with a space in its name."""
    path = tmp_path / "my work"
    path.mkdir()
    return path


@pytest.fixture
def checkout(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout that the test may edit; commands run its code."""
    place = tmp_path / "checkout"
    shutil.copytree(source_root(), place / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(config_directory(), place / "conf")
    (place / "pyproject.toml").touch()
    monkeypatch.setitem(cluster.environment, "PATH", f"{Path(sys.executable).parent}:{cluster.environment['PATH']}")
    monkeypatch.setitem(cluster.environment, "PYTHONPATH", str(place / "src"))
    return place


@pytest.fixture
def busy(cluster: Cluster, folder: Path) -> str:
    """A job that has both nodes for itself: others wait until it is cancelled."""
    job = cluster.run(
        "sbatch", "--parsable", "--nodes=2", "--exclusive", "--output=/dev/null", "--wrap=sleep 900", folder=folder
    )
    cluster.wait_for(job, "RUNNING")
    return job
