"""What batch files do with a job that was told to stop: scontrol, or else sbatch, or else words."""

import os
import subprocess
from pathlib import Path

import pytest

import dbn.fitting

PUT_BACK = Path(dbn.fitting.__path__[0]) / "put_back.sh"
SCRIPT = f'set -euo pipefail\n. "{PUT_BACK}"\nsleep() {{ echo "slept $1"; }}\nput_back "my file.sbatch" "name=my run"\n'
GIVEN = {
    "SLURM_JOB_ID": "12", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3", "SLURM_JOB_PARTITION": "gpu",
    "SLURM_CPUS_PER_TASK": "4", "SLURM_JOB_START_TIME": "1000", "SLURM_JOB_END_TIME": "1090", "DBN_LOG": "/a log.out",
}  # fmt: skip


@pytest.fixture
def call(tmp_path: Path):
    """Puts a job back with these programs on the PATH, each of which keeps its arguments."""

    def call(**programs: str) -> subprocess.CompletedProcess[str]:
        for name, words in programs.items():
            file = tmp_path / name
            file.write_text(f'#!/bin/bash\nprintf "%s\\n" "$@" > "{tmp_path}/given_{name}"\n{words}\n')
            file.chmod(0o755)
        environment = {**GIVEN, "PATH": str(tmp_path), "DBN_JOBS": str(tmp_path), "HOME": os.environ.get("HOME", "/")}
        command = ["/bin/bash", "-c", SCRIPT]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return call


def test_scontrol_where_there_is_one(call, tmp_path: Path) -> None:
    done = call(scontrol="exit 0", sbatch="echo 99")
    assert done.returncode == 138
    assert (tmp_path / "given_scontrol").read_text().split() == ["requeue", "7_3"]
    assert not (tmp_path / "given_sbatch").exists()


@pytest.mark.parametrize("programs", [{}, {"scontrol": "exit 1"}])
def test_sbatch_submits_the_job_behind_itself_as_it_was(call, tmp_path: Path, programs: dict[str, str]) -> None:
    done = call(sbatch="echo '99;cluster'", **programs)
    assert done.returncode == 0, done.stderr
    given = (tmp_path / "given_sbatch").read_text().splitlines()
    assert given[-2:] == ["my file.sbatch", "name=my run"]
    for word in ("--dependency=afterany:7_3", "--array=3", "--partition=gpu", "--cpus-per-task=4", "--time=2"):
        assert word in given
    assert "--output=/a log.out" in given
    assert "job 99, submitted behind job 7_3" in done.stdout
    assert (tmp_path / "behind_7_3").read_text() == "99_3\n"


@pytest.mark.parametrize("programs", [{}, {"sbatch": "exit 1"}])
def test_with_nothing_at_hand_it_says_what_goes_on_and_waits_for_slurm(call, programs: dict[str, str]) -> None:
    done = call(**programs)
    assert done.returncode == 138
    assert "sbatch my\\ file.sbatch name=my\\ run" in done.stderr
    assert "slept 150" in done.stdout
