"""A job that has no scontrol on its PATH, as in a container, is preempted and ends with the same bits."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from cluster.slurm import Cluster
from cluster.test_cluster import (
    BIN,
    EPOCHS,
    FINETUNED,
    PRETRAINED,
    SAME,
    SMALL,
    log_of,
    rows,
    submit,
    wait_until,
)


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A PATH with everything but scontrol."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for place in ("/bin", "/usr/bin"):
        for program in Path(place).iterdir():
            if program.name != "scontrol" and not (folder / program.name).is_symlink():
                (folder / program.name).symlink_to(program)
    return f"{BIN}:{folder}"


def test_a_job_without_scontrol_submits_itself_behind_itself(cluster: Cluster, folder: Path, path: str) -> None:
    without = ("--nodelist=n1", "--exclusive", f"--export=ALL,PATH={path}")
    alone = folder / "alone"
    alone.mkdir()
    undisturbed = submit(cluster, alone, "finetune.sbatch", "arm=dbn", *SMALL, options=("--nodelist=n2", without[2]))
    job = submit(cluster, folder, "finetune.sbatch", "arm=dbn", *SMALL, options=without)
    wait_until(lambda: rows(folder / PRETRAINED / "metrics.csv") >= 5, 240)
    urgent = ("sbatch", "--parsable", "--partition=high", "--exclusive", "--nodelist=n1", "--output=/dev/null")
    other = cluster.run(*urgent, "--wrap=sleep 3", folder=folder)
    cluster.wait_for(job)
    found = re.search(r"job (\d+), submitted behind job (\d+), goes on", log_of(folder, job))
    assert found is not None, log_of(folder, job)
    assert found.group(2) == job
    assert "is put back into the queue by its batch file" in log_of(folder, job)
    cluster.wait_for(other)
    for number in (found.group(1), undisturbed):
        cluster.wait_for(number, seconds=400)
    assert f"job {found.group(1)} on " in log_of(folder, job), "one log for the run"
    assert "going on from the checkpoint of" in log_of(folder, job)
    for file in SAME:
        assert (folder / file).read_bytes() == (alone / file).read_bytes(), file
    result = json.loads((folder / FINETUNED / "result.json").read_text())
    assert "code_before" not in result


def test_a_job_of_hydra_s_launcher_submits_itself_behind_itself(
    cluster: Cluster, folder: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(cluster.environment, "PATH", path)
    sweep = [
        "dbn-finetune", "-m", "study=s", "arm=random_relu", "seed=0", "hydra/launcher=slurm_cpu",
        "hydra.launcher.cpus_per_task=1", *SMALL,
    ]  # fmt: skip
    run = folder / "runs/s/finetune/random_relu_seed0"
    with subprocess.Popen(sweep, cwd=folder, env=cluster.environment, stderr=subprocess.PIPE, text=True) as waiting:
        wait_until(lambda: rows(run / "metrics.csv") >= 5, 240)
        (job,) = cluster.run("squeue", "--noheader", "--array", "--format=%i").split()
        cluster.run("scancel", "--signal=USR1", job)
        assert waiting.wait(240) == 1
    (log,) = folder.glob("runs/s/slurm/*/*_log.out")
    found = re.search(r"job (\d+), submitted behind job (\d+), goes on", log.read_text())
    assert found is not None, log.read_text()
    assert found.group(2) == job
    wait_until(lambda: (run / "result.json").is_file(), 240)
    (snapshot,) = (folder / "runs/s/code").glob("*/")
    assert json.loads((run / "result.json").read_text())["code"] == snapshot.name
    assert rows(run / "metrics.csv") == EPOCHS
    assert "going on from the checkpoint of" in log.read_text(), "one log for the run"
