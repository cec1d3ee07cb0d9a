"""The command ``dbn-finetune``: train one arm of a comparison, unless its directory holds the result already."""

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from dbn.commands.command import in_multirun, run_command, task_overrides
from dbn.commands.configuration import resolve_config
from dbn.commands.importing import importing
from dbn.errors import DivergenceError
from dbn.fitting.ranks import is_first
from finetune.runs.objective import objective_values, objectives_of, returned
from finetune.runs.sweeper import minimised_elsewhere
from finetune.sweep import at_end

log = logging.getLogger(__name__)


def main() -> None:
    """Console entry point."""
    run_command("finetune", _run, at_end=at_end)


def _run(config: DictConfig) -> float | list[float] | None:
    """Train; returns the objectives to Hydra, see :mod:`finetune.runs.objective`."""
    with importing():  # here: torch and Lightning, which --help and an invalid command line have no use for
        from dbn.machine.subnormals import flush_subnormals
        from finetune.runs.check_arm import check_arm
        from finetune.runs.network_run import finetune_seeds, finetuning_directory
        from finetune.runs.search import searched

    flush_subnormals()
    if in_multirun():  # of a single run that is checked with the rest, before its folder is made
        check_arm()
    own = resolve_config(searched(config, task_overrides()))
    try:
        results = finetune_seeds(own, task_overrides())
    except DivergenceError as error:
        if not minimised_elsewhere():
            raise
        log.warning("%s The sweeper is told infinity.", error)
        return returned([math.inf] * len(objectives_of(own)))
    if is_first() and not in_multirun():  # a multirun prints a table of all its runs at its end
        for result in results:
            show(result, finetuning_directory(result["config"]))
    return returned(objective_values(results, own))


def percent_text(fraction: float) -> str:
    """``0.0231`` -> ``2.31 %``; small fractions are not rounded to 0."""
    return f"{100 * fraction:.1g} %" if 0 < fraction < 5e-5 else f"{100 * fraction:.2f} %"


def show(result: Mapping[str, Any], directory: Path) -> None:
    """Print a table of the final metrics, and where they are."""
    table = Table(title=f"{result['name']}, seed {result['seed']}, {result['data']}")
    splits = [split for split in ("train", "validation", "test") if any(k.startswith(split) for k in result["metrics"])]
    table.add_column("")
    for split in splits:
        table.add_column(split, justify="right")
    for quantity in dict.fromkeys(key.split("/")[1] for key in result["metrics"]):
        percent = quantity in ("error", "balanced_error", "calibration_error")
        values = [result["metrics"][f"{split}/{quantity}"] for split in splits]
        row = [percent_text(value) if percent else f"{value:.4g}" for value in values]
        table.add_row(quantity.replace("_", " "), *row)
    Console().print(table)
    before = f" after {result['pretrain_seconds']:.0f} s of pretraining" if result["pretrain_seconds"] else ""
    Console().print(f"{result['seconds']:.1f} s{before}; {directory}", soft_wrap=True, highlight=False)


if __name__ == "__main__":
    main()
