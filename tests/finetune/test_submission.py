"""submit=true, with stand-ins for SLURM's programs: what is handed in, and what its jobs then run."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from finetune import train
from finetune.tasks import FineTuning

SWEEP = ["-m", "study=s", "arm=dbn,random_relu", "seed=0,1,2,3", "stack.layers=[4]", "training.epochs=1"]
SUBMIT = [*SWEEP, "submit=true", "hydra/launcher=slurm_cpu", "hydra.launcher.partition=some part"]
PROGRAMS = {
    # Numbers jobs from 7 on, and keeps its arguments.
    "sbatch": 'echo "$*" >> "$BIN/handed_in"; echo $((6 + $(wc -l < "$BIN/handed_in")))',
    "scontrol": 'echo "MaxArraySize            = 3"',
    "squeue": 'cat "$BIN/queue" 2>/dev/null',
    "srun": 'shift; exec "$@"',
    # Keeps its arguments, one in brackets each; fails for seed 1.
    "dbn-finetune": 'for word in "$@"; do printf "[%s]" "$word"; done >> "$BIN/ran"; echo >> "$BIN/ran"\n'
    'case "$*" in *seed=1*) exit 3 ;; esac',
}


@pytest.fixture
def bin_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stand-ins' folder, first on the PATH; a folder with a space is where commands are called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, words in PROGRAMS.items():
        (folder / name).write_text(f"#!/bin/bash\nBIN={folder}\n{words}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    here = tmp_path / "my work"
    here.mkdir()
    monkeypatch.chdir(here)
    return folder


def finetune(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "finetune.train", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def handed_in(bin_: Path) -> list[str]:
    file = bin_ / "handed_in"
    return file.read_text().splitlines() if file.is_file() else []


def test_a_sweep_in_packs_and_arrays_and_each_run_once(bin_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = finetune(*SUBMIT, "runs_per_job=2")
    assert done.returncode == 0, done.stderr
    assert "s: 8 runs in 4 jobs, arrays 7, 8 one behind another; the report is job 9." in done.stdout
    assert "dbn-status runs/s watch=true" in done.stdout
    one, two, report = handed_in(bin_)
    for words, size in ((one, 3), (two, 1)):
        assert f"--array=0-{size - 1}%256 " in words
        for option in ("--partition=some part", "--time=240", "--signal=SIGUSR1@120", "--requeue", "--cpus-per-task=4"):
            assert option in words
    assert "--dependency" not in one
    assert "--dependency=afterany:7 " in two
    assert "--dependency=afterany:7:8 " in report
    study = Path("runs/s").absolute()
    assert "exec dbn-report runs/s " in (study / "slurm/report.sbatch").read_text()
    assert not (study / "finetune").exists(), "nothing is run here"
    assert not (study / "report.html").exists()
    planned = json.loads((study / "sweep.json").read_text())["jobs"]
    assert len(planned) == 8
    assert not [job for job in planned if "submit" in job["command"]]
    record = json.loads((study / "slurm/submitted_7.json").read_text())
    assert record["report"] == "9"
    submitted = record["jobs"]
    assert {job: len(runs) for job, runs in submitted.items()} == {"7_0": 2, "7_1": 2, "7_2": 2, "8_0": 2}

    monkeypatch.setenv("SLURM_JOB_ID", "7")
    use_stand_in(bin_)
    for words in (one, two):
        first = words.split()[-2]
        for element in range(3 if words is one else 1):
            ended = run_job(words, element)
            place = int(first) + element
            runs = submitted[f"{'7' if words is one else '8'}_{element}"]
            assert ended.returncode == int(any("seed1" in run for run in runs)), f"job {place}"
    ran = (bin_ / "ran").read_text().splitlines()
    assert len(ran) == len(set(ran)) == 8, "one that fails does not keep the others from being made"
    for job in planned:
        assert sum(f"[arm={job['arm']}]" in line and f"[seed={job['seed']}]" in line for line in ran) == 1
    assert all("[stack.layers=[4]]" in line and "[hydra.mode=RUN]" in line for line in ran)
    assert not [line for line in ran if "submit" in line or "runs_per_job" in line]


def use_stand_in(bin_: Path) -> None:
    """Have the study's batch file run the stand-in in place of the real command."""
    script = Path("runs/s/slurm/work_0.sbatch")
    script.write_text(script.read_text().replace(shlex.quote(str(Path(sys.executable).parent)), str(bin_)))


def run_job(handed_in: str, element: int, **more: str) -> subprocess.CompletedProcess[str]:
    """Run an element of an array by what sbatch was given."""
    script, commands = (Path("runs/s/slurm", name).absolute() for name in ("work_0.sbatch", "commands_0.txt"))
    words = ["bash", str(script), str(script), str(commands), *handed_in.split()[-2:]]
    environment = {**os.environ, "SLURM_ARRAY_TASK_ID": str(element), **more}
    return subprocess.run(words, env=environment, check=False, timeout=60, capture_output=True, text=True)


def leave_a_run(folder: str, *overrides: str, result: str = "{}") -> None:
    """What a run of the sweep leaves that says it is done."""
    run = Path("runs/s/finetune", folder)
    (run / ".hydra").mkdir(parents=True, exist_ok=True)
    (run / ".hydra" / "overrides.yaml").write_text("".join(f"- {one}\n" for one in overrides))
    (run / "result.json").write_text(result)


def test_a_run_of_the_same_name_that_was_asked_for_otherwise_is_not_counted_as_done(bin_: Path) -> None:
    leave_a_run("dbn_seed0", "study=s", "arm=dbn", "seed=0", "stack.layers=[4]", "training.epochs=2", "hydra.mode=RUN")
    done = finetune(*SUBMIT, "runs_per_job=2")
    assert "s: 8 runs in 4 jobs, arrays 7, 8" in done.stdout, "the job compares the settings, and refuses it"
    assert "done" not in done.stdout


def test_again_only_what_is_missing_and_not_queued(bin_: Path) -> None:
    finetune(*SUBMIT, "runs_per_job=4")
    leave_a_run("dbn_seed0", "study=s", "arm=dbn", "seed=0", "stack.layers=[4]", "training.epochs=1", "hydra.mode=RUN")
    (bin_ / "queue").write_text("7_1|PENDING||Priority\n")  # with the four runs of the other arm
    done = finetune(*SUBMIT, "runs_per_job=4")
    assert "s: 3 runs in 1 job, array 9, 1 done, 4 in the queue already" in done.stdout
    assert len(handed_in(bin_)) == 4
    (bin_ / "queue").write_text("7_1|PENDING||Priority\n9_0|RUNNING|n1|None\n")
    again = finetune(*SUBMIT, "runs_per_job=4")
    assert again.returncode == 0
    assert "s: nothing to submit, 1 done, 7 in the queue already" in again.stdout
    assert len(handed_in(bin_)) == 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([*SWEEP, "submit=true"], "hydra/launcher=slurm_cpu"),
        (["submit=true", "arm=dbn"], "sbatch slurm/finetune.sbatch"),
        (["sweep=tune", "submit=true", "hydra/launcher=slurm_cpu"], "sbatch slurm/sweep.sbatch"),
        ([*SWEEP, "runs_per_job=3"], "submit=true, which is not given"),
        ([*SUBMIT, "runs_per_job=0"], "runs_per_job=0: it must be a whole number from 1"),
        ([*SUBMIT, "runs_per_job=2", "hydra/launcher=slurm_ddp"], "makes one run"),
        ([*SWEEP, "runs_at_once=2"], "hydra/launcher=local"),
        ([*SUBMIT, "runs_at_once=2"], "a job makes runs_per_job=1"),
        ([*SUBMIT, "runs_per_job=8", "runs_at_once=8"], "hydra.launcher.cpus_per_task=4 cores"),
    ],
)
def test_what_cannot_be_submitted(bin_: Path, arguments: list[str], words: str) -> None:
    done = finetune(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not handed_in(bin_)


def test_slurm_refuses(bin_: Path) -> None:
    (bin_ / "sbatch").write_text("#!/bin/sh\necho 'sbatch: error: Invalid partition name specified' >&2\nexit 1\n")
    done = finetune(*SUBMIT)
    assert done.returncode == 2
    assert "Invalid partition name specified" in done.stderr
    assert "No report" not in done.stdout + done.stderr, "nothing has been run"


@pytest.mark.parametrize("refused", [2, 3])
def test_a_sweep_of_which_slurm_refuses_a_part_leaves_nothing_in_the_queue(bin_: Path, refused: int) -> None:
    """The second array, or the report: a site's MaxSubmitJobs. Submitted again, it would be there twice."""
    sbatch = bin_ / "sbatch"
    refusing = f'[ "$(wc -l < "$BIN/handed_in")" -lt {refused - 1} ] || {{ echo MaxSubmitJobs >&2; exit 1; }}'
    first, rest = sbatch.read_text().split("\n", 2)[1:]
    (bin_ / "handed_in").touch()
    sbatch.write_text(f"#!/bin/bash\n{first}\n{refusing}\n{rest}")
    (bin_ / "scancel").write_text(f'#!/bin/bash\necho "$@" >> {bin_}/cancelled\n')
    (bin_ / "scancel").chmod(0o755)
    done = finetune(*SUBMIT, "runs_per_job=2")
    assert done.returncode == 2
    arrays = [str(7 + k) for k in range(refused - 1)]
    assert "MaxSubmitJobs. What is asked for" in done.stderr
    assert f"accepted before is cancelled: {', '.join(arrays)}." in done.stderr
    assert (bin_ / "cancelled").read_text().split() == arrays


@pytest.mark.parametrize("at_once", [1, 2, 4])
def test_so_many_runs_of_a_job_at_once(bin_: Path, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    """Each run waits for as many beside it as there should be, and finds no more; cores are divided."""
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    (bin_ / "dbn-finetune").write_text(
        f"#!{sys.executable}\nimport os, sys, time\nfrom pathlib import Path\n"
        f"here = Path({str(bin_)!r}, 'at_work')\nhere.mkdir(exist_ok=True)\n"
        "own = here / str(os.getpid())\nown.touch()\n"
        f"end = time.monotonic() + 30\nwhile len([*here.iterdir()]) % {at_once}:\n"
        "    assert time.monotonic() < end, 'it is alone'\n    time.sleep(0.01)\n"
        "time.sleep(0.3)\nn = len([*here.iterdir()])\n"
        f"open({str(bin_ / 'ran')!r}, 'a').write(f\"{{n}} {{os.environ['OMP_NUM_THREADS']}}\\n\")\n"
        "sys.exit(3 if 'seed=1' in sys.argv else 0)\n"
    )
    finetune(*SUBMIT, "runs_per_job=8", f"runs_at_once={at_once}")
    use_stand_in(bin_)
    done = run_job(handed_in(bin_)[0], 0, SLURM_CPUS_PER_TASK="4")
    assert done.returncode == 1, "two have failed"
    ran = [line.split() for line in (bin_ / "ran").read_text().splitlines()]
    assert len(ran) == 8
    assert {int(threads) for _, threads in ran} == {4 // at_once}
    # Those of a round are there together, and what has ended leaves its mark.
    assert sorted(int(n) for n, _ in ran) == sorted(at_once * (1 + k // at_once) for k in range(8))


def test_what_a_gpu_s_memory_does_not_hold_beside_others_is_made_again_alone(
    bin_: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    (bin_ / "dbn-finetune").write_text(
        f"#!/bin/bash\nBIN={bin_}\n"
        'touch "$BIN/beside_$$"; sleep 0.5\n'
        'n=$(ls "$BIN"/beside_* | wc -l)\necho "$n $*" >> "$BIN/ran"\n'
        '[ "$n" -gt 1 ] && [[ "$*" = *arm=dbn* ]] && status=75 || status=0\n'
        'sleep 0.5; rm "$BIN/beside_$$"\nexit "$status"\n'
    )
    finetune(*SUBMIT, "runs_per_job=8", "runs_at_once=4")
    use_stand_in(bin_)
    done = run_job(handed_in(bin_)[0], 0)
    assert done.returncode == 0, done.stderr
    assert "one by one, since the memory of the GPU did not hold them beside others: 4 of 8" in done.stdout
    ran = (bin_ / "ran").read_text().splitlines()
    assert len(ran) == 12
    assert all(line.startswith("1 ") and "arm=dbn" in line for line in ran[8:])
    assert len(set(ran[8:])) == 4


def test_a_full_memory_of_a_gpu_is_said_with_an_exit_status_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has ...")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(FineTuning, "training_step", full)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    monkeypatch.setattr(sys, "argv", ["dbn-finetune", "arm=random_relu", "training.epochs=1", "progress=false"])
    with pytest.raises(SystemExit) as ended:
        train.main()
    assert ended.value.code == 75
    said = capsys.readouterr().err
    assert "\nCUDA out of memory: the memory of the GPU does not hold this run" in said
    assert "runs_at_once" in said


@pytest.mark.parametrize("at_once", [1, 2])
def test_a_job_told_to_stop_tells_its_runs_and_goes_back_into_the_queue(bin_: Path, at_once: int) -> None:
    """The signal reaches the shell alone, as SLURM sends it."""
    finetune(*SUBMIT, "runs_per_job=4", f"runs_at_once={at_once}")
    script = Path("runs/s/slurm/work_0.sbatch").absolute()
    (bin_ / "dbn-finetune").write_text(
        f"#!{sys.executable}\nimport signal, sys, time\n"
        "def told(*_):\n    print('saved', flush=True)\n    sys.exit(0)\n"
        "signal.signal(signal.SIGUSR1, told)\nsignal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})\n"
        "print('at work', flush=True)\ntime.sleep(60)\n"
    )
    words = ["bash", str(script), "work", str(script.with_name("commands_0.txt")), "1", str(at_once)]
    environment = {**os.environ, "PATH": f"{bin_}:{os.environ['PATH']}"}
    use_stand_in(bin_)
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True) as job:
        assert job.stdout is not None
        for _ in range(at_once):
            assert job.stdout.readline() == "at work\n"
        job.send_signal(10)
        rest = job.stdout.read()
    assert (rest, job.returncode) == (at_once * "saved\n", 138), "the runs behind them are not begun"


SITE = """# Our cluster.
partition: fast
account: ab12
constraint: "skylake|icelake"
minutes: 90
max_array_size: 2
max_jobs: 4
setup: |
  module load python
  ulimit -c 0
"""


def at_site(text: str = SITE) -> None:
    Path("conf/cluster").mkdir(parents=True)
    Path("conf/cluster/ours.yaml").write_text(text)


def test_what_a_site_wants_stands_once_in_a_file_where_the_command_is_called(bin_: Path) -> None:
    at_site()
    done = finetune(*SWEEP, "submit=true", "hydra/launcher=slurm_1gpu", "cluster=ours")
    assert done.returncode == 0, done.stderr
    assert "s: 8 runs in 3 jobs, arrays 7, 8 one behind another; the report is job 9." in done.stdout
    *arrays, report = handed_in(bin_)
    for words in (*arrays, report):
        for option in ("--partition=fast", "--account=ab12", "--constraint=skylake|icelake"):
            assert option in words
    assert [words.partition("--array=")[2].partition("%")[0] for words in arrays] == ["0-1", "0-0"]
    assert all("--time=90" in words and "--gpus-per-node=1" in words for words in arrays)
    script = Path("runs/s/slurm/work_0.sbatch").read_text()
    assert "\nmodule load python\nulimit -c 0\n" in script
    options = [shlex.split(line)[1] for line in script.splitlines() if line.startswith("#SBATCH")]
    assert {"--partition=fast", "--time=90", "--signal=SIGUSR1@120", "--requeue"} <= set(options)
    (frozen,) = Path("runs/s/code").glob("*/configurations/0/cluster/ours.yaml")
    assert frozen.read_text() == SITE, "jobs find it, too"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("partitoin: fast\n", "cluster.partitoin: no such setting"),
        ("minutes: 1\n", "cluster.minutes=1"),
        ("setup: [module load python]\n", "write them below setup: |"),
        ("max_jobs: 1\n", "cluster.max_jobs=1"),
    ],
)
def test_mistakes_in_a_site_s_file_are_named(bin_: Path, text: str, words: str) -> None:
    at_site(text)
    done = finetune(*SWEEP, "submit=true", "hydra/launcher=slurm_cpu", "cluster=ours")
    assert done.returncode == 2
    assert words in done.stderr
    assert not handed_in(bin_)


def test_jobs_of_a_length(bin_: Path) -> None:
    for seed in (0, 1):
        result = {"study": "s", "stage": "finetune", "name": "random_relu", "arm": "random_relu", "seed": seed,
                  "metrics": {}, "seconds": 20.0}  # fmt: skip
        asked = ["study=s", "arm=random_relu", f"seed={seed}", "stack.layers=[4]", "training.epochs=1"]
        leave_a_run(f"random_relu_seed{seed}", *asked, result=json.dumps(result))
    done = finetune(*SUBMIT, "job_minutes=1")
    assert done.returncode == 0, done.stderr
    assert "s: 6 runs in 2 jobs, array 7, 2 done" in done.stdout
    refused = finetune(*SUBMIT, "job_minutes=1", "runs_per_job=2")
    assert "runs_per_job=2 is given as well" in refused.stderr
