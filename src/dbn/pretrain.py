"""The command ``dbn-pretrain``: pretrain a stack, once, in the directory that its configuration names."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from rich.table import Table

from dbn.augment import Augment
from dbn.check_config import check_place, check_pretraining
from dbn.command import plain, run_command, task_overrides
from dbn.configured import data_of
from dbn.data import DataSet
from dbn.errors import UserError
from dbn.growing import Place
from dbn.identity import INCIDENTAL, stack_identity, stack_name, with_content
from dbn.layers import layers_of
from dbn.memory_needed import check_memory
from dbn.pictures import pictures_of_stack, save_pictures, sheets
from dbn.pretraining import pretrain_stacks
from dbn.processes import is_first
from dbn.runs import Run, execute_all, study_directory
from dbn.seeds import by_seed, checkpoint_folder
from dbn.settings import settings_of
from dbn.stack import DBN
from dbn.texts import with_texts
from dbn.tracking import Tracker, Tracking, tracking
from dbn.training import LayerSettings

STACK_FILE = "dbn.safetensors"
OF_A_STACK = frozenset({"data", "stack", "sampler", "trainer", "precision", "seed", "study"})
"""Parts of a configuration that say how its stack is pretrained."""


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


def run_directory(config: Mapping[str, Any]) -> Path:
    """Where a pretraining run lives: ``<runs>/<study>/pretrain/<name>_seed<k>``.

    The name is made of what decides how the stack is trained, see :func:`dbn.identity.stack_name`: configurations share
    a stack exactly when that is the same.
    """
    return study_directory(config) / "pretrain" / f"{stack_name(config)}_seed{config['seed']}"


def pretrain(config: dict[str, Any], overrides: Sequence[str] | None = None) -> dict[str, Any]:
    """:func:`pretrain_seeds` where there is one seed; returns its result."""
    (result,) = pretrain_seeds(config, overrides)
    return result


def pretrain_seeds(config: dict[str, Any], overrides: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Pretrain the stacks of a configuration together: those of ``n_parallel_seeds`` seeds from ``seed`` up.

    Args:
        config: as ``conf/pretrain.yaml`` composes it, plain and resolved.
        overrides: what was asked for on the command line, to keep beside the results.

    Returns:
        For each seed the content of ``result.json``, of those that were done before, too. The stack is in
        ``dbn.safetensors`` beside it.
    """
    config = with_texts(config)
    check_place(config)
    return pretrain_together([pretraining_config(own) for own in by_seed(with_content(config))], overrides)


def pretrain_together(
    configs: Sequence[dict[str, Any]], overrides: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """Pretrain the stacks of configurations, see :func:`pretraining_config`, that differ in their seeds only."""
    runs = [Run(run_directory(config), config, identity=stack_identity) for config in configs]
    with checkpoint_folder(runs) as folder:
        return execute_all(runs, lambda waiting: _work(waiting, folder), overrides, folder)


def pretraining_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """What says how a stack is pretrained, out of a pretraining or a fine-tuning configuration: the same for both."""
    shared = {
        key: value for key, value in config.items() if key in OF_A_STACK | INCIDENTAL - {"swept", "pretrain_only"}
    }
    return {**shared, "data": {key: value for key, value in config["data"].items() if key != "n_labelled"}}


def _work(runs: Sequence[Run], folder: Path) -> Iterator[dict[str, Any]]:
    """Pretrain the runs' stacks, with checkpoints within a layer in ``folder``; gives each run's part of the result."""
    config = runs[0].config
    check_pretraining(config)
    data = data_of(config)
    layers = layers_of(config["stack"])
    check_memory("stack.layers", [data.n_features, *(layer.n_hidden for layer in layers)], len(runs))
    augment = settings_of("stack.augment", Augment, config["stack"]["augment"])
    openers, directories = [partial(_tracked, run, data) for run in runs], [run.directory for run in runs]
    with Tracking(openers, directories, config["logger"]["wandb"]) as tracked:
        places = [
            Place(run.config["seed"], run.directory, own) for run, own in zip(runs, tracked.trackers, strict=True)
        ]
        stacks = pretrain_stacks(
            data,
            layers,
            places,
            visible=config["stack"]["visible"],
            sampler=hydra.utils.instantiate(config["sampler"]),
            optimizer=hydra.utils.instantiate(config["stack"]["optimizer"]),
            precision=config["precision"],
            representations=config["data"]["representations"],
            augment=None if augment.is_nothing else augment,
            directory=folder,
            checkpoint_seconds=config["checkpoint_seconds"],
            trainer_options=config["trainer"],
            progress=config["progress"],
        )
        for number, (run, stack) in enumerate(zip(runs, stacks, strict=True) if is_first() else ()):
            with tracked.after(number) as tracker:
                yield _finish(run, stack, data, layers, tracker)


def _tracked(run: Run, data: DataSet) -> AbstractContextManager[Tracker]:
    config = run.config
    name = f"{stack_name(config)}_seed{config['seed']}"
    tags = [data.name, "-".join(str(layer.n_hidden) for layer in layers_of(config["stack"]))]
    options = {"study": config["study"], "stage": "pretrain", "name": name, "tags": tags, "config": config}
    return tracking(run.directory, config["logger"]["wandb"], **options)


def _finish(run: Run, stack: DBN, data: DataSet, layers: Sequence[LayerSettings], tracker: Tracker) -> dict[str, Any]:
    """Save a trained stack and its pictures; returns the run's own part of the result."""
    directory, config = run.directory, run.config
    facts = layer_facts(directory, len(layers))
    description = {
        "data": data.name,
        "seed": config["seed"],
        "shape": list(data.shape),
        "layers": [{**vars(layer), "precision": fact["precision"]} for layer, fact in zip(layers, facts, strict=True)],
        "sampler": config["sampler"],
        "augment": config["stack"]["augment"],
        "version": metadata.version("layerwise-dbn"),
    }
    stack.save(directory / STACK_FILE, description)
    pictures = pictures_of_stack(stack, data, config["seed"])
    save_pictures(directory, pictures)
    tracker.log_pictures(sheets(pictures))
    metrics = tracker.last_metrics()
    tracker.log_summary(metrics)
    return {
        "study": config["study"],
        "stage": "pretrain",
        "name": stack_name(config),
        "arm": "dbn",
        "seed": config["seed"],
        "data": data.name,
        "n_labelled": None,
        "pretrained": True,
        "metrics": metrics,
        "seconds": float(sum(fact["seconds"] for fact in facts)),
        "flops": sum(fact["flops"] for fact in facts),
        "trained_together": max(len(fact.get("together", [0])) for fact in facts),
        "precision": [fact["precision"] for fact in facts],
        "n_parameters": sum(parameter.numel() for parameter in stack.parameters()),
        "epochs": sum(layer.epochs for layer in layers),
        "stack": STACK_FILE,
    }


def layer_facts(directory: Path, n_layers: int) -> list[dict[str, Any]]:
    """For each layer the seconds it took, over all interruptions, its precision, and its floating-point operations."""
    files = [directory / "checkpoints" / f"layer{number}.safetensors" for number in range(1, n_layers + 1)]
    return [DBN.describe(file)["description"] for file in files]


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
