"""The command ``dbn-finetune``: train one arm of a comparison, once, in the directory that its configuration names."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import hydra
import torch
from omegaconf import DictConfig
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint
from rich.console import Console
from rich.table import Table
from safetensors.torch import save_file

from dbn.checkpoints import LastCheckpoint, resume_path
from dbn.command import in_multirun, plain, run_command, task_overrides
from dbn.data import DataSet, StreamedImages, label_subset
from dbn.data.blocks import BlockLoader
from dbn.errors import SettingError
from dbn.files import replacing
from dbn.loop import Stopwatch, loader_share, make_trainer, quiet
from dbn.pictures import filters, save_pictures, sheets
from dbn.pretrain import STACK_FILE, data_of, layers_of, pretrain, pretraining_config
from dbn.pretrain import run_directory as pretraining_directory
from dbn.progress import FitProgress
from dbn.runs import execute
from dbn.settings import calling, check_choice, check_keys, check_number, settings_of
from dbn.stack import DBN
from dbn.tracking import Tracker, tracking
from finetune.augment import Augment
from finetune.baseline_runs import run_baselines
from finetune.initialise import Initialisation, unroll
from finetune.network import Network
from finetune.settings import Schedule, TrainingSettings
from finetune.sweep import at_end
from finetune.tasks import Autoencoder, Classifier, FineTuning

log = logging.getLogger(__name__)

NETWORK_FILE = "network.safetensors"
TASKS = ("classifier", "autoencoder")


def main() -> None:
    """Console entry point."""
    run_command("finetune", _run, at_end=at_end)


def _run(config: DictConfig) -> None:
    result = finetune(plain(config), task_overrides())
    if not in_multirun():  # a multirun ends with the table of all its runs
        show(result)


def run_directory(config: Mapping[str, Any]) -> Path:
    """Where a fine-tuning run lives: ``<runs>/<study>/finetune/<name>_seed<k>``."""
    return Path(config["paths"]["runs"], config["study"]) / "finetune" / f"{config['name']}_seed{config['seed']}"


def finetune(config: dict[str, Any], overrides: Sequence[str] | None = None) -> dict[str, Any]:
    """Train the network of a configuration, or return the result if that is done.

    Args:
        config: as ``conf/finetune.yaml`` composes it, plain and resolved.
        overrides: what was asked for on the command line, to keep beside the result.

    Returns:
        The content of ``result.json``. The network's weights are in ``network.safetensors`` beside it.
    """
    check_number("seed", config["seed"], low=0, whole=True)
    check_number("checkpoint_seconds", config["checkpoint_seconds"], low=0)
    check_choice("task.name", config["task"]["name"], TASKS)
    return execute(run_directory(config), config, lambda directory: _work(directory, config), overrides)


def _work(directory: Path, config: dict[str, Any]) -> dict[str, Any]:
    """Fine-tune in ``directory``; returns the run's own part of the result."""
    seed, task = config["seed"], config["task"]["name"]
    settings = settings_of("training", TrainingSettings, config["training"])
    data = labelled(data_of(config), config)
    if settings.weights == "best" and not len(data.validation):
        raise SettingError(
            f"training.weights=best: data={data.name} has no validation images to choose weights by. "
            "Use training.weights=last, or data.validation=0.2."
        )
    network, initialise, stack, pretrain_seconds = starting_point(config, data)
    initialise(network, seed, stack)
    network.compensate_dropout()
    pictures = {"filters_start": filters(network.linear_layers()[0].weight.T, data.shape)}
    with tracking(
        directory,
        config["logger"]["wandb"],
        study=config["study"],
        stage="finetune",
        name=f"{config['name']}_seed{seed}",
        tags=[data.name, config["stack"]["name"], config["arm"]["name"]],
        config=config,
    ) as tracker:
        module, fitted = fit_network(network, data, settings, config, directory, tracker)
        metrics = {
            f"{name}/{quantity}": value
            for name, images in (("train", data.train), ("validation", data.validation), ("test", data.test))
            if len(images)
            for quantity, value in module.evaluate(images).items()
        }
        pictures["filters"] = filters(network.linear_layers()[0].weight.T, data.shape)
        if isinstance(module, Autoencoder):
            pictures |= reconstructions(module, data)
        save_pictures(directory, pictures)
        tracker.log_pictures(sheets(pictures))
        tracker.log_summary(metrics)
    with replacing(directory / NETWORK_FILE) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, temporary)
    if task == "autoencoder":
        run_baselines(config, data)
    return {
        "study": config["study"],
        "stage": "finetune",
        "task": task,
        "name": config["name"],
        "arm": config["arm"]["name"],
        "seed": seed,
        "data": data.name,
        "n_labelled": config["data"]["n_labelled"],
        "pretrained": initialise.pretrained,
        "metrics": metrics,
        "pretrain_seconds": pretrain_seconds,
        "n_parameters": sum(parameter.numel() for parameter in network.parameters()),
        "sizes": network.sizes,
        **fitted,
    }


def labelled(data: DataSet, config: Mapping[str, Any]) -> DataSet:
    """The data set with the labelled subset as its training images, checked for the task.

    Raises:
        DataError, SettingError: there are no labels, or not as many as asked for; or baselines of an autoencoder need
            more images in memory than can be.
    """
    n_labelled = config["data"]["n_labelled"]
    if config["task"]["name"] == "autoencoder":
        if n_labelled is not None:
            raise SettingError(f"data.n_labelled={n_labelled}: an autoencoder needs no labels. Leave it at null.")
        baselines = config["task"]["baselines"]
        if baselines and isinstance(data.train, StreamedImages):
            raise SettingError(
                f"task.baselines={baselines}: they need all training images in memory, and those of data={data.name} "
                "stay in their file. Use task.baselines=[]."
            )
        return data
    index = label_subset(data.train.labels, n_labelled, config["seed"], data_name=data.name)
    return data if n_labelled is None else replace(data, train=data.train.take(index))


def starting_point(config: dict[str, Any], data: DataSet) -> tuple[Network, Initialisation, DBN | None, float]:
    """Network, initialisation, the stack if that needs one (pretrained now if need be), and pretraining's seconds.

    Raises:
        SettingError: the stack does not fit network or data; said before anything is pretrained.
    """
    group = dict(config["init"])
    file = group.pop("stack", None)
    initialise: Initialisation = calling("init", hydra.utils.instantiate, group)
    if file is not None:
        stack = DBN.load(file)
        if stack.sizes[0] != data.n_features:
            raise SettingError(
                f"init.stack={file}: the stack has {stack.sizes[0]} visible units, an image of data={data.name} "
                f"{data.n_features} pixels. Choose a stack that was pretrained on such images."
            )
        return build_network(data, config, stack.sizes[1:]), initialise, stack, 0.0
    layers = layers_of(config["stack"])
    network = build_network(data, config, [layer.n_hidden for layer in layers])
    if not initialise.needs_stack:
        return network, initialise, None, 0.0
    kinds = [config["stack"]["visible"], *(layer.hidden for layer in layers)]
    unroll(DBN.untrained([data.n_features, *(layer.n_hidden for layer in layers)], kinds), network)
    shared = pretraining_config(config)
    result = pretrain(shared)
    return network, initialise, DBN.load(pretraining_directory(shared) / STACK_FILE), result["seconds"]


def build_network(data: DataSet, config: Mapping[str, Any], hidden: list[int]) -> Network:
    """The network of a configuration, the same for every arm: hidden layers as in the stack."""
    if config["task"]["name"] == "autoencoder":
        sizes, code = [data.n_features, *hidden, *reversed(hidden[:-1]), data.n_features], len(hidden)
    else:
        sizes, code = [data.n_features, *hidden, len(data.classes)], None
    options = config["network"]
    check_keys("network", options, ("activation", "dropout_input", "dropout_hidden"))
    return Network(sizes, code=code, **options)


def make_module(network: Network, data: DataSet, settings: TrainingSettings, config: Mapping[str, Any]) -> FineTuning:
    """The LightningModule of the task."""
    augment = settings_of("augment", Augment, config["augment"])
    schedule = settings_of("schedule", Schedule, hydra.utils.instantiate(config["schedule"]))
    options: dict[str, Any] = {
        "optimizer": hydra.utils.instantiate(config["optimizer"]),
        "schedule": schedule,
        "steps_per_epoch": -(-len(data.train) // settings.batch_size),
        "augment": augment if augment != Augment(elastic_sigma=augment.elastic_sigma) else None,
        "shape": data.shape,
        "seed": config["seed"],
        "precision": config["precision"],
    }
    if config["task"]["name"] == "classifier":
        return Classifier(network, settings, **options)
    if settings.head_epochs or settings.label_smoothing:
        raise SettingError(
            f"training.head_epochs={settings.head_epochs}, training.label_smoothing={settings.label_smoothing}: "
            "an autoencoder has neither a new output layer nor labels. Leave both at 0."
        )
    return Autoencoder(network, settings, real=config["stack"]["visible"] == "gaussian", **options)


def fit_network(
    network: Network,
    data: DataSet,
    settings: TrainingSettings,
    config: Mapping[str, Any],
    directory: Path,
    tracker: Tracker,
) -> tuple[FineTuning, dict[str, Any]]:
    """Train the network in place; returns its module with the chosen weights, and what belongs into the result."""
    checkpoints = directory / "checkpoints"
    module = make_module(network, data, settings, config)
    monitor = f"validation/{module.watched}"
    watch = Stopwatch()
    callbacks: list[Callback] = [watch]
    if settings.weights == "best":
        callbacks.append(best_checkpoint(checkpoints, monitor))
    if settings.patience is not None:
        if not len(data.validation):
            raise SettingError(
                f"training.patience={settings.patience}: there are no validation images to stop by. "
                "Use training.patience=null, or data.validation=0.2."
            )
        callbacks.append(PatientStopping(monitor, patience=settings.patience, mode="min"))
    callbacks.append(LastCheckpoint(checkpoints, config["checkpoint_seconds"]))
    if config["progress"]:
        shown = monitor if len(data.validation) else "train/loss"
        percent = shown.endswith("/error")
        title = f"{config['name']} seed {config['seed']}  {'-'.join(map(str, network.sizes))}"
        callbacks.append(FitProgress(title, shown, shown.replace("/", " ").replace("_", " "), percent=percent))
    with quiet():
        trainer = make_trainer(
            directory=checkpoints, max_epochs=settings.epochs, loggers=tracker.loggers(), callbacks=callbacks,
            options=config["trainer"],
        )  # fmt: skip
        device = trainer.strategy.root_device
        share = loader_share(trainer)
        train = BlockLoader(data.train.to(device), batch_size=settings.batch_size, seed=config["seed"], **share)
        validation = BlockLoader(data.validation.to(device), batch_size=1000, minibatches_per_block=1, **share)
        trainer.fit(
            module, train, validation if len(data.validation) else None, ckpt_path=resume_path(checkpoints),
            weights_only=True,
        )  # fmt: skip
    best_epoch = None
    best = checkpoints / "best.ckpt"
    if settings.weights == "best" and best.is_file():  # not under fast_dev_run, which keeps none
        checkpoint = torch.load(best, map_location="cpu", weights_only=True)
        module.load_state_dict(checkpoint["state_dict"])
        best_epoch = checkpoint["epoch"]
    module.cpu()
    facts = {
        "seconds": watch.seconds,
        "epochs": trainer.current_epoch,
        "best_epoch": best_epoch,
        "precision": [layer.precision for layer in network.linear_layers()],
    }
    return module, facts


def best_checkpoint(directory: Path, monitor: str) -> ModelCheckpoint:
    """Keeps ``best.ckpt``, the weights of the epoch with the lowest ``monitor``."""
    return ModelCheckpoint(
        dirpath=directory, filename="best", monitor=monitor, mode="min", save_top_k=1, save_weights_only=True,
        enable_version_counter=False,
    )  # fmt: skip


class PatientStopping(EarlyStopping):
    """Early stopping that stays stopped: a fit resumed after it had stopped trains no further epoch."""

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Stop at once if patience had run out before the interruption."""
        if self.wait_count >= self.patience:
            trainer.should_stop = True


def reconstructions(module: Autoencoder, data: DataSet) -> dict[str, Any]:
    """Some images and their reconstructions as pictures."""
    shown = data.validation if len(data.validation) else data.train
    features = shown.features(slice(0, 20))
    with torch.no_grad():
        reconstructed = module.eval().reconstruct(features)
    return {"images": data.to_pixels(features).numpy(), "reconstructions": data.to_pixels(reconstructed).numpy()}


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
        row = [f"{100 * value:.2f} %" if percent else f"{value:.4g}" for value in values]
        table.add_row(quantity.replace("_", " "), *row)
    Console().print(table)
    before = f" after {result['pretrain_seconds']:.0f} s of pretraining" if result["pretrain_seconds"] else ""
    Console().print(
        f"{result['seconds']:.1f} s{before}; {run_directory(result['config'])}", soft_wrap=True, highlight=False
    )


if __name__ == "__main__":
    main()
