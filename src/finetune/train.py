"""The command ``dbn-finetune``: train one arm of a comparison, once, in the directory that its configuration names."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import hydra
import torch
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table
from safetensors.torch import save as serialise

from dbn.check_config import check_place
from dbn.command import in_multirun, plain, run_command, task_overrides
from dbn.configured import data_of
from dbn.data import DataSet, label_subset
from dbn.data.shapes import Facts
from dbn.errors import SettingError
from dbn.files import write_bytes
from dbn.identity import with_content
from dbn.layers import layers_of
from dbn.naming import folder_name
from dbn.parallel import together
from dbn.pictures import filters, save_pictures, sheets
from dbn.pretrain import STACK_FILE, pretrain_together, pretraining_config
from dbn.pretrain import run_directory as pretraining_directory
from dbn.processes import is_first
from dbn.runs import Run, execute_all, study_directory
from dbn.seeds import by_seed, checkpoint_folder
from dbn.settings import calling, check_keys, settings_of
from dbn.stack import DBN
from dbn.texts import with_texts
from dbn.tracking import Tracker, Tracking, tracking
from finetune.baseline_runs import check_baselines, run_baselines
from finetune.check_config import check_finetuning, check_schedule
from finetune.continuing import Earlier, advice, earlier_run
from finetune.features import before_and_after, features_of
from finetune.fitting import check_training, fit_networks
from finetune.initialise import Initialisation, unroll
from finetune.inputs import check_inputs
from finetune.network import Network
from finetune.predictions import predict, write_predictions
from finetune.search import searched
from finetune.settings import TrainingSettings
from finetune.sweep import at_end
from finetune.tasks import Autoencoder, FineTuning
from finetune.trajectory import Trajectory
from finetune.weights import weight_changes

NETWORK_FILE = "network.safetensors"


def main() -> None:
    """Console entry point."""
    run_command("finetune", _run, at_end=at_end)


def _run(config: DictConfig) -> None:
    results = finetune_seeds(plain(searched(config, task_overrides())), task_overrides())
    if is_first() and not in_multirun():  # a multirun ends with the table of all its runs
        for result in results:
            show(result)


def run_directory(config: Mapping[str, Any]) -> Path:
    """Where a fine-tuning run lives: ``<runs>/<study>/finetune/<name>_seed<k>``."""
    return study_directory(config) / "finetune" / f"{folder_name(config['name'])}_seed{config['seed']}"


def finetune(config: dict[str, Any], overrides: Sequence[str] | None = None) -> dict[str, Any]:
    """:func:`finetune_seeds` where there is one seed; returns its result."""
    (result,) = finetune_seeds(config, overrides)
    return result


def finetune_seeds(config: dict[str, Any], overrides: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Train the network of a configuration for ``n_parallel_seeds`` seeds from ``seed`` up, together.

    Args:
        config: as ``conf/finetune.yaml`` composes it, plain and resolved.
        overrides: what was asked for on the command line, to keep beside the results.

    Returns:
        For each seed the content of ``result.json``, of those that were done before, too. The network's weights are in
        ``network.safetensors`` beside it. Nothing where ``pretrain_only`` is set: the stacks are left for later runs.
    """
    config = with_texts(config)
    check_place(config)
    config = with_content(config)
    if config["pretrain_only"]:
        check_finetuning(config)
        starting_points(by_seed(config), inputs_of(config))
        return []
    earlier = earlier_run(config)
    runs = [Run(run_directory(own), own, advice=partial(advice, own, run_directory(own))) for own in by_seed(config)]
    with checkpoint_folder(runs) as folder:
        return execute_all(runs, lambda waiting: _work(runs, waiting, folder, earlier), overrides, folder)


def _work(
    runs: Sequence[Run], waiting: Sequence[Run], folder: Path, earlier: Earlier | None
) -> Iterator[dict[str, Any]]:
    """Fine-tune, with checkpoints in ``folder``; gives the part of the result of each run that waits for one."""
    config = runs[0].config
    check_finetuning(config)
    settings = settings_of("training", TrainingSettings, config["training"])
    data = inputs_of(config)
    check_training(settings, data, len(runs))
    seeds = together(folder / "checkpoints", [seed_of(run) for run in waiting], [seed_of(run) for run in runs])
    members = [run for run in runs if seed_of(run) in seeds]
    sets = [labelled(data, run.config) for run in members]
    steps_per_epoch = -(-len(sets[0].train) // settings.batch_size)
    check_schedule(config["schedule"], config["optimizer"], settings, steps_per_epoch)
    starts = starting_points([run.config for run in members], sets[0])
    before = [deepcopy(start.network) for start in starts]
    watched = data.validation if len(data.validation) else data.train  # the same for all arms and seeds
    trajectory = Trajectory(watched.sample(settings.trajectory), settings.epochs) if settings.trajectory else None
    openers, directories = [partial(_tracked, run, data) for run in members], [run.directory for run in members]
    with Tracking(openers, directories, config["logger"]["wandb"]) as tracked:
        fitted = fit_networks(
            [start.network for start in starts], sets, settings, [run.config for run in members], folder,
            tracked.trackers, trajectory, earlier,
        )  # fmt: skip
        for number, run in enumerate(members if is_first() else ()):
            if run not in waiting:
                continue
            with tracked.after(number) as tracker:
                module, facts = fitted[number]
                flops = {"pretraining": starts[number].flops, "fine_tuning": facts.pop("flops")}
                if trajectory is not None:
                    trajectory.save(run.directory, number)
                result = _finish(run, module, sets[number], before[number], tracker)
                yield result | starts[number].facts | facts | {"flops": flops}


def seed_of(run: Run) -> int:
    """The run's seed."""
    seed: int = run.config["seed"]
    return seed


def _tracked(run: Run, data: DataSet) -> AbstractContextManager[Tracker]:
    config = run.config
    hidden = "-".join(str(layer.n_hidden) for layer in layers_of(config["stack"]))
    tags = [data.name, *([hidden] if hidden else []), config["arm"]["name"]]
    name = f"{config['name']}_seed{config['seed']}"
    options = {"study": config["study"], "stage": "finetune", "name": name, "tags": tags, "config": config}
    return tracking(run.directory, config["logger"]["wandb"], **options)


def _finish(run: Run, module: FineTuning, data: DataSet, before: Network, tracker: Tracker) -> dict[str, Any]:
    """Evaluate and save a trained network; returns the run's own part of the result."""
    directory, config, network = run.directory, run.config, module.network
    metrics = {
        f"{name}/{quantity}": value
        for name, images in (("train", data.train), ("validation", data.validation), ("test", data.test))
        if len(images)
        for quantity, value in module.evaluate(images).items()
    }
    first_layers = {"filters_start": before, "filters": network}
    pictures = {name: filters(own.linear_layers()[0].weight.T, data.shape) for name, own in first_layers.items()}
    if config["features"]:
        pictures |= before_and_after(
            *(features_of(own, data, config["features"], config["seed"]) for own in (before, network))
        )
    if isinstance(module, Autoencoder):
        pictures |= reconstructions(module, data)
    save_pictures(directory, pictures)
    tracker.log_pictures(sheets(pictures))
    tracker.log_summary(metrics)
    weights = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    write_bytes(directory / NETWORK_FILE, serialise(weights))
    if data.test.labels is not None and len(data.test) and config["task"]["name"] != "autoencoder":
        write_predictions(directory, data.test.labels, predict(network, data.test))
    run_baselines(config, data)
    return {
        "study": config["study"],
        "stage": "finetune",
        "task": config["task"]["name"],
        "name": config["name"],
        "arm": config["arm"]["name"],
        "seed": config["seed"],
        "data": data.name,
        "n_labelled": config["data"]["n_labelled"],
        "metrics": metrics,
        "n_parameters": sum(parameter.numel() for parameter in network.parameters()),
        "sizes": network.sizes,
        "trial": trial_of(config),
        "weights": weight_changes(before, network),
        "classes": list(data.classes),
    }


def trial_of(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """Number and settings of the trial that a run is; None for any other run."""
    search = config["search"]
    return None if search["trial"] is None else {"number": search["trial"], "settings": config["searched"]}


def labelled(data: DataSet, config: Mapping[str, Any]) -> DataSet:
    """The data set with the labelled subset as its training images, checked for the task.

    Raises:
        DataError, SettingError: there are no labels, or not as many as asked for; or baselines cannot be done.
    """
    check_baselines(config, data)
    n_labelled = config["data"]["n_labelled"]
    if config["task"]["name"] == "autoencoder":
        if n_labelled is not None:
            raise SettingError(f"data.n_labelled={n_labelled}: an autoencoder needs no labels. Leave it at null.")
        return data
    index = label_subset(data.train.labels, n_labelled, config["seed"], data_name=data.name)
    return data if n_labelled is None else replace(data, train=data.train.take(index))


@dataclass(frozen=True)
class Start:
    """A network with its starting weights.

    Attributes:
        network: the network.
        facts: where the weights came from: ``pretrained`` or not, and ``pretrain_seconds``.
        flops: floating-point operations that pretraining took.
    """

    network: Network
    facts: dict[str, Any]
    flops: int


def starting_points(configs: Sequence[dict[str, Any]], data: DataSet) -> list[Start]:
    """Networks with starting weights for configurations that differ in their seeds; stacks are pretrained if need be.

    Raises:
        SettingError: the stack does not fit network or data; said before anything is pretrained.
    """
    config = configs[0]
    initialise, file = initialisation_of(config), config["init"].get("stack")
    layers = layers_of(config["stack"])
    hidden = [layer.n_hidden for layer in layers]
    if not hidden and (initialise.needs_stack or config["task"]["name"] == "autoencoder"):
        code = "[200,{n_hidden:30,hidden:gaussian,learning_rate:0.001}]"
        raise SettingError(
            f"stack.layers=[]: an autoencoder needs layers, the last of which is its code. Give 'stack.layers={code}'."
            if config["task"]["name"] == "autoencoder"
            else "stack.layers=[]: a network without a hidden layer cannot be pretrained. Give layers, "
            "stack.layers=[200], or start from random weights, arm=random_relu."
        )
    stacks: list[DBN | None] = [None] * len(configs)
    pretraining: list[dict[str, Any]] = [{"seconds": 0.0, "flops": 0}] * len(configs)
    if file is not None:
        stack = DBN.load(file)
        if stack.sizes[0] != data.n_features:
            raise SettingError(
                f"init.stack={file}: the stack has {stack.sizes[0]} visible units, an image of data={data.name} "
                f"{data.n_features} pixels. Choose a stack that was pretrained on such images."
            )
        visible, wanted = stack[0].visible.kind, config["stack"]["visible"]
        if config["task"]["name"] == "autoencoder" and visible != wanted:
            raise SettingError(
                f"stack.visible={wanted}: init.stack={file} has {visible} visible units, and an autoencoder's outputs "
                f"are means of those. Set stack.visible={visible}."
            )
        stacks, hidden = [stack] * len(configs), stack.sizes[1:]
    networks = [build_network(data, config, hidden) for _ in configs]
    if file is None and initialise.needs_stack:
        kinds = [config["stack"]["visible"], *(layer.hidden for layer in layers)]
        unroll(DBN.untrained([data.n_features, *hidden], kinds), networks[0])
        shared = [pretraining_config(own) for own in configs]
        pretraining = pretrain_together(shared)
        stacks = [DBN.load(pretraining_directory(own) / STACK_FILE) for own in shared]
    for network, own, pretrained in zip(networks, configs, stacks, strict=True):
        initialise(network, own["seed"], pretrained)
        network.compensate_dropout()
    return [
        Start(network, {"pretrained": initialise.pretrained, "pretrain_seconds": own["seconds"]}, own["flops"])
        for network, own in zip(networks, pretraining, strict=True)
    ]


def inputs_of(config: Mapping[str, Any]) -> DataSet:
    """The data set of a configuration, checked by :func:`finetune.inputs.check_inputs`."""
    needs_stack = initialisation_of(config).needs_stack
    data = data_of(config)
    check_inputs(data, config, needs_stack=needs_stack)
    return data


def initialisation_of(config: Mapping[str, Any]) -> Initialisation:
    """What gives the network its starting weights."""
    group = {key: value for key, value in config["init"].items() if key not in ("stack", "content")}
    initialise: Initialisation = calling("init", hydra.utils.instantiate, group)
    return initialise


def build_network(data: DataSet | Facts, config: Mapping[str, Any], hidden: list[int]) -> Network:
    """The network of a configuration, the same for every arm: hidden layers as in the stack.

    Raises:
        SettingError: a classifier of data without labels.
    """
    if config["task"]["name"] == "classifier" and not data.classes:
        raise SettingError(
            f"task=classifier: data={data.name} has no labels to train a classifier on. Use task=autoencoder, or "
            "dbn-pretrain for a stack alone."
        )
    if config["task"]["name"] == "autoencoder":
        sizes, code = [data.n_features, *hidden, *reversed(hidden[:-1]), data.n_features], len(hidden)
    else:
        sizes, code = [data.n_features, *hidden, len(data.classes)], None
    options = config["network"]
    check_keys("network", options, ("activation", "dropout_input", "dropout_hidden"))
    return Network(sizes, code=code, **options)


def reconstructions(module: Autoencoder, data: DataSet) -> dict[str, Any]:
    """Some images and their reconstructions as pictures."""
    shown = data.validation if len(data.validation) else data.train
    features = shown.sample(20)
    with torch.no_grad():
        reconstructed = module.eval().reconstruct(features)
    return {"images": data.to_pixels(features).numpy(), "reconstructions": data.to_pixels(reconstructed).numpy()}


def percent_text(fraction: float) -> str:
    """``0.0231`` -> ``2.31 %``; an error in a hundred thousand images is not written as none."""
    return f"{100 * fraction:.1g} %" if 0 < fraction < 5e-5 else f"{100 * fraction:.2f} %"


def show(result: Mapping[str, Any]) -> None:
    """A table of the metrics at the end."""
    table = Table(title=f"{result['name']}, seed {result['seed']}, {result['data']}")
    splits = [split for split in ("train", "validation", "test") if any(k.startswith(split) for k in result["metrics"])]
    table.add_column("")
    for split in splits:
        table.add_column(split, justify="right")
    for quantity in dict.fromkeys(key.split("/")[1] for key in result["metrics"]):
        percent = quantity in ("error", "calibration_error")
        values = [result["metrics"][f"{split}/{quantity}"] for split in splits]
        row = [percent_text(value) if percent else f"{value:.4g}" for value in values]
        table.add_row(quantity.replace("_", " "), *row)
    Console().print(table)
    before = f" after {result['pretrain_seconds']:.0f} s of pretraining" if result["pretrain_seconds"] else ""
    Console().print(
        f"{result['seconds']:.1f} s{before}; {run_directory(result['config'])}", soft_wrap=True, highlight=False
    )


if __name__ == "__main__":
    main()
