"""The report that is a job behind a study's jobs is logged to Weights & Biases as they are; SLURM by stand-ins."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dbn.commands.configuration import config_directory
from offline_runs import offline_runs, records

SLURM = config_directory().parent / "slurm"
PROGRAMS = {
    "sbatch": 'printf "%q " "$@" >> "$BIN/handed_in"; echo >> "$BIN/handed_in"; wc -l < "$BIN/handed_in"',
    "scontrol": 'echo "MaxArraySize = 1001"',
    "squeue": "",
    "srun": 'shift; exec "$@"',
}
"""``sbatch`` keeps its arguments, and numbers jobs from 1 on."""


@pytest.fixture
def bin_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stand-ins' folder and this environment's commands, first on the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, words in PROGRAMS.items():
        (folder / name).write_text(f"#!/bin/bash\nBIN={folder}\n{words}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}")
    return folder


def finish(study: Path, *names: str) -> None:
    """Results of two seeds of each run, as jobs leave them."""
    for name in names:
        for seed in (0, 1):
            result = {
                "study": study.name, "stage": "finetune", "task": "classifier", "name": name, "arm": name, "seed": seed,
                "data": "digits", "n_labelled": None, "pretrained": name == "dbn", "seconds": 1.0,
                "metrics": {"test/error": 0.1 + seed / 100},
            }  # fmt: skip
            file = study / f"finetune/{name}_seed{seed}/result.json"
            file.parent.mkdir(parents=True)
            file.write_text(json.dumps(result))


def run_logged(study: Path) -> tuple[dict[str, Any], set[str]]:
    """The report's run as it was described, and what is logged in it."""
    (part,) = offline_runs(study)
    found = records(part)
    (run,) = (record["run"] for record in found if record["type"] == "run")
    (row,) = (record["history"]["item"] for record in found if record["type"] == "history")
    return run, {name.removesuffix("._type") for name in row if name.endswith("._type")}


def test_of_a_submitted_sweep(bin_: Path) -> None:
    logger = ["logger=wandb", "logger.wandb.project='2026'", "logger.wandb.tags=[mine,'a, b']"]
    sweep = ["-m", "study=s", "arm=dbn,random_relu", "seed=0,1", "submit=true", "hydra/launcher=slurm_cpu", *logger]
    command = [sys.executable, "-m", "finetune.train", *sweep]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    study = Path("runs/s").absolute()
    finish(study, "dbn", "random_relu")
    report = shlex.split((bin_ / "handed_in").read_text().splitlines()[-1])[-1]
    assert subprocess.run(["bash", report], check=False, timeout=300).returncode == 0
    run, logged = run_logged(study)
    assert (run["job_type"], run["run_group"], run["project"]) == ("report", "s", "2026")
    assert set(run["tags"]) == {"mine", "a, b"}
    assert {"report", "tables/runs"} <= logged
    assert (study / "report.html").is_file()


def test_of_a_chain_of_jobs(bin_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the settings of its runs, and without a logger as theirs are."""
    logger = ["logger=wandb", "logger.wandb.project=mine"]
    for own in ([], logger):
        command = [str(SLURM / "study.sh"), "dbn random_relu", "0-1", "study=s", *own]
        assert subprocess.run(command, check=False, timeout=60).returncode == 0
        words = shlex.split((bin_ / "handed_in").read_text().splitlines()[-1])
        at = words.index(str(SLURM / "report.sbatch"))
        assert words[at + 1 :] == ["runs/s", *own]
    study = Path("runs/s").absolute()
    finish(study, "dbn", "random_relu")
    monkeypatch.setenv("SLURM_JOB_ID", "4")
    monkeypatch.setenv("DBN_SLURM", str(SLURM))
    assert subprocess.run(["bash", *words[at:]], check=False, timeout=300).returncode == 0
    assert (study / "report.html").is_file()
    run, logged = run_logged(study)
    assert (run["job_type"], run["project"]) == ("report", "mine")
    assert "report" in logged


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["runs/s", "output=mine"], "output=mine: logger=wandb keeps the report's run in the study's own directory"),
        (["runs"], "logger=wandb: runs holds several studies"),
        (["runs/s", "logger.wandb.project=a/b"], "logger.wandb.project="),
    ],
)
def test_reports_that_cannot_be_logged(arguments: list[str], words: str) -> None:
    finish(Path("runs/s").absolute(), "dbn")
    finish(Path("runs/t").absolute(), "dbn")
    command = [sys.executable, "-m", "finetune.report.command", *arguments, "logger=wandb"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert words in done.stderr
