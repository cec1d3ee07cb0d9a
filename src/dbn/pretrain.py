"""The command ``dbn-pretrain``: pretrain a stack, once, in the directory that its configuration names."""

from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import hydra
from rich.console import Console
from rich.table import Table

from dbn.command import plain, run_command, task_overrides
from dbn.data import DataSet, load_data
from dbn.pictures import pictures_of_stack, save_pictures, sheets
from dbn.pretraining import pretrain_stack
from dbn.runs import INCIDENTAL, execute
from dbn.settings import check_keys, check_number
from dbn.stack import DBN
from dbn.tracking import tracking
from dbn.training import LayerSettings

STACK_FILE = "dbn.safetensors"
SHARED = ("data", "stack", "sampler", "trainer", "precision", "seed", "study")
"""Parts of a configuration that decide how its stack is pretrained."""


def main() -> None:
    """Console entry point."""
    run_command("pretrain", lambda config: show(pretrain(plain(config), task_overrides())))


def run_directory(config: Mapping[str, Any]) -> Path:
    """Where a pretraining run lives: ``<runs>/<study>/pretrain/<name>_seed<k>``."""
    return Path(config["paths"]["runs"], config["study"]) / "pretrain" / f"{config['name']}_seed{config['seed']}"


def pretrain(config: dict[str, Any], overrides: Sequence[str] | None = None) -> dict[str, Any]:
    """Pretrain the stack of a configuration, or return the result if that is done.

    Args:
        config: as ``conf/pretrain.yaml`` composes it, plain and resolved.
        overrides: what was asked for on the command line, to keep beside the result.

    Returns:
        The content of ``result.json``. The stack is in ``dbn.safetensors`` beside it.
    """
    check_number("seed", config["seed"], low=0, whole=True)
    check_number("checkpoint_seconds", config["checkpoint_seconds"], low=0)
    config = pretraining_config(config, name=config["name"])
    return execute(run_directory(config), config, lambda directory: _work(directory, config), overrides)


def pretraining_config(config: Mapping[str, Any], name: str | None = None) -> dict[str, Any]:
    """What decides how a stack is pretrained, out of any configuration: the same for every arm, label count and task.

    Args:
        config: a pretraining or a fine-tuning configuration.
        name: of the run; default data and stack.
    """
    shared = {key: config[key] for key in (*SHARED, *INCIDENTAL)}
    shared["data"] = {key: value for key, value in config["data"].items() if key != "n_labelled"}
    return {**shared, "name": name or f"{config['data']['name']}_{config['stack']['name']}"}


def data_of(config: Mapping[str, Any]) -> DataSet:
    """The data set that the group ``data`` describes."""
    data = config["data"]
    names = ("split_seed", "validation", "test", "standardise")
    source = hydra.utils.instantiate(data["source"])
    return load_data(source, **{name: data[name] for name in names if name in data})


def layers_of(stack: Mapping[str, Any]) -> list[LayerSettings]:
    """Settings of every layer: its own over the stack's defaults.

    Raises:
        SettingError: a key that is no setting of a layer, or a value that cannot be used.
    """
    known = LayerSettings.__dataclass_fields__
    check_keys("stack.every_layer", stack["every_layer"], known)
    layers = [{"n_hidden": layer} if isinstance(layer, int) else dict(layer) for layer in stack["layers"]]
    for layer in layers:
        check_keys("stack.layers", layer, known)
    return [LayerSettings(**{**stack["every_layer"], **layer}) for layer in layers]


def _work(directory: Path, config: dict[str, Any]) -> dict[str, Any]:
    """Pretrain in ``directory``; returns the run's own part of the result."""
    data = data_of(config)
    layers = layers_of(config["stack"])
    with tracking(
        directory,
        config["logger"]["wandb"],
        study=config["study"],
        stage="pretrain",
        name=f"{config['name']}_seed{config['seed']}",
        tags=[data.name, config["stack"]["name"]],
        config=config,
    ) as tracker:
        stack = pretrain_stack(
            data,
            layers,
            visible=config["stack"]["visible"],
            seed=config["seed"],
            sampler=hydra.utils.instantiate(config["sampler"]),
            optimizer=hydra.utils.instantiate(config["stack"]["optimizer"]),
            precision=config["precision"],
            representations=config["data"]["representations"],
            directory=directory,
            checkpoint_seconds=config["checkpoint_seconds"],
            tracker=tracker,
            trainer_options=config["trainer"],
            progress=config["progress"],
        )
        facts = layer_facts(directory, len(layers))
        description = {
            "data": data.name,
            "seed": config["seed"],
            "shape": list(data.shape),
            "layers": [
                {**vars(layer), "precision": fact["precision"]} for layer, fact in zip(layers, facts, strict=True)
            ],
            "sampler": config["sampler"],
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
        "name": config["name"],
        "arm": "dbn",
        "seed": config["seed"],
        "data": data.name,
        "n_labelled": None,
        "pretrained": True,
        "metrics": metrics,
        "seconds": float(sum(fact["seconds"] for fact in facts)),
        "precision": [fact["precision"] for fact in facts],
        "n_parameters": sum(parameter.numel() for parameter in stack.parameters()),
        "epochs": sum(layer.epochs for layer in layers),
        "stack": STACK_FILE,
    }


def layer_facts(directory: Path, n_layers: int) -> list[dict[str, Any]]:
    """For each layer the seconds it took, over all interruptions, and the precision it was trained in."""
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
