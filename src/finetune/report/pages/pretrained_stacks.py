"""What a page shows of each pretrained stack."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from finetune.report.figures.pretraining_curves import pretraining_curves
from finetune.report.results.formatting import choose_format, metric_label, seconds_text
from finetune.report.results.run_result import RunResult
from finetune.report.results.study import Study


@dataclass(frozen=True)
class StackView:
    """A pretrained stack: number of seeds, time, epochs, precision and reconstruction errors; its learning curves.

    Attributes:
        warnings: signs that training failed, each with its seeds.
    """

    name: str
    facts: list[tuple[str, str]]
    warnings: list[str]
    curves: Markup | None


def stack_views(study: Study) -> list[StackView]:
    """Stacks by name and precision of the matrix products: seeds of different precisions are never averaged."""
    groups: dict[tuple[str, tuple[str, ...]], list[RunResult]] = {}
    for run in study.of_stage("pretrain"):
        groups.setdefault((run.name, run.precision), []).append(run)
    names = [name for name, _ in groups]
    views = []
    for index, ((name, precision), own) in enumerate(groups.items()):
        facts = [("seeds", str(len(own)))]
        seconds = [own_seconds for run in own if (own_seconds := run.comparable_seconds) is not None]
        if seconds:
            facts.append(("time", seconds_text(sum(seconds) / len(seconds))))
        if all(run.layer_epochs for run in own):
            facts.append(("epochs", _epochs(own)))
        if precision:
            facts.append(("precision", ", ".join(dict.fromkeys(precision))))
        facts += _reconstruction_errors(own)
        title = name if names.count(name) == 1 else f"{name}, {', '.join(precision) or 'precision not stated'}"
        views.append(StackView(title, facts, _warnings(own), pretraining_curves(title, own, f"stack{index}")))
    return views


def _epochs(runs: Sequence[RunResult]) -> str:
    """Epochs of each layer, as in ``12 to 15, 30``: seeds may stop at different ones."""
    return ", ".join(
        str(min(layer)) if len(set(layer)) == 1 else f"{min(layer)} to {max(layer)}"
        for layer in zip(*(run.layer_epochs for run in runs), strict=True)
    )


def _warnings(runs: Sequence[RunResult]) -> list[str]:
    """Warnings of all runs; where seeds have the same one, with all their numbers."""
    seeds: dict[str, list[int]] = {}
    for run in runs:
        for text in run.warnings:
            seeds.setdefault(text, []).append(run.seed)
    return [f"{'Seed' if len(own) == 1 else 'Seeds'} {', '.join(map(str, own))}: {text}" for text, own in seeds.items()]


def _reconstruction_errors(runs: Sequence[RunResult]) -> list[tuple[str, str]]:
    """Final reconstruction error of each layer, mean over runs, as pairs of label and number."""
    metrics = sorted({key for run in runs for key in run.metrics if key.endswith("/reconstruction_error")})
    pairs = []
    for metric in metrics:
        values = [run.metrics[metric] for run in runs if metric in run.metrics]
        form = choose_format(metric, values)
        pairs.append((metric_label(metric), form.number(sum(values) / len(values))))
    return pairs
