"""Around a multirun: write down what was planned before it, and the report after it."""

import itertools
import json
import logging
import shlex
from pathlib import Path
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from dbn.command import config_directory, plain
from dbn.errors import UserError
from dbn.files import write_json
from dbn.processes import is_first
from dbn.tracking import tracking
from finetune.report import write_report

log = logging.getLogger(__name__)

PLAN = "sweep.json"
_finished: list[tuple[Path, dict[str, Any] | None]] = []
"""Studies that a multirun has started, with their settings of Weights & Biases."""


class StudyReport(Callback):
    """Hydra's callback: writes ``sweep.json`` when a multirun starts and has the report written when it has ended.

    Hydra calls ``on_multirun_end`` only if every job went well. The report matters most when one did not, so it is
    written by :func:`at_end`, which the command calls in any case: without a plan, too, since Hydra makes a warning of
    a callback's error and goes on.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Write the plan."""
        if is_first():
            study = Path(config.hydra.sweep.dir)
            if not config.pretrain_only:
                wandb = config.logger.wandb
                _finished.append((study, None if wandb is None else plain(wandb)))
            try:
                write_json(study / PLAN, {"jobs": merged(study, planned_jobs(config))})
            except HydraException:  # a job that cannot be composed: Hydra refuses the multirun, and says why
                _finished.clear()


def planned_jobs(config: DictConfig) -> list[dict[str, Any]]:
    """Arm, seed, name, overrides and command of every job of a multirun."""
    parameters = {key: str(value) for key, value in (config.hydra.sweeper.params or {}).items()}
    parser = OverridesParser.create()
    # Unresolved: a name= among them has interpolations that are to be resolved for each job, not for the defaults.
    given = parser.parse_overrides([str(words) for words in config.hydra.overrides.task._iter_ex(resolve=False)])
    for override in given:
        parameters.pop(override.key_or_group, None)
    overrides = [*parser.parse_overrides([f"{key}={value}" for key, value in parameters.items()]), *given]
    choices = [
        [f"{o.get_key_element()}={value}" for value in o.sweep_string_iterator()]
        if o.is_sweep_override()
        else [o.input_line]
        for o in overrides
    ]
    return [
        job for words in itertools.product(*choices) for job in jobs_of([word for word in words if word is not None])
    ]


def jobs_of(words: list[str]) -> list[dict[str, Any]]:
    """What the report needs to know of the runs that these overrides start, a sweep= that they hang on included."""
    config = _composed(words) if GlobalHydra.instance().is_initialized() else _compose(words)
    before = HydraConfig.instance().cfg
    HydraConfig.instance().set_config(config)  # the name of a run asks it for the choices that are swept
    try:
        name = config.name
    finally:
        HydraConfig.instance().cfg = before
    command = shlex.join(["dbn-finetune", *words])
    shared = {"arm": config.arm.name, "name": name, "overrides": words, "command": command}
    return [{**shared, "seed": config.seed + k} for k in range(config.n_parallel_seeds)]


def _composed(words: list[str]) -> DictConfig:
    return hydra.compose("finetune", words, return_hydra_config=True)


def _compose(words: list[str]) -> DictConfig:
    with hydra.initialize_config_dir(str(config_directory()), version_base="1.3"):
        return _composed(words)


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
        study, wandb = _finished.pop()
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
