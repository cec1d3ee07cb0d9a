"""A fine-tuning run: its directory, training, and results."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from dbn.commands.texts import with_texts
from dbn.data import DataSet, label_subset
from dbn.data.few_images import even_steps, few_images, is_fast
from dbn.data.image_weights import relative
from dbn.data.images import ImageSet
from dbn.data.split.strata import distinct, stratified
from dbn.data.split_settings import n_validation_of
from dbn.data.without_labels import without_labels
from dbn.errors import SettingError
from dbn.fitting.ranks import is_first
from dbn.pretraining.from_config import layers_of
from dbn.pretraining.pictures import filters_of, save_pictures, sheets
from dbn.random.streams import stream
from dbn.runs.directories import check_run_location, study_directory
from dbn.runs.identity import with_content
from dbn.runs.naming import folder_name
from dbn.runs.run import Run, execute_all
from dbn.runs.seeds import by_seed, checkpoint_folder, in_equal_parts, seeds_to_resume, with_split
from dbn.runs.tracking import Tracker, Tracking, tracking
from dbn.settings import format_value, settings_of
from finetune.baselines.run_baselines import check_baselines, run_baselines
from finetune.networks.features import features_of, start_and_end_pictures
from finetune.networks.label_units import save_class_rbm
from finetune.networks.network import Network
from finetune.networks.network_file import NETWORK_FILE
from finetune.networks.weight_changes import weight_changes
from finetune.runs.check_config import check_finetuning, check_schedule
from finetune.runs.continued_run import Earlier, advice, earlier_run
from finetune.runs.fitting import check_training, fit_networks
from finetune.runs.pruning import pruning_of
from finetune.runs.starting_networks import has_written_blocks, inputs_of, starting_points
from finetune.runs.trajectory import trajectory_of
from finetune.tasks import Autoencoder, FineTuning
from finetune.tasks.class_weights import weighted
from finetune.tasks.mistakes import worst_mistakes
from finetune.tasks.predictions import write_predictions, write_values
from finetune.tasks.settings import TrainingSettings


def finetuning_directory(config: Mapping[str, Any]) -> Path:
    """Directory of a fine-tuning run: ``<runs>/<study>/finetune/<name>_seed<k>``."""
    return study_directory(config) / "finetune" / f"{folder_name(config['name'])}_seed{config['seed']}"


def finetune(config: dict[str, Any], overrides: Sequence[str] | None = None) -> dict[str, Any]:
    """:func:`finetune_seeds` for one seed; returns its result."""
    (result,) = finetune_seeds(config, overrides)
    return result


def finetune_seeds(config: dict[str, Any], overrides: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Train the network of a configuration for ``n_parallel_seeds`` seeds from ``seed`` up, together.

    Args:
        config: composed from ``conf/finetune.yaml``, resolved to plain dicts and lists.
        overrides: overrides on the command line, stored with the results.

    Returns:
        For each seed the content of ``result.json``, also if the run was done before. The network is in
        ``network.safetensors`` in the same directory. Empty with ``pretrain_only``, which only pretrains the stacks.
    """
    config = with_texts(config)
    check_run_location(config)
    config = with_content(with_network_file(config))
    if config["pretrain_only"]:
        check_finetuning(config)
        seeds = by_seed(config)
        starting_points(seeds, inputs_of(seeds[:1])[0])
        return []
    earlier = earlier_run(with_split(config))
    runs = [
        Run(finetuning_directory(own), own, advice=partial(advice, own, finetuning_directory(own)))
        for own in by_seed(config)
    ]
    with checkpoint_folder(runs) as folder:
        return execute_all(runs, lambda waiting: _work(runs, waiting, folder, earlier), overrides, folder)


def with_network_file(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration with the file of the network that ``init.run`` names, where that is a run's directory."""
    run = config["init"].get("run")
    if run is None or not Path(run).expanduser().is_dir():
        return config
    return {**config, "init": {**config["init"], "run": str(Path(run) / NETWORK_FILE)}}


def _work(
    runs: Sequence[Run], waiting: Sequence[Run], folder: Path, earlier: Earlier | None
) -> Iterator[dict[str, Any]]:
    """Fine-tune, with checkpoints in ``folder``; yields the result of each run in ``waiting``."""
    config = runs[0].config
    check_finetuning(config)
    settings = settings_of("training", TrainingSettings, config["training"])
    data = inputs_of([run.config for run in runs])
    sets = [labelled(own, run.config) for run, own in zip(runs, data, strict=True)]
    sets = [weighted(replace(own, train=relative(own.train)), settings.class_weights) for own in sets]
    others: list[ImageSet] = []
    if config["unlabelled"] is not None:
        others = [unlabelled_images(own, run.config) for run, own in zip(runs, data, strict=True)]
    check_training(settings, sets[0], len(runs))
    if is_fast(config["trainer"]):
        sets, others = list(map(few_images, sets)), [own.take(even_steps(len(own))) for own in others]
    parts = in_equal_parts(runs, sets, others)
    for part in parts:
        own_waiting = [run for run in runs[part] if run in waiting]
        if own_waiting:
            own_folder = folder if len(parts) == 1 else folder / str(part.start)
            yield from _train(runs[part], own_waiting, sets[part], others[part], settings, own_folder, earlier)


def _train(
    runs: Sequence[Run], waiting: Sequence[Run], data: Sequence[DataSet], others: Sequence[ImageSet],
    settings: TrainingSettings, folder: Path, earlier: Earlier | None,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """Fine-tune the networks of runs together, each on its data set; yields the result of each run in ``waiting``.

    ``others`` are the unlabelled images of each run, where the configuration uses them.
    """
    config = runs[0].config
    seeds = seeds_to_resume(folder / "checkpoints", [run.seed for run in waiting], [run.seed for run in runs])
    members, sets = zip(*((run, own) for run, own in zip(runs, data, strict=True) if run.seed in seeds), strict=True)
    unlabelled = [own for run, own in zip(runs, others, strict=False) if run.seed in seeds]
    steps_per_epoch = -(-len(sets[0].train) // settings.batch_size)
    check_schedule(config["schedule"], config["optimizer"], settings, steps_per_epoch)
    pruning = pruning_of(config)
    starts = starting_points([run.config for run in members], sets[0], [own.train for own in sets])
    before = [deepcopy(start.network) for start in starts]
    openers = [partial(_tracked, run, own) for run, own in zip(members, sets, strict=True)]
    directories = [run.directory for run in members]
    with Tracking(openers, directories, config["logger"]["wandb"]) as tracked:
        trajectory = trajectory_of(sets, settings) if settings.trajectory else None
        fitted = fit_networks(
            [start.network for start in starts], sets, settings, [run.config for run in members], folder,
            tracked.trackers, trajectory, earlier, unlabelled, pruning,
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
                if config["unlabelled"] is not None:
                    facts["kind"] = "unlabelled"
                yield result | starts[number].facts | facts | {"flops": flops}


def _tracked(run: Run, data: DataSet) -> AbstractContextManager[Tracker]:
    config = run.config
    if has_written_blocks(config):
        hidden = config["network"]["name"]
    else:  # of a stack's file the layers are not those of the configuration
        layers = [] if config["init"].get("stack") is not None else layers_of(config["stack"])
        hidden = "-".join(str(own.n_hidden) for own in layers)
    tags = [data.name, *([hidden] if hidden else []), config["arm"]["name"], f"seed{config['seed']}"]
    name = f"{config['name']}_seed{config['seed']}"
    options = {"study": config["study"], "stage": "finetune", "name": name, "tags": tags, "config": config}
    return tracking(run.directory, config["logger"]["wandb"], folder=study_directory(config), **options)


def _finish(run: Run, module: FineTuning, data: DataSet, before: Network, tracker: Tracker) -> dict[str, Any]:
    """Evaluate and save a trained network; returns the content of the result."""
    directory, config, network = run.directory, run.config, module.network
    metrics = {
        f"{name}/{quantity}": value
        for name, images in (
            ("train", data.train),
            ("validation", data.validation),
            ("spare", data.spare),
            ("test", data.test),
        )
        if images is not None and len(images)
        for quantity, value in module.evaluate(images).items()
    }
    pictures = {} if data.columns is not None else pictures_of(module, data, before, config)
    meaning = network.meaning = module.meaning(data)
    network.save(directory / NETWORK_FILE)
    save_class_rbm(network, data.scaling, directory)
    mistakes = None
    if meaning.task == "classifier" and len(data.test):
        predicted = network.predict(data.test)
        probabilities = network.predict_proba(data.test) if meaning.outputs == "logits" else None
        write_predictions(directory, data, predicted, probabilities)
        if probabilities is not None and data.columns is None:
            mistakes, pictures["mistakes"] = worst_mistakes(data, predicted, probabilities)
    elif meaning.task == "regression" and len(data.test):
        write_values(directory, data, network.predict(data.test))
    if pictures:
        save_pictures(directory, pictures)
        tracker.log_pictures(sheets(pictures))
    tracker.log_summary(metrics)
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
        "n_validation": len(data.validation),
        "metrics": metrics,
        "n_parameters": sum(parameter.numel() for parameter in network.parameters()),
        "sizes": network.sizes,
        "trial": trial_of(config),
        "weights": weight_changes(before, network),
        "classes": list(data.classes),
        "targets": list(data.targets),
        "mistakes": mistakes,
    }


def pictures_of(module: FineTuning, data: DataSet, before: Network, config: Mapping[str, Any]) -> dict[str, Any]:
    """Filters, features where they are asked for, and an autoencoder's reconstructions, as pictures."""
    first_layers = {"filters_start": before.layers[0], "filters": module.network.layers[0]}
    shown = {name: filters_of(layer, data.shape) for name, layer in first_layers.items()}
    pictures = {name: own for name, own in shown.items() if own is not None}
    if config["features"]:
        pictures |= start_and_end_pictures(
            *(features_of(own, data, config["features"], config["seed"]) for own in (before, module.network))
        )
    return pictures | reconstructions(module, data) if isinstance(module, Autoencoder) else pictures


def trial_of(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """Number, rung and settings of the trial; None if the run is no trial of a search."""
    search = config["search"]
    if search["trial"] is None:
        return None
    return {"number": search["trial"], "rung": search["rung"], "settings": config["searched"]}


def labelled(data: DataSet, config: Mapping[str, Any]) -> DataSet:
    """The data set with the labelled subset as its training images; unchanged for an autoencoder.

    Of the validation images, as many remain as ``data.n_validation`` says, a random subset that is stratified like
    the training images': with 100 labels nobody has 10000 more to choose by.

    Raises:
        DataError, SettingError: there are no or too few labels, or a baseline cannot be computed.
    """
    check_baselines(config, data)
    n_labelled = config["data"]["n_labelled"]
    if config["task"]["name"] == "autoencoder":
        if n_labelled is not None:
            raise SettingError(f"data.n_labelled={n_labelled}: an autoencoder needs no labels. Leave it at null.")
        return data
    index = label_subset(data.train.labels, n_labelled, config["seed"], data_name=data.name)
    n_validation = n_validation_of(config["data"])
    if n_validation is not None and n_validation < len(data.validation):
        assert data.validation.labels is not None  # they have labels where training images have
        generator = stream(config["seed"], "validation labels")
        if n_validation < len(data.classes):
            raise SettingError(
                f"data.n_validation={n_validation}: every one of the {len(data.classes)} classes of "
                f"data={data.name} needs a validation image. Use {len(data.classes)} or more, or null for all."
            )
        chosen = (
            stratified(data.validation.labels, n_validation, generator)
            if data.classes
            else distinct(len(data.validation), n_validation, generator)
        )
        rest = torch.ones(len(data.validation), dtype=torch.bool)
        rest[chosen] = False
        spare = data.validation.take(rest.nonzero().squeeze(1))
        data = replace(data, validation=data.validation.take(chosen), spare=spare)
    return data if n_labelled is None else replace(data, train=data.train.take(index))


def unlabelled_images(data: DataSet, config: Mapping[str, Any]) -> ImageSet:
    """The training images that are not in the labelled subset, without their labels.

    Raises:
        SettingError: there are none.
    """
    n_labelled = config["data"]["n_labelled"]
    if n_labelled is None or n_labelled >= len(data.train):
        raise SettingError(
            f"data.n_labelled={format_value(n_labelled)}: all training images of data={data.name} have a label, and "
            "none is left for unlabelled=... Choose a number of labels, labels=n1000, or unlabelled=none."
        )
    index = label_subset(data.train.labels, n_labelled, config["seed"], data_name=data.name)
    return without_labels(data.train, index)


def reconstructions(module: Autoencoder, data: DataSet) -> dict[str, Any]:
    """Up to 20 images and their reconstructions as pictures."""
    features = data.validation_or_train.sample(20)
    with torch.no_grad():
        reconstructed = module.eval().reconstruct(features)
    return {"images": data.to_pixels(features).numpy(), "reconstructions": data.to_pixels(reconstructed).numpy()}
