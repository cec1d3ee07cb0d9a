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
    """A pretrained stack: number of seeds, time, precision and reconstruction errors, and its learning curves."""

    name: str
    facts: list[tuple[str, str]]
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
        if precision:
            facts.append(("precision", ", ".join(dict.fromkeys(precision))))
        facts += _reconstruction_errors(own)
        title = name if names.count(name) == 1 else f"{name}, {', '.join(precision) or 'precision not stated'}"
        views.append(StackView(title, facts, pretraining_curves(title, own, f"stack{index}")))
    return views


def _reconstruction_errors(runs: Sequence[RunResult]) -> list[tuple[str, str]]:
    """Final reconstruction error of each layer, mean over runs, as pairs of label and number."""
    metrics = sorted({key for run in runs for key in run.metrics if key.endswith("/reconstruction_error")})
    pairs = []
    for metric in metrics:
        values = [run.metrics[metric] for run in runs if metric in run.metrics]
        form = choose_format(metric, values)
        pairs.append((metric_label(metric), form.number(sum(values) / len(values))))
    return pairs
