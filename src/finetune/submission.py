"""``submit=true``: a sweep is handed to SLURM as arrays of jobs with a job for the report behind them."""

import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from dbn.commands.cluster import check_cluster
from dbn.commands.freezing import SLURM_LAUNCHER, user_folders
from dbn.commands.sbatch import array_sizes, batch_options, cancel, max_array_size, submit
from dbn.commands.texts import quoted
from dbn.errors import SettingError
from dbn.files import write_json, write_text
from dbn.runs.code import running_code, source_root
from dbn.runs.slurm_queue import queue_of
from dbn.settings import check_flag, check_number, optional, within
from finetune.job_commands import Command, is_done
from finetune.job_packs import at_most, packs_by_time, packs_of, seconds_of_runs
from finetune.report.results.formatting import count_text
from finetune.report.results.submissions import FOLDER, read_submissions

BASIC_SWEEPER = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"
BATCH_FILE = Path(__file__).with_name("submission.sh")
PUT_BACK = source_root() / "dbn/fitting/put_back.sh"


def check_submit(config: DictConfig) -> None:
    """Check the settings of a multirun's submission, and with ``submit=true`` that it can be handed over.

    Raises:
        SettingError: it decides on its next runs by results, its launcher is not SLURM's, or a setting is invalid.
    """
    check_flag("submit", config.submit)
    check_number("runs_per_job", config.runs_per_job, low=1, whole=True)
    check_number("runs_at_once", config.runs_at_once, low=1, whole=True)
    optional(within(low=0, above=True))("job_minutes", config.job_minutes)
    check_cluster("cluster", OmegaConf.to_container(config.get("cluster", {}), resolve=True))
    if not config.submit:
        if config.job_minutes is not None:
            raise SettingError(
                f"job_minutes={config.job_minutes}: it packs the jobs of submit=true, which is not given."
            )
        if config.runs_per_job != 1:
            raise SettingError(
                f"runs_per_job={config.runs_per_job}: it packs the jobs of submit=true, which is not given."
            )
        if config.runs_at_once != 1:
            raise SettingError(
                f"runs_at_once={config.runs_at_once}: it is for the jobs of submit=true, which is not given. On this "
                "machine use hydra/launcher=local, with hydra.launcher.workers of them."
            )
        return
    folders = [folder for folder in user_folders(config) if folder != Path.cwd() / "conf"]
    if config.get("snapshot") is False and folders:
        raise SettingError(
            f"snapshot=false: jobs of submit=true find configurations in {folders[0]} only where the code is kept with "
            "them. Leave snapshot=false out."
        )
    if config.hydra.sweeper._target_ != BASIC_SWEEPER:
        raise SettingError(
            "submit=true: this sweep decides on its next runs by the results of those before, so somebody has to wait "
            "for them. Leave submit=true out, and let a small job wait: sbatch slurm/sweep.sbatch with the same "
            "arguments."
        )
    launcher = config.hydra.launcher
    if launcher._target_ != SLURM_LAUNCHER:
        raise SettingError(
            "submit=true: the launcher is not SLURM's. Add hydra/launcher=slurm_cpu, or hydra/launcher=slurm_1gpu for "
            "a GPU for each job."
        )
    if config.runs_per_job > 1:
        _check_packable(config, f"runs_per_job={config.runs_per_job}")
    if config.job_minutes is not None:
        _check_packable(config, f"job_minutes={config.job_minutes}")
        if config.runs_per_job > 1:
            raise SettingError(
                f"job_minutes={config.job_minutes}: runs_per_job={config.runs_per_job} is given as well."
            )
    _check_at_once(config)


def hand_over(
    config: DictConfig, study: Path, commands: Sequence[Command], wandb: Mapping[str, Any] | None = None
) -> str:
    """Submit what is not done of a study; returns what there is to say of it.

    Args:
        config: of the multirun, with Hydra's own.
        study: its directory.
        commands: what its jobs run. Commands whose runs are all done by these settings, or whose job is in the queue,
            are left out.
        wandb: settings ``logger.wandb`` of the jobs, which the report is logged with as well.

    Raises:
        SettingError: SLURM refuses a job.
    """
    waiting = [command for command in commands if not is_done(study, command)]
    n_done = len(commands) - len(waiting)
    queued = _queued(study)
    waiting = [command for command in waiting if not queued.issuperset(command.folders)]
    n_queued = len(commands) - n_done - len(waiting)
    before = "".join(f", {n} {what}" for n, what in ((n_done, "done"), (n_queued, "in the queue already")) if n)
    look = f"How far it is: {shlex.join(['dbn-status', str(study), 'watch=true'])}"
    if not waiting:
        return f"{study.name}: nothing to submit{before}.\n{look}"
    packs = _packs(config, study, waiting)
    arrays = _submit_arrays(config, study, packs)
    jobs = {f"{array}_{k}": pack for array, own in arrays for k, pack in enumerate(own)}
    numbers = [array for array, _ in arrays]
    record = study / FOLDER / f"submitted_{numbers[0]}.json"
    code = running_code()
    content = {
        "submitted": time.time(),
        "git": code.git,
        "code": code.name,
        "frozen": code.root is not None,
        "jobs": {job: [folder for command in pack for folder in command.folders] for job, pack in jobs.items()},
    }
    write_json(record, content)
    n_runs = sum(len(command.folders) for command in waiting)
    queue = f"arrays {', '.join(numbers)} one behind another" if len(numbers) > 1 else f"array {numbers[0]}"
    said = f"{study.name}: {count_text(n_runs, 'run')} in {count_text(len(packs), 'job')}, {queue}{before}"
    if not config.pretrain_only:
        try:
            report = _submit_report(config, study, numbers, wandb)
        except SettingError as error:
            raise _nothing_left(error, numbers) from error
        write_json(record, {**content, "report": report})
        said += f"; the report is job {report}"
    return f"{said}.\n{look}"


def _packs(config: DictConfig, study: Path, waiting: Sequence[Command]) -> list[list[Command]]:
    """What each job runs."""
    if config.job_minutes is None:
        packs = packs_of(waiting, config.runs_per_job)
    else:
        expected = seconds_of_runs(study)
        seconds = [sum(expected.get(folder, 0.0) for folder in command.folders) for command in waiting]
        packs = packs_by_time(waiting, seconds, 60.0 * config.job_minutes * config.runs_at_once)
    limit = config.cluster.get("max_jobs")
    if limit is None or len(packs) < limit:  # the report is one, too
        return packs
    _check_packable(config, f"cluster.max_jobs={limit}")
    return at_most(packs, limit - 1)


def _check_packable(config: DictConfig, setting: str) -> None:
    """Refuse several runs in one job of several tasks.

    Raises:
        SettingError: the job has several.
    """
    launcher = config.hydra.launcher
    tasks = int(launcher.get("tasks_per_node") or 1) * int(launcher.get("nodes") or 1)
    if tasks > 1:
        raise SettingError(
            f"{setting}: a job of {tasks} tasks makes one run. Submit fewer of them, each with runs_per_job=1, or use "
            "hydra/launcher=slurm_1gpu."
        )


def _check_at_once(config: DictConfig) -> None:
    """Refuse more runs at once than a job makes, or has cores for.

    Raises:
        SettingError: see above.
    """
    if config.runs_at_once == 1:
        return
    if config.job_minutes is None and config.runs_at_once > config.runs_per_job:
        raise SettingError(
            f"runs_at_once={config.runs_at_once}: a job makes runs_per_job={config.runs_per_job}. Give more of these, "
            f"runs_per_job={4 * config.runs_at_once}, or job_minutes=60."
        )
    cores = config.hydra.launcher.get("cpus_per_task")
    if cores is not None and config.runs_at_once > cores:
        raise SettingError(
            f"runs_at_once={config.runs_at_once}: a job has hydra.launcher.cpus_per_task={cores} cores, and each run "
            f"needs one. Give hydra.launcher.cpus_per_task={config.runs_at_once}, or fewer runs at once."
        )


def _queued(study: Path) -> set[str]:
    """Names of directories of runs whose job waits or is at work."""
    submissions = read_submissions(study)
    jobs = queue_of(submissions.jobs).jobs
    return {folder for folder, job in submissions.job_of.items() if job in jobs}


def _submit_arrays(
    config: DictConfig, study: Path, packs: Sequence[Sequence[Command]]
) -> list[tuple[str, Sequence[Sequence[Command]]]]:
    """Submit one array behind another; returns each one's number and what its jobs run."""
    folder = (study / FOLDER).absolute()
    launcher: Mapping[str, Any] = config.hydra.launcher
    place = len(list(folder.glob("commands_*.txt")))
    commands = folder / f"commands_{place}.txt"
    write_text(commands, "".join(f"{_line(pack)}\n" for pack in packs))
    body = PUT_BACK.read_text(encoding="utf-8") + BATCH_FILE.read_text(encoding="utf-8")
    asked = batch_options(_resolved(launcher))
    script = _batch_file(launcher, folder, f"work_{place}.sbatch", body, asked)
    together = launcher.get("array_parallelism")
    arrays: list[tuple[str, Sequence[Sequence[Command]]]] = []
    first = 0
    for size in array_sizes(len(packs), config.cluster.get("max_array_size") or max_array_size()):
        options = [
            f"--job-name=dbn-{study.name}", f"--array=0-{size - 1}{f'%{together}' if together else ''}",
            f"--output={folder}/%A_%a.out", *asked,
        ]  # fmt: skip
        if arrays:
            options.append(f"--dependency=afterany:{arrays[-1][0]}")
        try:
            number = submit(script, options, str(script), str(commands), str(first), str(config.runs_at_once))
        except SettingError as error:
            raise _nothing_left(error, [array for array, _ in arrays]) from error
        arrays.append((number, packs[first : first + size]))
        first += size
    return arrays


def _nothing_left(error: SettingError, arrays: Sequence[str]) -> SettingError:
    """The error, with what was accepted before it out of the queue: half a sweep would be submitted twice."""
    cancel(arrays)
    gone = f" What it had accepted before is cancelled: {', '.join(arrays)}." if arrays else ""
    return SettingError(f"{error}{gone}")


def _submit_report(config: DictConfig, study: Path, numbers: Sequence[str], wandb: Mapping[str, Any] | None) -> str:
    folder = (study / FOLDER).absolute()
    margin = "null" if config.report.margin is None else config.report.margin
    command = shlex.join(["dbn-report", str(study), f"margin={margin}", *_logger_overrides(wandb)])
    script = _batch_file(config.hydra.launcher, folder, "report.sbatch", f"exec {command}\n")
    asked = _resolved(config.hydra.launcher)
    kept = {key: asked[key] for key in ("partition", "account", "qos", "constraint") if asked.get(key) is not None}
    options = [
        "--job-name=dbn-report", "--ntasks=1", "--cpus-per-task=1", "--time=60", f"--output={folder}/report_%j.out",
        f"--dependency=afterany:{':'.join(numbers)}", *batch_options(kept),
    ]  # fmt: skip
    return submit(script, options)


def _logger_overrides(wandb: Mapping[str, Any] | None) -> list[str]:
    """Overrides of dbn-report that choose Weights & Biases with these settings; none without."""
    if wandb is None:
        return []

    def text(value: Any) -> str:
        if isinstance(value, list):
            return f"[{','.join(map(text, value))}]"
        return quoted(value) if isinstance(value, str) else "null" if value is None else str(value)

    return ["logger=wandb", *(f"logger.wandb.{key}={text(value)}" for key, value in wandb.items())]


def _batch_file(launcher: Mapping[str, Any], folder: Path, name: str, body: str, options: Sequence[str] = ()) -> Path:
    """A batch file with the commands of this environment on its PATH, and what the launcher sets up.

    Args:
        launcher: settings.
        folder: for the file.
        name: of the file.
        body: what comes behind.
        options: of sbatch, for a job that submits itself again.
    """
    lines = ["#!/bin/bash", *(f"#SBATCH {shlex.quote(option)}" for option in options)]
    lines += [f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH"]
    lines += [str(line) for line in launcher.get("setup") or ()]
    root = running_code().root
    if root is not None:
        lines.append(f'export PYTHONPATH={shlex.quote(str(root))}"${{PYTHONPATH:+:$PYTHONPATH}}"')
    write_text(folder / name, "\n".join([*lines, body]))
    return folder / name


def _resolved(launcher: Any) -> dict[str, Any]:
    """Settings of the launcher, without the folder of submitit's files, which is not used."""
    keys = [str(key) for key in launcher if key != "submitit_folder"]
    return {
        key: OmegaConf.to_container(value) if OmegaConf.is_config(value := launcher[key]) else value for key in keys
    }


def _line(pack: Sequence[Command]) -> str:
    """Arguments of each command as one word for the shell."""
    return shlex.join(shlex.join(command.overrides) for command in pack)
