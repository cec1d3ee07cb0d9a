"""Told to stop in a job without scontrol: what is left to whom, and that the log says so."""

import logging
import os
import shlex
import signal
from pathlib import Path

import pytest

from dbn.fitting import without_scontrol
from dbn.fitting.preemption import preemption, requeueing

COMMAND = "dbn-finetune arm=dbn 'name=my run'"


@pytest.fixture(autouse=True)
def _job(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Within job 7_3, with nothing of SLURM's on the PATH."""
    for name in [name for name in os.environ if name.startswith(("SLURM_", "DBN_PUTS", "SUBMITIT"))]:
        monkeypatch.delenv(name)
    variables = {
        "SLURM_JOB_ID": "12", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3", "SLURM_JOB_PARTITION": "gpu",
        "SLURM_CPUS_PER_TASK": "4", "SLURM_JOB_START_TIME": "1000", "SLURM_JOB_END_TIME": "1090",
        "PATH": str(tmp_path), "OWN": "kept",
    }  # fmt: skip
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(without_scontrol, "SECONDS_OF_GRACE", 0.0)
    monkeypatch.setattr(preemption, "requested", False)
    caplog.set_level(logging.INFO)


def told_to_stop() -> int | str | None:
    """Exit status of a run that is told to stop."""
    before = signal.getsignal(signal.SIGUSR1)
    try:
        with pytest.raises(SystemExit) as left, requeueing(COMMAND):
            os.kill(os.getpid(), signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    return left.value.code


def sbatch(folder: Path, words: str) -> None:
    (folder / "sbatch").write_text(f"#!/bin/bash\n{words}\n")
    (folder / "sbatch").chmod(0o755)


def test_with_nothing_at_hand_the_log_says_what_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    assert told_to_stop() == 138
    assert COMMAND in caplog.text
    assert "nothing else that puts job 7_3 back" in caplog.text


def test_the_batch_file_puts_it_back(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("DBN_PUTS_BACK", "1")
    assert told_to_stop() == 138
    assert "is put back into the queue by its batch file" in caplog.text


def test_of_several_processes_the_first_one_s_status_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The highest of all is srun's."""
    monkeypatch.setenv("DBN_PUTS_BACK", "1")
    monkeypatch.setenv("SLURM_NTASKS", "2")
    monkeypatch.setattr(without_scontrol, "SECONDS_FOR_OTHERS", 0.0)
    statuses = []
    for rank in ("0", "1"):
        monkeypatch.setenv("SLURM_PROCID", rank)
        preemption.requested = False
        statuses.append(told_to_stop())
    assert statuses == [138, 0]


def test_a_job_of_the_launcher_submits_itself_behind_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SUBMITIT_EXECUTOR", "slurm")
    sbatch(tmp_path, f'printf "%s\\n" "$@" > {tmp_path}/given; echo "$OWN $SLURM_JOB_ID$SLURM_ARRAY_JOB_ID" '
                     f'> {tmp_path}/environment; echo "99;cluster"')  # fmt: skip
    assert told_to_stop() == 0
    given = (tmp_path / "given").read_text().splitlines()
    for word in ("--dependency=afterany:7_3", "--partition=gpu", "--cpus-per-task=4", "--time=2", "--requeue"):
        assert word in given
    wrapped = shlex.split(given[-1].removeprefix("--wrap="))
    assert wrapped[-3:] == ["dbn-finetune", "arm=dbn", "name=my run"]
    assert (tmp_path / "environment").read_text() == "kept \n", "nothing of this job's is taken for the new one's"
    assert "job 99, submitted behind job 7_3, goes on" in caplog.text


def test_sbatch_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("SUBMITIT_EXECUTOR", "slurm")
    sbatch(tmp_path, "echo 'Invalid account' >&2; exit 1")
    assert told_to_stop() == 138
    assert "Invalid account" in caplog.text
    assert COMMAND in caplog.text
