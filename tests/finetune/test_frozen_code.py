"""Frozen code: what was submitted is what runs, whatever becomes of checkout, modules and configurations meanwhile."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dbn.commands.configuration import config_directory
from dbn.runs.code import package_files, snapshot_name, source_root

EXPERIMENT = """# @package _global_
# With a type of one's own.
stack: { layers: [6], every_layer: { hidden: { _target_: magnet.Magnet, value: 1.5 }, epochs: 2 } }
network: { activation: { _target_: magnet.MagnetActivation, value: 1.5 } }
training: { epochs: 2 }
"""
OWN = Path(__file__).parents[1] / "own/magnet.py"
PROGRAMS = {
    "sbatch": 'echo "$*" >> "$BIN/handed_in"; echo $((6 + $(wc -l < "$BIN/handed_in")))',
    "scontrol": 'echo "MaxArraySize            = 1001"',
    "squeue": "",
    "srun": 'shift; exec "$@"',
    "dbn-finetune": f'exec {shlex.quote(sys.executable)} "$BIN/command.py" "$@"',
}


class Place:
    """A checkout of its own, stand-ins for SLURM, and a folder of the user's where commands are called."""

    def __init__(self, folder: Path) -> None:
        self.checkout, self.bin, self.here = folder / "checkout", folder / "bin", folder / "my work"
        self.checkout.mkdir()
        shutil.copytree(source_root(), self.checkout / "src", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(config_directory(), self.checkout / "conf")
        (self.checkout / "pyproject.toml").touch()
        self.bin.mkdir()
        for name, words in PROGRAMS.items():
            (self.bin / name).write_text(f"#!/bin/bash\nBIN={self.bin}\n{words}\n")
            (self.bin / name).chmod(0o755)
        (self.bin / "command.py").write_text("from finetune.train import main\nmain()\n")  # as pip writes it
        (self.here / "mine/experiment").mkdir(parents=True)
        (self.here / "mine/experiment/magnets.yaml").write_text(EXPERIMENT)
        shutil.copy(OWN, self.here / "magnet.py")
        path = os.pathsep.join([str(self.checkout / "src"), str(self.here)])
        self.environment = {**os.environ, "PATH": f"{self.bin}:{os.environ['PATH']}", "PYTHONPATH": path}

    def call(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = self.environment | variables
        return subprocess.run(command, cwd=self.here, env=environment, capture_output=True, text=True, check=False)

    def edit(self) -> None:
        """Nothing that is here now can make the runs that were submitted."""
        (self.checkout / "src/finetune/runs/network_run.py").write_text("raise RuntimeError('edited')\n")
        (self.checkout / "conf/finetune.yaml").write_text("edited: true\n")
        (self.here / "magnet.py").write_text("raise RuntimeError('edited')\n")
        (self.here / "mine/experiment/magnets.yaml").write_text(EXPERIMENT.replace("epochs: 2", "epochs: 7"))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


SUBMIT = [
    "-m", "--config-dir", "mine", "study=s", "experiment=magnets", "arm=dbn", "seed=0,1", "progress=false",
    "submit=true", "hydra/launcher=slurm_cpu",
]  # fmt: skip


def result_of(place: Place, directory: str) -> dict[str, Any]:
    found = json.loads((place.here / directory / "result.json").read_text())
    assert isinstance(found, dict)
    return found


def test_a_job_runs_what_was_submitted_and_its_run_can_be_made_again(place: Place) -> None:
    """The longest test here: a job, and the run made again, each trains in a process of its own."""
    done = place.call("dbn-finetune", *SUBMIT)
    assert done.returncode == 0, done.stderr
    (snapshot,) = (place.here / "runs/s/code").glob("*/")
    assert f"The code is kept in runs/s/code/{snapshot.name}; the jobs run that." in done.stdout
    assert (snapshot / "magnet.py").read_bytes() == OWN.read_bytes()
    assert snapshot.name.partition("_")[0] == snapshot_name(package_files()), "the same code in another place"
    assert not [file for file in snapshot.rglob("*.py") if file.stat().st_mode & 0o222], "never changed"
    assert not list(snapshot.parent.glob(".unfinished*"))
    place.edit()

    slurm = place.here / "runs/s/slurm"
    script = (slurm / "work_0.sbatch").read_text().replace(str(Path(sys.executable).parent), str(place.bin))
    (slurm / "work_0.sbatch").write_text(script)  # in place of the installed command
    words = ["bash", *[str(slurm / "work_0.sbatch")] * 2, str(slurm / "commands_0.txt"), "0"]
    job = place.call(*words, SLURM_JOB_ID="7", SLURM_ARRAY_TASK_ID="0", SLURM_CPUS_PER_TASK="1")
    assert job.returncode == 0, job.stderr
    result = result_of(place, "runs/s/finetune/dbn_seed0")
    assert result["code"] == snapshot.name
    assert result["config"]["training"]["epochs"] == 2
    packages = (place.here / "runs/s" / result["packages"]).read_text().splitlines()
    assert f"torch=={result['versions']['torch']}" in packages
    (stack,) = place.here.glob("runs/s/pretrain/*/result.json")
    assert json.loads(stack.read_text())["code"] == snapshot.name

    again = place.call("bash", "-c", f"{result['command']} paths.runs=again")
    assert again.returncode == 0, again.stderr
    first, second = (
        (place.here / runs / "s/finetune/dbn_seed0/network.safetensors").read_bytes() for runs in ("runs", "again")
    )
    assert first == second


def test_submitted_again_with_other_code_there_are_two_and_the_record_says_which(place: Place) -> None:
    place.call("dbn-finetune", *SUBMIT, SLURM_JOB_ID="5")
    (first,) = (place.here / "runs/s/code").glob("*/")
    file = place.checkout / "src/finetune/train.py"
    file.write_text(file.read_text() + "# edited\n")
    done = place.call("dbn-finetune", *SUBMIT)
    assert done.returncode == 0, done.stderr
    records = [json.loads(path.read_text()) for path in (place.here / "runs/s/slurm").glob("submitted_*.json")]
    assert {record["code"] for record in records} == {path.name for path in (place.here / "runs/s/code").glob("*/")}
    assert len(records) == 2
    assert all(record["frozen"] for record in records)
    again = place.call("dbn-finetune", *SUBMIT, SLURM_JOB_ID="5", SLURM_RESTART_COUNT="1")
    assert f"The code is kept in runs/s/code/{first.name};" in again.stdout, "job 5 comes back from the queue"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-m", "arm=dbn,random_relu", "snapshot=maybe"], "snapshot='maybe'"),
        (["-m", "sweep=tune", "submit=true", "hydra/launcher=slurm_cpu"], "sbatch slurm/sweep.sbatch"),
    ],
)
def test_of_what_is_refused_nothing_is_kept(place: Place, arguments: list[str], words: str) -> None:
    done = place.call("dbn-finetune", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert not list(place.here.glob("runs/*/code"))


def test_a_process_that_another_program_has_started_says_so(place: Place) -> None:
    script = "import sys; sys.argv = ['x', 'arm=random_relu', 'snapshot=true']; from finetune.train import main; main()"
    done = place.call(sys.executable, "-c", script)
    assert done.returncode == 2
    assert "not started by the command" in done.stderr
