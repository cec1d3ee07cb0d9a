"""A pretraining run: its directory, training, and results."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import hydra

from dbn.commands.texts import with_texts
from dbn.data import DataSet
from dbn.data.augment import Augment
from dbn.data.check_augment import check_augmentable
from dbn.data.few_images import few_images, is_fast
from dbn.data.from_config import data_sets_of
from dbn.fitting.ranks import is_first
from dbn.models.conditional_rbm import ConditionalRBM
from dbn.models.dbn import DBN
from dbn.models.model_file import DBN_FILE
from dbn.pretraining.check_config import check_pretraining
from dbn.pretraining.class_errors import class_errors
from dbn.pretraining.from_config import layers_of, method_of, untrained_of, visible_of
from dbn.pretraining.greedy import pretrain_stacks
from dbn.pretraining.growing import Pretrained, StackRun, stages_of
from dbn.pretraining.pictures import pictures_of_stack, save_pictures, sheets
from dbn.pretraining.settings import LayerSettings
from dbn.pretraining.stack_identity import stack_identity, stack_name
from dbn.pretraining.stack_memory import check_stack_memory
from dbn.pretraining.topics import is_of_documents, perplexities, topic_facts
from dbn.runs.directories import check_run_location, study_directory
from dbn.runs.identity import INCIDENTAL, LABEL_KEYS, SUBMISSION, with_content
from dbn.runs.run import Run, execute_all
from dbn.runs.seeds import by_seed, checkpoint_folder, in_equal_parts
from dbn.runs.tracking import Tracker, Tracking, tracking
from dbn.settings import settings_of

STACK_KEYS = frozenset({"data", "stack", "sampler", "method", "trainer", "precision", "seed", "study"})
"""Top-level keys of a configuration that determine how its stack is pretrained."""

NOT_RECORDED = "not recorded"
"""In place of what files of earlier versions do not hold."""


def pretraining_directory(config: Mapping[str, Any]) -> Path:
    """Directory of a pretraining run: ``<runs>/<study>/pretrain/<name>_seed<k>``.

    The name is a function of the stack's identity, see :func:`stack_name`: configurations share a
    stack if and only if their identities are equal.
    """
    return study_directory(config) / "pretrain" / f"{stack_name(config)}_seed{config['seed']}"


def pretrain(config: dict[str, Any], overrides: Sequence[str] | None = None) -> dict[str, Any]:
    """:func:`pretrain_seeds` for one seed; returns its result."""
    (result,) = pretrain_seeds(config, overrides)
    return result


def pretrain_seeds(config: dict[str, Any], overrides: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Pretrain the stacks of a configuration together, for ``n_parallel_seeds`` seeds from ``seed`` up.

    Args:
        config: composed from ``conf/pretrain.yaml``, resolved to plain dicts and lists.
        overrides: overrides on the command line, stored with the results.

    Returns:
        For each seed the content of ``result.json``, also if the run was done before. The stack is in
        ``dbn.safetensors`` in the same directory.
    """
    config = with_texts(config)
    check_run_location(config)
    return pretrain_together([pretraining_config(own) for own in by_seed(with_content(config))], overrides)


def pretrain_together(
    configs: Sequence[dict[str, Any]], overrides: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """Pretrain the stacks of configurations from :func:`pretraining_config` that differ only in their seeds."""
    runs = [Run(pretraining_directory(config), config, identity=stack_identity) for config in configs]
    with checkpoint_folder(runs) as folder:
        return execute_all(runs, lambda waiting: _work(runs, waiting, folder), overrides, folder)


def pretraining_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a pretraining or fine-tuning configuration that determines how its stack is pretrained."""
    shared = {
        key: value
        for key, value in config.items()
        if key in STACK_KEYS | INCIDENTAL - SUBMISSION - {"pretrain_only", "space", "swept"}
    }
    return {**shared, "data": {key: value for key, value in config["data"].items() if key not in LABEL_KEYS}}


def _work(runs: Sequence[Run], waiting: Sequence[Run], folder: Path) -> Iterator[dict[str, Any]]:
    """Pretrain the stacks of the waiting runs, with checkpoints in ``folder``; yields the result of each."""
    check_pretraining(runs[0].config)
    data = data_sets_of([run.config for run in runs])
    if is_fast(runs[0].config["trainer"]):
        data = list(map(few_images, data))
    parts = in_equal_parts(runs, data)
    for part in parts:
        chosen = [(run, own) for run, own in zip(runs[part], data[part], strict=True) if run in waiting]
        if chosen:
            own_folder = folder if len(parts) == 1 else folder / str(part.start)
            yield from _pretrain([run for run, _ in chosen], [own for _, own in chosen], own_folder)


def _pretrain(runs: Sequence[Run], data: Sequence[DataSet], folder: Path) -> Iterator[dict[str, Any]]:
    """Pretrain the stacks of runs together, each on its data set; yields the result of each run."""
    config = runs[0].config
    layers = layers_of(config["stack"])
    check_stack_memory(layers, data[0].shape, len(runs))
    augment = settings_of("stack.augment", Augment, config["stack"]["augment"])
    if data[0].columns is None:
        check_augmentable(data[0], augment, "stack.augment")
    method = method_of(config)
    method.check_data(data[0], layers)
    stages_of(method, method.settings_of(layers))
    untrained_of(config, data[0])  # what is wrong with layers is said before a stack to start from is trained
    greedy = greedy_results([run.config for run in runs])
    starts = [None if own is None else DBN.load(own[0]) for own in greedy]
    openers = [partial(_tracked, run, own) for run, own in zip(runs, data, strict=True)]
    directories = [run.directory for run in runs]
    with Tracking(openers, directories, config["logger"]["wandb"]) as tracked:
        pretrained = pretrain_stacks(
            data,
            layers,
            [
                StackRun(run.seed, run.directory, own, start)
                for run, own, start in zip(runs, tracked.trackers, starts, strict=True)
            ],
            visible=visible_of(config["stack"]),
            method=method,
            optimizer=hydra.utils.instantiate(config["stack"]["optimizer"]),
            precision=config["precision"],
            representations=config["data"]["representations"],
            augment=None if augment.is_nothing else augment,
            directory=folder,
            checkpoint_seconds=config["checkpoint_seconds"],
            trainer_options=config["trainer"],
            progress=config["progress"],
        )
        for number, (run, own, images) in enumerate(zip(runs, pretrained, data, strict=True) if is_first() else ()):
            with tracked.after(number) as tracker:
                result = _finish(run, own, images, layers, tracker, starts[number])
                before = greedy[number]
                yield result if before is None else with_greedy(result, before[1])


def greedy_results(configs: Sequence[dict[str, Any]]) -> list[tuple[Path, dict[str, Any]] | None]:
    """File and result of the stack that each run starts from, pretrained if it is missing; None: it starts from none.

    It is that of the same configuration with ``method.greedy`` as its method, in a directory of its own. Runs that
    differ in what comes after share it.
    """
    if configs[0]["method"].get("greedy") is None:
        return [None] * len(configs)
    below = [{**own, "method": own["method"]["greedy"]} for own in configs]
    results = pretrain_together(below)
    return [(pretraining_directory(own) / DBN_FILE, result) for own, result in zip(below, results, strict=True)]


def with_greedy(result: Mapping[str, Any], greedy: Mapping[str, Any]) -> dict[str, Any]:
    """The result of a run, with what the stack that it starts from has cost."""
    sums = {key: result[key] + greedy[key] for key in ("seconds", "flops", "epochs")}
    return {**result, **sums, "greedy": {"name": greedy["name"], **{key: greedy[key] for key in sums}}}


def _tracked(run: Run, data: DataSet) -> AbstractContextManager[Tracker]:
    config = run.config
    name = f"{stack_name(config)}_seed{config['seed']}"
    hidden = "-".join(str(layer.n_hidden) for layer in layers_of(config["stack"]))
    tags = [data.name, hidden, f"seed{config['seed']}"]
    options = {"study": config["study"], "stage": "pretrain", "name": name, "tags": tags, "config": config}
    return tracking(run.directory, config["logger"]["wandb"], folder=study_directory(config), **options)


def _finish(
    run: Run, pretrained: Pretrained, data: DataSet, layers: Sequence[LayerSettings], tracker: Tracker,
    start: DBN | None,
) -> dict[str, Any]:  # fmt: skip
    """Save a trained stack, which has started from ``start``, and its pictures; returns the content of the result."""
    directory, config = run.directory, run.config
    stack, facts = pretrained.stack, pretrained.facts
    description = {
        "data": data.name,
        "seed": config["seed"],
        "layers": [
            {**layer.values(), "precision": fact["precision"], "training": fact.get("training", NOT_RECORDED)}
            for layer, fact in zip(layers, facts, strict=True)
        ],
        "method": config["method"],
        "augment": config["stack"]["augment"],
        "version": metadata.version("layerwise-dbn"),
    }
    stack.save(directory / DBN_FILE, description)
    metrics = tracker.last_metrics() | class_errors(stack, data)
    if start is not None:
        metrics |= {f"{name}_before": error for name, error in class_errors(start, data).items()}
    if is_of_documents(stack):
        if not config["trainer"].get("fast_dev_run"):  # of nothing there is nothing to estimate for a minute
            metrics |= perplexities(stack, data, config["seed"])
    elif data.columns is None and not data.feature_names and not isinstance(stack[0], ConditionalRBM):
        pictures = pictures_of_stack(stack, data, config["seed"])
        save_pictures(directory, pictures)
        tracker.log_pictures(sheets(pictures))
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
        "other_load": other_load(facts),
        "flops": sum(fact["flops"] for fact in facts),
        "trained_together": max(len(fact.get("together", [0])) for fact in facts),
        "precision": [fact["precision"] for fact in facts],
        "precision_decided_by": [fact.get("precision_decided_by", NOT_RECORDED) for fact in facts],
        "n_parameters": sum(parameter.numel() for parameter in stack.parameters()),
        "epochs": sum(fact["epochs"] for fact in facts),
        "layers": [fact.get("training", NOT_RECORDED) for fact in facts],
        "warnings": [text for fact in facts for text in fact.get("warnings", [])],
        "stack": DBN_FILE,
        **topic_facts(stack, data),
    }


def other_load(facts: Sequence[Mapping[str, Any]]) -> float | None:
    """Cores that other processes kept busy while the layers trained; None where that is not known for each of them."""
    loads = [fact.get("other_load") for fact in facts]
    seconds = sum(fact["seconds"] for fact in facts)
    if any(load is None for load in loads) or seconds <= 0:
        return None
    return float(sum(load * fact["seconds"] for load, fact in zip(loads, facts, strict=True)) / seconds)
