"""Freezing the code of a study: the command starts over from a snapshot, so that it and all its jobs run that.

Jobs of a queue start hours after they were submitted, and a sweep that waits for them composes new ones in between; an
edit of the checkout would reach some of them. So before the first job is planned, the code is copied to
``runs/<study>/code/<hash>/`` (:mod:`dbn.runs.snapshot`), and this process replaces itself by the same command with that
folder first on Python's path, which its jobs inherit.
"""

import os
import shlex
import sys
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from hydra.utils import get_method
from omegaconf import DictConfig, OmegaConf

from dbn.commands.boundary import bypassing_hydra
from dbn.errors import SettingError
from dbn.files import write_text
from dbn.fitting.preemption import job_id
from dbn.runs.code import running_code
from dbn.runs.directories import check_run_location, study_directory
from dbn.runs.snapshot import FOLDER, take_snapshot
from dbn.runs.user_code import targets_in
from dbn.settings import check_flag, optional

SLURM_LAUNCHER = "hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher"
PATH = "PYTHONPATH"
_OTHERS = ("main", "hydra", "schema", "frozen")
"""Where Hydra finds configurations that are not in the user's folders."""


class FreezeCode(Callback):
    """Hydra callback that starts the command over from a snapshot of its code, where ``snapshot`` asks for it.

    Args:
        check: dotted name of a function that checks a multirun's configuration first: of one that is refused, nothing
            is kept.
    """

    def __init__(self, check: str | None = None) -> None:
        self.check = check

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Freeze a single run with ``snapshot=true``."""
        with bypassing_hydra():
            if config.get("snapshot") is True:
                freeze(config)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Freeze a multirun whose jobs wait in SLURM's queue, or with ``snapshot=true`` any."""
        with bypassing_hydra():
            optional(check_flag)("snapshot", config.get("snapshot"))
            if self.check is not None:
                get_method(self.check)(config)
            if config.get("snapshot") is True or (
                config.get("snapshot") is None and config.hydra.launcher._target_ == SLURM_LAUNCHER
            ):
                freeze(config)


_given: list[str] = []
"""Arguments of the command, as they were given."""


def remember_arguments(arguments: list[str]) -> None:
    """Keep the arguments of the command, before Hydra's and this package's changes to ``sys.argv``."""
    _given[:] = arguments


def freeze(config: DictConfig) -> None:
    """Replace this process by the same command that runs from a snapshot; return if it does so already.

    Raises:
        SettingError: it cannot be started over, or does not import the snapshot.
    """
    check_run_location(config)
    study = Path(study_directory({"paths": {"runs": str(config.paths.runs)}, "study": config.study}))
    root = running_code().root
    if root is not None and root.parent == (study / FOLDER).resolve():
        return
    command = sys.orig_argv
    if _given and command[-len(_given) :] != _given:
        raise SettingError(
            "snapshot: this process was not started by the command, and cannot start over from a snapshot of the code. "
            "Call dbn-finetune, or give snapshot=false, with which jobs run the code as it is when they start."
        )
    snapshot = kept_for_job(study) or keep(config, study)
    rest = os.environ.get(PATH)
    if rest is not None and rest.split(os.pathsep)[0] == str(snapshot):
        raise SettingError(
            f"snapshot: Python imports the package from {Path(__file__).parents[2]}, though {snapshot} is first on "
            f"{PATH}. Install the package as it is or with pip install -e, or give snapshot=false."
        )
    environment = {**os.environ, PATH: os.pathsep.join(filter(None, [str(snapshot), rest]))}
    print(f"The code is kept in {shlex.quote(str(study / FOLDER / snapshot.name))}; the jobs run that.")
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, *command[1:]], environment)


def keep(config: DictConfig, study: Path) -> Path:
    """Keep the code for a study; returns the snapshot."""
    folders = user_folders(config)
    texts = [OmegaConf.to_yaml(config), *_given]
    texts += [file.read_text(encoding="utf-8") for folder in folders for file in folder.rglob("*.yaml")]
    targets = {target for text in texts for target in targets_in(text)}
    snapshot = take_snapshot(study, targets, folders)
    job = job_id()
    if job is not None:
        write_text(study / FOLDER / f"of_job_{job}.txt", f"{snapshot.name}\n")
    return snapshot


def kept_for_job(study: Path) -> Path | None:
    """What was kept when the SLURM job that this is started first; None for another job, or the first start.

    A sweep in a job of its own, ``slurm/sweep.sbatch``, comes back from the queue, too.
    """
    job = job_id()
    if job is None or os.environ.get("SLURM_RESTART_COUNT", "0") == "0":
        return None
    record = study / FOLDER / f"of_job_{job}.txt"
    snapshot = study / FOLDER / record.read_text(encoding="utf-8").strip() if record.is_file() else None
    return snapshot.absolute() if snapshot is not None and snapshot.is_dir() else None


def user_folders(config: DictConfig) -> list[Path]:
    """The user's folders of configurations, in the order in which Hydra searches them."""
    return [
        Path(str(source.path)).absolute()
        for source in config.hydra.runtime.config_sources
        if source.schema == "file" and source.provider not in _OTHERS
    ]
