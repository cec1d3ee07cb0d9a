"""The command ``dbn-pretrain``: pretrain a stack, once, in the directory that its configuration names."""

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from rich.table import Table

from dbn.commands.command import plain, run_command, task_overrides
from dbn.errors import UserError
from dbn.fitting.processes import is_first
from dbn.pretraining.identity import stack_name
from dbn.pretraining.run import STACK_FILE, pretrain_seeds, run_directory
from dbn.runs.identity import with_content


def name_in_configuration(*, _root_: DictConfig) -> str:
    """``${stack_name:}``: where Hydra writes its log. What is wrong with a configuration, the command itself says."""
    try:
        return stack_name(
            with_content(plain(OmegaConf.masked_copy(_root_, [str(key) for key in _root_ if key != "hydra"])))
        )
    except (UserError, OmegaConfBaseException, AttributeError, KeyError, TypeError, ValueError):
        return "not_named"


OmegaConf.register_new_resolver("stack_name", name_in_configuration, replace=True)


def main() -> None:
    """Console entry point."""
    run_command("pretrain", _run)


def _run(config: DictConfig) -> None:
    for result in pretrain_seeds(plain(config), task_overrides()):
        if is_first():
            show(result)


def show(result: Mapping[str, Any]) -> None:
    """A table of the layers at the end."""
    table = Table(title=f"{result['name']}, seed {result['seed']}: pretrained in {result['seconds']:.1f} s")
    names = ("reconstruction_error", "free_energy_gap", "weight_norm", "fraction_inactive", "fraction_saturated")
    for heading in (
        "layer",
        "reconstruction\nerror",
        "free energy\ngap",
        "weight\nnorm",
        "inactive\nunits",
        "saturated\nunits",
    ):
        table.add_column(heading, justify="right")
    metrics = result["metrics"]
    for layer in sorted({key.split("/")[0] for key in metrics}):
        table.add_row(layer, *(f"{metrics[f'{layer}/{n}']:.4g}" if f"{layer}/{n}" in metrics else "" for n in names))
    Console().print(table)
    Console().print(f"{run_directory(result['config']) / STACK_FILE}", soft_wrap=True)


if __name__ == "__main__":
    main()
