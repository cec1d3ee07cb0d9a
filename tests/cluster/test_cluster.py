"""On a SLURM cluster: batch files, sweeps, signals, preemption, kills, several nodes, chains."""

import csv
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from cluster.slurm import Cluster
from dbn.commands.configuration import config_directory
from helpers import stack_directory

SLURM = config_directory().parent / "slurm"
BIN = Path(sys.executable).parent
EPOCHS = 100
SMALL = [
    "stack.layers=[30,20]", "stack.every_layer.epochs=60", "stack.every_layer.batch_size=10", "checkpoint_seconds=0.5",
    f"training.epochs={EPOCHS}", "training.batch_size=10", "network.dropout_hidden=0.2",
]  # fmt: skip
QUICK = ["stack.layers=[12]", "stack.every_layer.epochs=2", "training.epochs=2"]


@pytest.fixture(autouse=True)
def _commands_on_path(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment that a person activated before sbatch."""
    monkeypatch.setitem(cluster.environment, "PATH", f"{BIN}:{cluster.environment['PATH']}")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


@pytest.fixture(autouse=True)
def _nothing_left_at_work(cluster: Cluster) -> Iterator[None]:
    """No test slows down the next one's jobs."""
    yield
    cluster.run("scancel", f"--user={cluster.user}", check=False)


def submit(cluster: Cluster, folder: Path, file: str, *arguments: str, options: tuple[str, ...] = ()) -> str:
    """Submit a batch file; returns the job's number."""
    words = ["sbatch", "--parsable", "--cpus-per-task=1", *options, str(SLURM / file), *arguments]
    return cluster.run(*words, folder=folder)


def wait_until(moment: Callable[[], bool], seconds: float = 90) -> None:
    """Look for a moment until it comes."""
    end = time.monotonic() + seconds
    while not moment():
        assert time.monotonic() < end, "the moment did not come"
        time.sleep(0.02)


def rows(path: Path) -> int:
    """Epochs in a metrics file."""
    return max(0, len(path.read_text().splitlines()) - 1) if path.is_file() else 0


def log_of(folder: Path, job: str) -> str:
    """What a job printed."""
    return "\n".join(path.read_text() for path in sorted(folder.glob(f"slurm-*{job}*.out")))


def tell_to_stop(cluster: Cluster, job: str) -> None:
    """The signal, once there is a process that it reaches, and until the job is back in the queue, or over."""
    wait_until(lambda: cluster.has_step(job), 30)
    cluster.run("scancel", "--signal=USR1", job)
    wait_until(lambda: cluster.state(job) in ("PENDING", "COMPLETED"), 30)


PRETRAINED = stack_directory("arm=dbn", *SMALL)
FINETUNED = Path("runs/default/finetune/dbn_seed0")
SAME = [
    PRETRAINED / "dbn.safetensors", PRETRAINED / "metrics.csv", FINETUNED / "network.safetensors",
    FINETUNED / "metrics.csv",
]  # fmt: skip


@pytest.fixture(scope="module")
def undisturbed(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A job left alone."""
    folder = tmp_path_factory.mktemp("undisturbed")
    cluster.environment["PATH"] = f"{BIN}:{cluster.environment['PATH']}"
    job = submit(cluster, folder, "finetune.sbatch", "arm=dbn", *SMALL)
    cluster.wait_for(job)
    return folder


def assert_same_bits(folder: Path, undisturbed: Path) -> None:
    """Stack, network and curves of a job left alone."""
    for path in SAME:
        assert (folder / path).read_bytes() == (undisturbed / path).read_bytes(), path


MOMENTS: dict[str, Callable[[Path], bool]] = {
    "before the first epoch": lambda folder: (folder / PRETRAINED / ".lock").exists(),
    "in the first layer": lambda folder: rows(folder / PRETRAINED / "metrics.csv") >= 5,
    "between layers": lambda folder: (folder / PRETRAINED / "checkpoints/layer1.safetensors").exists(),
    "after pretraining": lambda folder: (folder / PRETRAINED / "dbn.safetensors").exists(),
    "in fine-tuning": lambda folder: rows(folder / FINETUNED / "metrics.csv") >= 8,
    "after the last epoch": lambda folder: rows(folder / FINETUNED / "metrics.csv") == EPOCHS,
}


def test_a_job_that_is_told_to_stop_at_any_moment_ends_with_the_same_bits(
    cluster: Cluster, folder: Path, undisturbed: Path
) -> None:
    job = submit(cluster, folder, "finetune.sbatch", "arm=dbn", *SMALL)
    for number, (name, moment) in enumerate(MOMENTS.items(), start=1):
        wait_until(lambda moment=moment: moment(folder))
        tell_to_stop(cluster, job)
        if cluster.state(job) == "COMPLETED":
            assert name == "after the last epoch", f"over before {name}"
            break
        wait_until(lambda number=number: f"start {number}," in log_of(folder, job), 60)
    cluster.wait_for(job)
    assert_same_bits(folder, undisturbed)
    assert "was told to stop" in log_of(folder, job)


def test_a_job_that_is_preempted_goes_on_and_ends_with_the_same_bits(
    cluster: Cluster, folder: Path, undisturbed: Path
) -> None:
    job = submit(cluster, folder, "finetune.sbatch", "arm=dbn", *SMALL, options=("--exclusive", "--nodelist=n1"))
    wait_until(lambda: rows(folder / PRETRAINED / "metrics.csv") >= 5)
    urgent = ("sbatch", "--parsable", "--partition=high", "--exclusive", "--nodelist=n1", "--output=/dev/null")
    other = cluster.run(*urgent, "--wrap=sleep 3", folder=folder)
    wait_until(lambda: cluster.state(job) == "PENDING", 60)
    cluster.wait_for(other)
    cluster.wait_for(job)
    assert_same_bits(folder, undisturbed)


def test_a_job_whose_process_is_killed_says_where_it_goes_on_from(
    cluster: Cluster, folder: Path, undisturbed: Path
) -> None:
    job = submit(cluster, folder, "finetune.sbatch", "arm=dbn", *SMALL)
    wait_until(lambda: rows(folder / FINETUNED / "metrics.csv") >= 8)
    cluster.run("scancel", "--signal=KILL", job)
    wait_until(lambda: cluster.state(job) not in ("RUNNING", "COMPLETING"))
    again = submit(cluster, folder, "finetune.sbatch", "arm=dbn", *SMALL)
    cluster.wait_for(again)
    assert "going on from the checkpoint of" in log_of(folder, again)
    assert_same_bits(folder, undisturbed)


def test_a_convolutional_job_that_is_told_to_stop_in_both_stages_ends_with_the_same_bits(
    cluster: Cluster, folder: Path, tmp_path: Path
) -> None:
    settings = [
        "arm=conv_dbn_relu", "stack.layers=[{kind: convolution, maps: 4, kernel: 3, padding: 1, pool: 2}, 10]",
        "stack.every_layer.epochs=40", "stack.every_layer.learning_rate=0.001", "stack.every_layer.batch_size=10",
        "checkpoint_seconds=0.5", "training.epochs=40", "training.batch_size=10",
    ]  # fmt: skip
    stack, network = stack_directory(*settings), Path("runs/default/finetune/conv_dbn_relu_seed0")
    alone = tmp_path / "alone"
    alone.mkdir()
    undisturbed = submit(cluster, alone, "finetune.sbatch", *settings)
    cluster.wait_for(undisturbed)
    job = submit(cluster, folder, "finetune.sbatch", *settings)
    for start, directory in enumerate((stack, network), start=1):
        wait_until(lambda directory=directory: rows(folder / directory / "metrics.csv") >= 4)
        tell_to_stop(cluster, job)
        wait_until(lambda start=start: f"start {start}," in log_of(folder, job), 60)
    cluster.wait_for(job)
    for path in (stack / "dbn.safetensors", network / "network.safetensors", network / "metrics.csv"):
        assert (folder / path).read_bytes() == (alone / path).read_bytes(), path
    assert log_of(folder, job).count("was told to stop") == 2


def test_two_nodes_do_both_stages_together(cluster: Cluster, folder: Path) -> None:
    options = ("--nodes=2", "--ntasks-per-node=1")
    job = submit(
        cluster, folder, "finetune.sbatch", "arm=dbn", "trainer=ddp", "trainer.accelerator=cpu", *SMALL,
        options=options,
    )  # fmt: skip
    wait_until(lambda: rows(folder / FINETUNED / "metrics.csv") >= 8, 120)
    tell_to_stop(cluster, job)
    cluster.wait_for(job, seconds=180)
    result = json.loads((folder / FINETUNED / "result.json").read_text())
    assert result["config"]["trainer"]["num_nodes"] == 2
    assert result["metrics"]["test/error"] < 0.1
    assert rows(folder / FINETUNED / "metrics.csv") == EPOCHS


def test_two_processes_train_the_network_that_one_trains(cluster: Cluster, folder: Path) -> None:
    """Two tasks on one node, without noise."""
    network = ["arm=random_relu", "stack.layers=[20]", "training.epochs=3", "schedule=constant"]
    one = submit(cluster, folder, "finetune.sbatch", *network, "name=one")
    two = submit(
        cluster, folder, "finetune.sbatch", *network, "name=two", "trainer=ddp", "trainer.accelerator=cpu",
        options=("--ntasks-per-node=2",),
    )  # fmt: skip
    for job in (one, two):
        cluster.wait_for(job)
    weights = [load_file(folder / f"runs/default/finetune/{name}_seed0/network.safetensors") for name in ("one", "two")]
    for name, weight in weights[0].items():
        torch.testing.assert_close(weights[1][name], weight, rtol=0, atol=1e-4, msg=name)


def test_a_study_as_a_chain_of_jobs(cluster: Cluster, folder: Path) -> None:
    arguments = ["dbn random_relu", "0-1", "study=chain", *QUICK, "--", "--cpus-per-task=1"]
    printed = cluster.run(str(SLURM / "study.sh"), *arguments, folder=folder)
    jobs = dict(line.rsplit(" ", 1) for line in printed.splitlines())
    assert list(jobs) == ["pretraining", "dbn", "random_relu", "report"]
    cluster.wait_for(jobs["report"], seconds=180)
    study = folder / "runs/chain"
    assert len(list(study.glob("pretrain/*/result.json"))) == 2
    assert len(list(study.glob("finetune/*/result.json"))) == 4
    assert (study / "report.html").is_file()


def test_a_sweep_as_an_array_with_an_element_that_is_cancelled(cluster: Cluster, folder: Path) -> None:
    """The others go on, the report is written, status says what is missing, and again does only that."""
    slow = ["stack.layers=[30]", "training.epochs=200", "training.batch_size=10"]
    sweep = [
        "-m", "study=s", "arm=random_relu,random_sigmoid", "seed=0,1", "hydra/launcher=slurm_1gpu",
        "hydra.launcher.cpus_per_task=1", *slow,
    ]  # fmt: skip
    job = submit(cluster, folder, "sweep.sbatch", *sweep)
    study = folder / "runs/s"
    started = [study / f"finetune/{name}/metrics.csv" for name in ("random_relu_seed0", "random_relu_seed1")]
    wait_until(lambda: all(rows(path) >= 3 for path in started), 120)
    names = sorted(cluster.run("squeue", "--noheader", "--array", "--format=%i", folder=folder).split())
    first, second = (next(name for name in names if name.endswith(f"_{number}")) for number in (0, 1))
    cluster.run("scancel", first)
    cluster.run("scancel", "--signal=USR1", second)
    wait_until(lambda: cluster.state(job) in ("COMPLETED", "FAILED"), 240)
    assert cluster.state(job) == "FAILED"
    assert "dbn-status says what" in log_of(folder, job)
    assert "Traceback" not in log_of(folder, job)
    assert len(list(study.glob("finetune/*/result.json"))) == 3
    assert (study / "report.html").is_file()
    status = cluster.run("dbn-status", "runs/s", folder=folder)
    assert "3 of 4 runs done" in status
    assert "unfinished  random_relu, seed 0" in status
    times = {path: path.stat().st_mtime_ns for path in study.glob("finetune/*/result.json")}
    again = submit(cluster, folder, "sweep.sbatch", *sweep)
    cluster.wait_for(again, seconds=240)
    assert len(list(study.glob("finetune/*/result.json"))) == 4
    assert all(path.stat().st_mtime_ns == time_ for path, time_ in times.items())
    with (study / "results.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 4
    logs = "\n".join(path.read_text() for path in study.glob("slurm/*/*_log.out"))
    assert "This job has GPUs" in logs, "of which none is real"
    assert "was told to stop" in logs


def test_a_job_of_a_sweep_with_several_tasks(cluster: Cluster, folder: Path) -> None:
    """On a node, by the launcher for that."""
    sweep = [
        "-m", "study=s", "arm=random_relu", "seed=0", "hydra/launcher=slurm_ddp", "hydra.launcher.gpus_per_node=0",
        "hydra.launcher.tasks_per_node=2", "hydra.launcher.cpus_per_task=1", "trainer=ddp", "trainer.accelerator=cpu",
    ]  # fmt: skip
    cluster.run("dbn-finetune", *sweep, *QUICK, folder=folder)
    result = json.loads((folder / "runs/s/finetune/random_relu_seed0/result.json").read_text())
    assert result["config"]["trainer"]["devices"] == 2
    assert (folder / "runs/s/report.html").is_file()


def test_a_stack_as_an_array_and_the_same_one_twice(cluster: Cluster, folder: Path) -> None:
    """A second job at a run that is at work waits, and finds it done; one of two tasks as one of one."""
    small = ["stack.layers=[30]", "stack.every_layer.batch_size=10"]  # at work for longer than jobs start apart
    one = ["stack.every_layer.epochs=800", *small]
    jobs = [submit(cluster, folder, "pretrain.sbatch", *one, options=("--array=3",)) for _ in range(2)]
    two = ["seed=4", "trainer=ddp", "trainer.accelerator=cpu", "stack.every_layer.epochs=100", *small]
    jobs += [submit(cluster, folder, "pretrain.sbatch", *two, options=("--ntasks-per-node=2",)) for _ in range(2)]
    for job in jobs:
        wait_until(lambda job=job: cluster.state(f"{job}_3" if job in jobs[:2] else job) == "COMPLETED", 180)
    assert len(list((folder / "runs").rglob("result.json"))) == 2
    for pair in (jobs[:2], jobs[2:]):
        log = "".join(log_of(folder, job) for job in pair)
        assert log.count("another process is at work here; waiting for it") == 1
        assert log.count("done already") == 1
    assert f", {jobs[0]}_3, on " in log_of(folder, jobs[0])


def test_offline_records_are_found_and_none_is_said(cluster: Cluster, folder: Path) -> None:
    job = submit(cluster, folder, "finetune.sbatch", "arm=random_relu", "logger=wandb", *QUICK)
    cluster.wait_for(job)
    assert len(list((folder / "runs").rglob("offline-run-*"))) == 1
    (folder / "empty").mkdir()
    with pytest.raises(RuntimeError, match="nothing to upload"):
        cluster.run(str(SLURM / "sync.sh"), "empty", folder=folder)
