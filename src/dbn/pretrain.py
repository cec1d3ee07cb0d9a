"""The command ``dbn-pretrain``: pretrain a stack, unless its directory holds the result already."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from rich.table import Table

from dbn.commands.command import run_command, task_overrides
from dbn.commands.configuration import resolve_config
from dbn.commands.importing import importing
from dbn.errors import UserError
from dbn.fitting.ranks import is_first


def name_in_configuration(*, _root_: DictConfig) -> str:
    """Resolver ``${stack_name:}`` for Hydra's log folder; the command itself reports an invalid configuration."""
    with importing():  # here: torch and Lightning, which --help and an invalid command line have no use for
        from dbn.pretraining.stack_identity import stack_name
        from dbn.runs.identity import with_content

    try:
        return stack_name(
            with_content(resolve_config(OmegaConf.masked_copy(_root_, [str(key) for key in _root_ if key != "hydra"])))
        )
    except (UserError, OmegaConfBaseException, AttributeError, KeyError, TypeError, ValueError):
        return "not_named"


OmegaConf.register_new_resolver("stack_name", name_in_configuration, replace=True)


def main() -> None:
    """Console entry point."""
    run_command("pretrain", _run)


def _run(config: DictConfig) -> None:
    with importing():  # here: as above
        from dbn.machine.subnormals import flush_subnormals
        from dbn.models.model_file import DBN_FILE
        from dbn.pretraining.stack_run import pretrain_seeds, pretraining_directory

    flush_subnormals()
    for result in pretrain_seeds(resolve_config(config), task_overrides()):
        if is_first():
            show(result, pretraining_directory(result["config"]) / DBN_FILE)


def show(result: Mapping[str, Any], file: Path) -> None:
    """Print a table of the layers' final metrics, and the stack's file."""
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
    for layer in sorted({key.split("/")[0] for key in metrics if key.startswith("layer")}):
        table.add_row(layer, *(f"{metrics[f'{layer}/{n}']:.4g}" if f"{layer}/{n}" in metrics else "" for n in names))
    Console().print(table)
    show_topics(result)
    show_errors(result)
    Console().print(str(file), soft_wrap=True)


def show_topics(result: Mapping[str, Any]) -> None:
    """Print the words of each topic, and perplexities per word, of a stack of word counts."""
    for number, words in enumerate(result.get("topics", []), start=1):
        Console().print(f"topic {number}: {' '.join(words)}", soft_wrap=True, highlight=False)
    metrics = result["metrics"]
    for split in ("validation", "test"):
        if f"{split}/perplexity" in metrics:
            value, error, unigram = (
                metrics[f"{split}/{name}"] for name in ("perplexity", "perplexity_error", "unigram_perplexity")
            )
            text = (
                f"{split} perplexity per word: {value:.0f} ± {error:.0f} (annealing), by word frequencies {unigram:.0f}"
            )
            Console().print(text, soft_wrap=True, highlight=False)


def show_errors(result: Mapping[str, Any]) -> None:
    """Print how often a stack with a label is wrong about the class."""
    from dbn.pretraining.class_errors import errors_in_words  # here: as in _run

    for line in errors_in_words(result["metrics"]):
        Console().print(line, soft_wrap=True, highlight=False)


if __name__ == "__main__":
    main()
