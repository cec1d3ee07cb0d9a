"""hydra/launcher=local: jobs side by side give what they give one after another, and end as these do."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dbn.commands.local.shares import Share, own_gpus, shares_of
from dbn.errors import SettingError

SWEEP = ["-m", "arm=dbn,random_relu_dropout,dbn_dropout", "stack.layers=[12,8]", "stack.every_layer.epochs=2"]
SWEEP += ["training.epochs=3", "checkpoint_seconds=0"]
LOCAL = ["hydra/launcher=local", "hydra.launcher.workers=2"]
TWO_CORES = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="two workers need two cores")


def start(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    command = [str(Path(sys.executable).parent / "dbn-finetune"), *SWEEP, *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HYDRA_FULL_ERROR": "0"}
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error."""
    process = start(folder, *arguments)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def networks(folder: Path) -> dict[str, bytes]:
    """Content of the networks of all runs."""
    return {file.parent.name: file.read_bytes() for file in folder.glob("runs/*/finetune/*/network.safetensors")}


def wait_for(folder: Path, pattern: str) -> None:
    """Until a file is there."""
    end = time.monotonic() + 200
    while not list(folder.glob(pattern)):
        assert time.monotonic() < end, f"no {pattern}"
        time.sleep(0.05)


@TWO_CORES
def test_networks_are_those_of_one_job_after_another(tmp_path: Path) -> None:
    """Two of the jobs share a stack, which is trained once."""
    (tmp_path / "serial").mkdir()
    (tmp_path / "local").mkdir()
    assert run(tmp_path / "serial")[0] == 0
    status, out, err = run(tmp_path / "local", *LOCAL)
    assert status == 0, err
    assert "report: " in out
    found = networks(tmp_path / "local")
    assert len(found) == 3
    assert found == networks(tmp_path / "serial")
    assert len(list(tmp_path.glob("local/runs/*/pretrain/*/dbn.safetensors"))) == 1
    logs = [file.read_text() for file in sorted(tmp_path.glob("local/runs/*/local/worker*.log"))]
    assert len(logs) == 2
    assert sum("validation error" in line for log in logs for line in log.splitlines()) == 3, "a line for each fit"
    assert "validation error" not in err
    assert out.count(" done, ") == 3


@TWO_CORES
def test_a_failing_job_does_not_stop_the_others_and_is_told(tmp_path: Path) -> None:
    status, _, err = run(tmp_path, *LOCAL, "arm=random_relu", "training.learning_rate=0.1,1e15,0.2")
    assert status == 2
    assert "Fine-tuning diverged" in err
    assert "Traceback" not in err
    assert len(networks(tmp_path)) == 2


@TWO_CORES
def test_a_killed_worker_costs_its_job_only(tmp_path: Path) -> None:
    """The job that it ran is missing, and the same command does it."""
    process = start(tmp_path, *LOCAL, "training.epochs=60", "arm=random_relu,random_sigmoid,random_tanh")
    wait_for(tmp_path, "runs/*/finetune/random_relu*/checkpoints/*.ckpt")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    workers = [int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(workers[0], signal.SIGKILL)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 2
    assert "ended with status -9" in err
    assert len(networks(tmp_path)) == 2
    assert run(tmp_path, *LOCAL, "training.epochs=60", "arm=random_relu,random_sigmoid,random_tanh")[0] == 0
    assert len(networks(tmp_path)) == 3


@TWO_CORES
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_jobs_go_on_and_end_with_the_same_bits(number: signal.Signals, tmp_path: Path) -> None:
    long = ["arm=random_relu_dropout,random_sigmoid", "training.epochs=600", "checkpoint_seconds=0.5"]
    for name in ("whole", "stopped"):
        (tmp_path / name).mkdir()
    assert run(tmp_path / "whole", *LOCAL, *long)[0] == 0
    process = start(tmp_path / "stopped", *LOCAL, *long)
    wait_for(tmp_path / "stopped", "runs/*/finetune/random_relu_dropout*/checkpoints/*.ckpt")
    wait_for(tmp_path / "stopped", "runs/*/finetune/random_sigmoid*/checkpoints/*.ckpt")
    process.send_signal(number)
    _, err = process.communicate(timeout=300)
    if number == signal.SIGINT:
        assert process.returncode == 130, err
        assert "The last checkpoint, " in err
    end = time.monotonic() + 60
    while any(str(tmp_path) in open_folder(own) for own in Path("/proc").iterdir() if own.name.isdigit()):
        assert time.monotonic() < end, "workers outlive the launcher"
        time.sleep(0.1)
    assert not networks(tmp_path / "stopped")
    assert run(tmp_path / "stopped", *LOCAL, *long)[0] == 0
    assert networks(tmp_path / "stopped") == networks(tmp_path / "whole")


def open_folder(process: Path) -> str:
    """Working folder of another process; empty where it is gone."""
    try:
        return str((process / "cwd").readlink()) if int(process.name) != os.getpid() else ""
    except OSError:
        return ""


def test_shares_of_a_machine() -> None:
    assert shares_of(None, [0, 1, 2, 3, 4], []) == [Share((k,)) for k in range(5)]
    assert shares_of(2, [0, 1, 2, 3, 4], []) == [Share((0, 2, 4)), Share((1, 3))]
    assert shares_of(None, list(range(8)), ["0", "3"]) == [Share((0, 2, 4, 6), "0"), Share((1, 3, 5, 7), "3")]
    assert [share.gpu for share in shares_of(4, list(range(8)), ["0", "1"])] == ["0", "1", "0", "1"]
    assert Share((1, 3), "2").environment() == {
        "OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2", "CUDA_VISIBLE_DEVICES": "2"
    }  # fmt: skip
    with pytest.raises(SettingError, match=r"hydra\.launcher\.workers=3: this process may use 2 cores"):
        shares_of(3, [0, 1], [])


def test_gpus_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,GPU-abc")
    assert own_gpus("gpu") == ["1", "GPU-abc"]
    assert own_gpus("auto") == ["1", "GPU-abc"]
    assert own_gpus("cpu") == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert own_gpus("gpu") == []


@pytest.mark.parametrize("workers", ["0", "two", "10000"])
def test_a_wrong_number_of_workers_is_named(workers: str, tmp_path: Path) -> None:
    status, _, err = run(tmp_path, "hydra/launcher=local", f"hydra.launcher.workers={workers}")
    assert status == 2
    assert f"hydra.launcher.workers={workers}" in err.replace("'", "")
    assert not json.loads(json.dumps(sorted(networks(tmp_path))))
