"""Search for the settings of pretraining, by a proxy of a stack's quality, see :mod:`finetune.stack_quality`.

Every trial draws learning rate, epochs, Gibbs steps and weight cost from a space, and pretrains stacks of a few seeds.
The best is printed, and written as overrides that dbn-pretrain and dbn-finetune take.
"""

import logging
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import hydra
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from dbn.commands.configuration import resolve_config
from dbn.commands.texts import with_texts
from dbn.data.from_config import data_sets_of
from dbn.errors import SettingError, UserError
from dbn.files import write_json, write_text
from dbn.models.dbn import DBN
from dbn.models.model_file import DBN_FILE
from dbn.pretraining.stack_run import pretraining_config, pretraining_directory
from dbn.runs.directories import study_directory
from dbn.runs.identity import with_content
from dbn.runs.naming import label_count
from dbn.runs.run import RESULT
from dbn.runs.seeds import by_seed
from dbn.settings import check_number
from finetune.runs.search_space import check_space, draw, edges
from finetune.stack_quality import ERROR, LIKELIHOOD, badness, check_proxy, proxy_of
from finetune.sweep import jobs_in

log = logging.getLogger(__name__)

Launch = Callable[[list[list[str]]], Sequence[Any]]
"""Runs jobs, given by their overrides; returns Hydra's record of each."""
CHOSEN, OVERRIDES = "chosen_pretraining.json", "chosen_pretraining.txt"
"""Files in the study's folder: what was tried and chosen, and the chosen settings as overrides."""


@dataclass(frozen=True)
class StackTrial:
    """A trial.

    Attributes:
        number: from 0.
        settings: by dotted key.
        values: the proxy of each seed, lower being better; empty if pretraining failed.
        ties: what decides between equal values, of each seed.
    """

    number: int
    settings: dict[str, Any]
    values: tuple[float, ...] = ()
    ties: tuple[float, ...] = ()

    @property
    def value(self) -> float:
        """Mean over seeds; infinity if pretraining failed."""
        return fmean(self.values) if self.values else float("inf")

    @property
    def order(self) -> tuple[float, float, int]:
        """Trials are better the lower this is; of equal ones the first."""
        return self.value, fmean(self.ties or (0.0,)), self.number

    @property
    def overrides(self) -> list[str]:
        """The settings as overrides."""
        return [f"{key}={'null' if value is None else value}" for key, value in self.settings.items()]


def search_pretraining(config: DictConfig, n_settings: int, space: Mapping[str, Any], launch: Launch) -> None:
    """Pretrain all trials, choose the best, print it and write it.

    Trials that were pretrained before are not pretrained again.

    Args:
        config: of the multirun, with Hydra's own.
        n_settings: number of trials.
        space: search space, see :mod:`finetune.runs.search_space`.
        launch: runs a batch of jobs.

    Raises:
        SettingError: an invalid setting, or nothing to judge stacks by.
        Exception: the error of a trial, if all trials fail.
    """
    if "init" in config:
        raise SettingError("sweep=tune_pretraining: it searches settings of pretraining alone. Call dbn-pretrain.")
    check_number("hydra.sweeper.n_settings", n_settings, low=1, whole=True)
    check_space(space)
    jobs = jobs_in(config)
    if len(jobs) > 1:
        raise SettingError(
            f"sweep=tune_pretraining: {len(jobs)} values of a setting ({' | '.join(' '.join(job) for job in jobs)}). "
            "It tunes one stack at a time: call the command once for each, with a study=... of its own."
        )
    (job,) = jobs
    base = _config_of(job)
    seeds = by_seed(base)
    data = data_sets_of(seeds)
    for images in data:
        check_proxy(images, base["stack"])
    labels = base["data"]["n_labelled"]
    settings = [draw(space, number, arm="pretraining", labels=label_count(labels)) for number in range(n_settings)]
    given = {override.partition("=")[0].lstrip("+") for override in job}
    clash = sorted(given & space.keys())
    if clash:
        raise SettingError(
            f"{clash[0]}: it is searched (hydra.sweeper.space), and given a value. Leave one of them out: "
            f"'~hydra.sweeper.space' and a space of your own, or {clash[0]}=..."
        )
    records = launch([[*job, *StackTrial(number, own).overrides] for number, own in enumerate(settings)])
    trials = []
    for number, (own, record) in enumerate(zip(settings, records, strict=True)):
        configs = by_seed(_config_of([*job, *StackTrial(number, own).overrides]))
        directories = [pretraining_directory(pretraining_config(each)) for each in configs]
        if not all((directory / RESULT).is_file() for directory in directories):
            log.warning("trial %d failed. %s", number, _reason(record))
            trials.append(StackTrial(number, own))
            continue
        values, ties = zip(
            *(
                badness(DBN.load(directory / DBN_FILE), images, labels, each["seed"])
                for directory, images, each in zip(directories, data, configs, strict=True)
            ),
            strict=True,
        )
        trials.append(StackTrial(number, own, values, ties))
    best = min(trials, key=lambda trial: trial.order)
    if not best.values:
        for record in records:
            _ = record.return_value  # raises the error of a job that failed
        raise SettingError("No trial has a result.")
    folder = study_directory(base)
    _write(folder, trials, best, proxy_of(data[0]), base, [own["seed"] for own in seeds])
    _show(folder, trials, best, proxy_of(data[0]), space)


def _config_of(job: Sequence[str]) -> dict[str, Any]:
    """Resolved configuration of a job of dbn-pretrain."""
    return with_content(with_texts(resolve_config(hydra.compose("pretrain", list(job)))))


def _reason(record: Any) -> str:
    """Why a job has failed."""
    try:
        _ = record.return_value
    except UserError as error:
        return str(error)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "It has left no result."


def _write(
    folder: Path, trials: Sequence[StackTrial], best: StackTrial, proxy: str, config: Mapping[str, Any],
    seeds: Sequence[int],
) -> None:  # fmt: skip
    """Write :data:`CHOSEN` and :data:`OVERRIDES`."""
    sign = -1.0 if proxy == LIKELIHOOD else 1.0
    content = {
        "proxy": proxy,
        "data": config["data"]["name"],
        "n_labelled": config["data"]["n_labelled"],
        "seeds": list(seeds),
        "settings": best.settings,
        "trial": best.number,
        proxy: sign * best.value,
        "trials": [
            {"settings": trial.settings, "values": [sign * value for value in trial.values]} for trial in trials
        ],
    }
    write_json(folder / CHOSEN, content)
    write_text(folder / OVERRIDES, shlex.join(best.overrides) + "\n")


def _show(folder: Path, trials: Sequence[StackTrial], best: StackTrial, proxy: str, space: Mapping[str, Any]) -> None:
    """Print the trials, best first, and how to use the best."""
    console = Console()
    table = Table(title="settings of pretraining, best first")
    short = [key.rpartition(".")[2] for key in best.settings]
    for heading in (PROXY_LABELS[proxy], *short):
        table.add_column(heading, justify="right")
    for trial in sorted(trials, key=lambda own: own.order):
        shown = f"{100 * trial.value:.2f} %" if proxy == ERROR else f"{-trial.value:.3f} nats"
        table.add_row(shown if trial.values else "failed", *(f"{value}" for value in trial.settings.values()))
    console.print(table)
    above, below = edges(space, best.settings)
    if above or below:
        console.print(
            f"On an edge of its range: {', '.join([*above, *below])}. A wider one may hold better settings: "
            "hydra.sweeper.space.",
            soft_wrap=True,
        )
    console.print(f"chosen: {' '.join(best.overrides)}", soft_wrap=True)
    console.print(f'to use it: dbn-pretrain $(cat "{folder / OVERRIDES}"), dbn-finetune likewise', soft_wrap=True)


PROXY_LABELS = {
    ERROR: "validation error of a\nlogistic regression",
    LIKELIHOOD: "validation pseudo-\nlikelihood, layer 1",
}
"""Heads of the table's first column."""
