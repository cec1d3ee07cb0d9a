"""The model card of an exported network: what it is, what it was trained on and how, and how well it did.

References:
    Mitchell et al. (2019), *Model cards for model reporting*, FAT*.
"""

import json
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from dbn.data.tables.columns import BINARY, CATEGORY, NUMBER, Columns
from finetune.export.exported_network import ExportedNetwork
from finetune.networks.block import in_words
from finetune.networks.network import Network
from finetune.report.comparison.arm import Arm
from finetune.report.results.formatting import choose_format, count_text, metric_label, operations_text, seconds_text
from finetune.report.results.provenance import collect_provenance
from finetune.report.results.run_result import RunResult, read_run_result
from finetune.report.results.study import scan_study

UNKNOWN = "not stated"
SPLITS = {"test": 0, "validation": 1, "spare": 2, "train": 3}
"""Order of splits in the table of errors."""


def model_card(
    network: Network,
    exported: ExportedNetwork,
    file: Path,
    *,
    name: str,
    dtype: str,
    license: str | None,  # noqa: A002 (its name on the command line)
) -> str:
    """The card in Markdown, with the licence in a header that model hubs read.

    What the run's ``result.json`` and its study say is in it, where these are beside the network's file.

    Args:
        network: the network.
        exported: as it is exported.
        file: the network's file.
        name: of the exported file.
        dtype: of its images.
        license: licence, or None.
    """
    directory = file.parent
    run = None
    if (directory / "result.json").is_file():
        run = read_run_result(directory, "finetune", directory.parents[1])
    parts = [
        f"---\n{yaml.safe_dump({'license': license or 'unknown', 'tags': ['layerwise-dbn']}, sort_keys=False)}---",
        f"# {name}",
        _network(network, exported, dtype, run),
        "## Licence\n\n"
        + (license or f"{UNKNOWN}: whoever exported this network gave no `license=`. Do not assume one."),
        "## Intended use\n\n_To be written by whoever publishes this network: what it is for, what it is not for, who "
        "may be harmed by its errors._",
    ]
    if run is None:
        parts.append(
            "## Training\n\nThere is no `result.json` beside the network's file: data and settings are unknown."
        )
    else:
        parts += [_data(run), _errors(run), _training(run), _software(run)]
    return "\n\n".join(parts) + "\n"


def _network(network: Network, exported: ExportedNetwork, dtype: str, run: RunResult | None) -> str:
    """What goes in and out, and what the network is made of."""
    meaning = exported.meaning
    names = "" if meaning.targets is None else f": {', '.join(meaning.targets.names)}"
    of_inputs = "images" if exported.columns is None else "rows"
    shape = "`(batch, channels, height, width)`" if exported.columns is None else "`(batch, n_features)`"
    shapes = {
        "probabilities": "probabilities of the classes, `(batch, n_classes)`",
        "scores": "scores of the classes, which are no probabilities, `(batch, n_classes)`",
        "reconstructions": f"reconstructed {of_inputs} in the units of the input, {shape}",
        "values": f"values of the targets in their own units, `(batch, n_targets)`{names}",
    }
    activations = list(dict.fromkeys(_plain(block.activation) for block in network.blocks[:-1]))
    normalisations = list(
        dict.fromkeys(block.normalisation.kind for block in network.blocks if block.normalisation is not None)
    )
    lines = [
        f"- Task: {meaning.task}",
        _images(exported, dtype) if exported.columns is None else _rows(exported.columns),
        f"- Output `{exported.output}`: {shapes[exported.output]}",
    ]
    if meaning.classes:
        lines.append(f"- Classes, in the order of the output: {', '.join(map(str, meaning.classes))}")
    lines += [
        f"- Units, inputs first: {'-'.join(map(in_words, network.shapes))}; hidden: {', '.join(activations) or 'none'}"
        + (f"; normalisation: {', '.join(normalisations)}" if normalisations else ""),
        f"- Parameters: {sum(parameter.numel() for parameter in network.parameters())}",
    ]
    if run is not None:
        lines.append(f"- Starting weights: {run.kind}, arm {run.arm}")
    return "## Network\n\n" + "\n".join(lines)


def _images(exported: ExportedNetwork, dtype: str) -> str:
    """How images are given."""
    scaling = exported.meaning.scaling
    words = (
        "standardised feature by feature, inside of the file"
        if scaling.is_standardised
        else f"divided by {scaling.value_of_one:g}, inside of the file"
    )
    shape = ", ".join(map(str, exported.shape))
    return f"- Input `images`: {dtype} `(batch, {shape})` (channels, height, width), as stored; they are {words}"


def _rows(columns: Columns) -> str:
    """How the columns of a table are given: a line for each, with its features in their order."""
    assert columns.fill is not None  # of a trained network
    lines = [
        f"- Input `rows`: float32 `(batch, {columns.n_features})`, the columns of a table in this order, each as one "
        "or more features; numbers are standardised inside of the file, and NaN in all features of a column, where its "
        "value is missing, is filled in there",
        "",
        "  | features | column | given as | where missing |",
        "  |---|---|---|---|",
    ]
    start = 0
    for column in columns.columns:
        stop = start + column.n_features
        fill = column.decoded(columns.fill[None, start:stop].numpy())[0]
        places = str(start) if column.n_features == 1 else f"{start} to {stop - 1}"
        given = {
            NUMBER: "the number, in its own units",
            BINARY: " and ".join(f"{number} for {value}" for number, value in enumerate(column.values)),
            CATEGORY: f"1 for its value, else 0: {', '.join(map(str, column.values))}",
        }[column.kind]
        shown = f"{fill:.6g}" if column.kind == NUMBER else str(fill)
        lines.append(f"  | {places} | {_cell(column.name)} | {_cell(given)} | {_cell(shown)} |")
        start = stop
    return "\n".join([*lines, ""])


def _cell(text: str) -> str:
    """A text within a table of Markdown."""
    return text.replace("|", "\\|").replace("\n", " ")


def _data(run: RunResult) -> str:
    data = run.config.get("data")
    settings = {key: value for key, value in data.items() if key != "content"} if isinstance(data, Mapping) else {}
    labels = "" if not run.labels else f", labels of {'all' if run.labels == 'all' else run.labels} training images"
    content = f" (content {run.content})" if run.content else ""
    validation = "" if run.n_validation is None else f"; {count_text(run.n_validation, 'validation image')}"
    return f"## Data\n\n{run.data or UNKNOWN}{content}{labels}{validation}.\n\n{_yaml({'data': settings})}"


def _errors(run: RunResult) -> str:
    """This network's metrics, and mean and interval over the seeds of its arm in the study."""
    arm = _arm(run)
    seeds = sorted(own.seed for own in arm.runs)
    metrics = sorted(run.metrics, key=lambda metric: (SPLITS.get(metric.split("/")[0], len(SPLITS)), metric))
    rows = ["| metric | this network | mean over seeds | 95 % interval |", "|---|---|---|---|"]
    for metric in metrics:
        form = choose_format(metric, [run.metrics[metric]])
        estimate = arm.estimate(metric) if len(seeds) > 1 else None
        mean = "" if estimate is None else f"{form.number(estimate.mean)}{form.unit}"
        interval = ""
        if estimate is not None and estimate.interval is not None:
            low, high = estimate.interval.low, estimate.interval.high
            interval = f"{form.number(low)} to {form.number(high)}{form.unit}"
        rows.append(f"| {metric_label(metric)} | {form.number(run.metrics[metric])}{form.unit} | {mean} | {interval} |")
    if len(seeds) > 1:
        about = (
            f"This network is the one of seed {run.seed} of {count_text(len(seeds), 'seed')} "
            f"({', '.join(map(str, seeds))}) of {run.name} in the study {run.study}. Intervals are for the mean over "
            "new seeds, that of the test error for new test images as well, where predictions were kept."
        )
    else:
        about = f"One seed ({run.seed}), which says nothing of how much errors vary from seed to seed."
    return f"## Errors\n\n{about}\n\n" + "\n".join(rows)


def _arm(run: RunResult) -> Arm:
    """The runs of this network's arm in its study."""
    study = scan_study(run.directory.parents[1])
    runs = [own for own in study.runs if (own.stage, own.name, own.task) == (run.stage, run.name, run.task)]
    return Arm(run.name, run.kind, tuple(runs))


def _training(run: RunResult) -> str:
    settings = {
        key: value for key, value in run.config.items() if key in ("stack", "method", "sampler", "init", "network",
        "training", "optimizer", "schedule", "augment", "unlabelled", "precision", "seed")
    }  # fmt: skip
    facts = [f"seed {run.seed}"]
    if run.epochs is not None:
        facts.append(count_text(run.epochs, "epoch"))
    if run.seconds is not None:
        facts.append(f"{seconds_text(run.seconds)} of fine-tuning")
    if run.pretrain_seconds:
        facts.append(f"{seconds_text(run.pretrain_seconds)} of pretraining")
    if run.total_flops is not None:
        facts.append(f"{operations_text(run.total_flops)} in all")
    return f"## Training\n\n{', '.join(facts).capitalize()}.\n\n{_yaml(settings)}"


def _software(run: RunResult) -> str:
    facts = [f"- {fact.name}: {', '.join(fact.values)}" for fact in collect_provenance([run]).facts]
    facts.append(f"- exported by layerwise-dbn {metadata.version('layerwise-dbn')}")
    return "## Software and machine\n\n" + "\n".join(facts)


def _yaml(settings: Mapping[str, Any]) -> str:
    """Settings as a block of YAML."""
    plain = json.loads(json.dumps(dict(settings), default=str))
    return f"```yaml\n{yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)}```"


def _plain(activation: Any) -> str:
    return activation if isinstance(activation, str) else str(dict(activation))
