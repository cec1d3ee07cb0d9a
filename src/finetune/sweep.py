"""Around a multirun: write down what was planned before it, and the report after it."""

import json
import logging
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dbn.commands.command import print_message
from dbn.commands.configuration import resolve_config
from dbn.commands.explain import explain
from dbn.errors import SettingError, UserError
from dbn.files import write_json
from dbn.fitting.processes import is_first
from dbn.runs.identity import INCIDENTAL
from dbn.runs.naming import NOT_NAMED, folder_name
from dbn.runs.run import study_directory
from dbn.runs.tracking import tracking
from finetune.report import write_report

log = logging.getLogger(__name__)

PLAN = "sweep.json"
_finished: dict[Path, dict[str, Any] | None] = {}
"""Studies that a multirun has started, with their settings of Weights & Biases."""


class StudyReport(Callback):
    """Hydra's callback: writes ``sweep.json`` when a multirun starts and has the report written when it has ended.

    Hydra calls ``on_multirun_end`` only if every job went well. The report matters most when one did not, so it is
    written by :func:`at_end`, which the command calls in any case: without a plan, too, since Hydra makes a warning of
    a callback's error and goes on.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Write the plan of every study that the multirun has jobs of.

        Raises:
            SystemExit: two jobs would share a directory, or the plan cannot be written. Of any other error Hydra would
                make a warning, and go on.
        """
        if not is_first():
            return
        try:
            self.plan(config)
        except (UserError, OSError) as error:
            message = explain(error, "finetune")
            if message is None:
                raise
            print_message(message)
            sys.exit(2)

    def plan(self, config: DictConfig) -> None:
        """Write the plan.

        Raises:
            SettingError: two jobs would share a directory.
        """
        try:
            jobs = planned_jobs(config)
        except HydraException:  # a job that cannot be composed: Hydra refuses the multirun, and says why
            return
        check_directories(jobs)
        for study, own in groupby(sorted(jobs, key=lambda job: job.study), key=lambda job: job.study):
            planned = list(own)
            if not all(job.pretrain_only for job in planned):
                _finished[study] = planned[0].wandb
            write_json(study / PLAN, {"jobs": merged(study, [job.planned for job in planned])})


@dataclass(frozen=True)
class Job:
    """A job of a multirun, one seed of it.

    Attributes:
        words: its overrides.
        study: the directory of its study.
        arm: its arm; empty where the job cannot be told.
        name: of the run.
        seed: of the run.
        settings: all that may decide what comes out, but the seed; None where that cannot be told.
        pretrain_only: whether it leaves stacks and no run.
        wandb: settings of Weights & Biases.
    """

    words: tuple[str, ...]
    study: Path
    arm: str
    name: str
    seed: int
    settings: dict[str, Any] | None = None
    pretrain_only: bool = False
    wandb: dict[str, Any] | None = None

    @property
    def planned(self) -> dict[str, Any]:
        """What the report needs to know of it."""
        words = [word for word in self.words if not word.startswith("pretrain_only=")]  # the run it is one stack of
        command = shlex.join(["dbn-finetune", *words])
        return {"arm": self.arm, "name": self.name, "seed": self.seed, "overrides": words, "command": command}


def planned_jobs(config: DictConfig) -> list[Job]:
    """Every job of a multirun, as Hydra's sweeper will launch them."""
    parameters = config.hydra.sweeper.params or {}
    # Unresolved: what has interpolations is to be resolved for each job, not for the defaults.
    given = [str(words) for words in config.hydra.overrides.task._iter_ex(resolve=False)]
    parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
    overrides = parser.parse_overrides([*(f"{key}={value}" for key, value in parameters.items()), *given])
    (batch,) = BasicSweeper.split_arguments(overrides, max_batch_size=None)
    composed = cache(lambda words: hydra.compose("finetune", list(words), return_hydra_config=True))
    return [job for words in batch for job in jobs_of(words, composed)]


def jobs_of(words: Sequence[str], compose: Callable[[tuple[str, ...]], DictConfig]) -> list[Job]:
    """The jobs, one for each seed, that these overrides start, a sweep= that they hang on included.

    A job that cannot be told, such as one whose name looks at a setting it does not have, is planned by its words: it
    fails when it is started, and the others do not.

    Args:
        words: the overrides.
        compose: composes a configuration with Hydra's; jobs that differ in a seed alone share one, since it takes a
            quarter of a second.
    """
    seeds = [word for word in words if re.fullmatch(r"seed=\d+", word)]
    composed = compose(tuple(word for word in words if word not in seeds))
    if seeds:
        composed = composed.copy()
        composed.seed = int(seeds[-1].partition("=")[2])
    study = Path(str(composed.paths.runs), NOT_NAMED)
    try:
        study = study_directory({"paths": {"runs": str(composed.paths.runs)}, "study": composed.study})
        with hydra_config(composed):
            name = str(composed.name)
        config = resolve_config(OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"]))
        settings = {key: value for key, value in config.items() if key not in {*INCIDENTAL, "name", "seed"}}
        job = Job(
            tuple(words), study, config["arm"]["name"], name, config["seed"], settings, config["pretrain_only"],
            config["logger"]["wandb"],
        )  # fmt: skip
        return [replace(job, seed=job.seed + k) for k in range(config["n_parallel_seeds"])]
    except (OmegaConfBaseException, UserError, TypeError, KeyError):
        return [Job(tuple(words), study, "", " ".join(words), 0)]


@contextmanager
def hydra_config(config: DictConfig) -> Iterator[None]:
    """Hydra's own configuration as a job would find it: a name may ask for its choices."""
    before = HydraConfig.instance().cfg
    HydraConfig.instance().set_config(config)
    try:
        yield
    finally:
        HydraConfig.instance().cfg = before


def check_directories(jobs: Sequence[Job]) -> None:
    """Refuse a multirun in which different jobs would share a directory.

    Raises:
        SettingError: two would; the message says which, and how to name them.
    """
    firsts: dict[tuple[Path, str, int], Job] = {}
    for job in jobs:
        first = firsts.setdefault((job.study, folder_name(job.name), job.seed), job)
        if first.settings != job.settings:
            apart = [word for word in job.words if word not in first.words]
            key = apart[0].split("=")[0] if apart else "seed"
            raise SettingError(
                f"name={job.name}: two jobs of this multirun would share a directory, one with "
                f"{' '.join(word for word in first.words if word not in job.words)}, one with {' '.join(apart)}. "
                f"Leave name= out (base_name={job.name} changes what comes before the swept values), or let it say "
                f"{key} too."
            )


def merged(study: Path, jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Planned jobs, those of earlier multiruns of the study included."""
    path = study / PLAN
    try:
        earlier = json.loads(path.read_text(encoding="utf-8"))["jobs"] if path.is_file() else []
    except (ValueError, KeyError):
        log.warning("%s cannot be read; it is written anew.", path)
        earlier = []
    known = {(job["name"], job["seed"]) for job in jobs}
    return [job for job in earlier if (job["name"], job["seed"]) not in known] + jobs


def at_end() -> None:
    """Write the report of the study that a multirun has just ended, failed jobs or not."""
    while _finished:
        study, wandb = _finished.popitem()
        try:
            report = write_report(study)
        except UserError as error:
            log.error("No report: %s", error)
            continue
        with tracking(
            study, wandb, study=study.name, stage="report", name=f"{study.name}_report", tags=[], config={}
        ) as tracker:
            tracker.log_report(report.html, report.tables, report.figures)
        print(report.text)
        print(f"\nreport: {report.html}")
