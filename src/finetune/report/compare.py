"""Runs -> sections: what may be compared with what, the arms in it, and which two the headline is about."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from dbn.errors import SettingError
from finetune.predictions import read_predictions
from finetune.report.family import Comparison, compare_family
from finetune.report.quantities import label_of, labels_text
from finetune.report.read import Kind, Run
from finetune.report.statistics import Difference, Estimate, McNemar, difference_of, estimate_mean, mcnemar

DEFAULT_METRIC = {"classifier": "test/error", "autoencoder": "test/squared_error"}


@dataclass(frozen=True)
class Arm:
    """All runs of one name in one section."""

    name: str
    kind: Kind
    runs: tuple[Run, ...]

    def values(self, metric: str) -> dict[int, float]:
        """``metric`` by seed, for the seeds that have it."""
        return {run.seed: run.metrics[metric] for run in self.runs if metric in run.metrics}

    def estimate(self, metric: str) -> Estimate | None:
        """Mean over seeds; None where no run has the metric."""
        values = list(self.values(metric).values())
        return estimate_mean(values) if values else None

    def mean_of(self, attribute: str) -> float | None:
        """Mean over seeds of a run's attribute, such as ``seconds``."""
        values = [value for run in self.runs if (value := getattr(run, attribute)) is not None]
        return sum(values) / len(values) if values else None


@dataclass(frozen=True)
class Section:
    """Arms that saw the same data with the same number of labels for the same task: only these are compared.

    Attributes:
        hidden: numbers of hidden units that all arms have, where a study gives an arm several shapes; else empty.
        metric: what they are compared by; lower is better.
        arms: sorted by the mean of ``metric``; arms without it come last.
        reference: the arm that differences are taken to.
        best_pretrained: the pretrained arm with the lowest mean of ``chosen_by``, if there is any.
        best_random: the same among the arms from random weights.
        chosen_by: the validation metric where every run has one, else ``metric``.
    """

    data: str
    task: str
    labels: str
    hidden: tuple[int, ...]
    metric: str
    arms: tuple[Arm, ...]
    reference: Arm
    best_pretrained: Arm | None
    best_random: Arm | None
    chosen_by: str

    @property
    def title(self) -> str:
        """For example ``mnist, classifier, 100 labels``."""
        labels = "" if self.task == "autoencoder" else labels_text(self.labels)  # an autoencoder looks at no label
        parts = (self.data, self.task, labels, shape_text(self.hidden))
        return ", ".join(part for part in parts if part) or "this study"

    @property
    def label(self) -> str:
        """The metric in words."""
        return label_of(self.metric)

    def of_kind(self, *kinds: Kind) -> list[Arm]:
        """The arms of some kinds, in order."""
        return [arm for arm in self.arms if arm.kind in kinds]

    @cached_property
    def comparisons(self) -> tuple[Comparison, ...]:
        """Every other arm beside the reference, as one family."""
        others = [arm for arm in self.arms if arm is not self.reference and arm.kind != "baseline"]
        differences = [(arm, self.difference(arm, self.reference)) for arm in others]
        return compare_family([(arm.name, one, errors_of(arm, self.reference)) for arm, one in differences if one])

    def difference(self, arm: Arm, other: Arm) -> Difference | None:
        """``arm - other``, paired on seeds where they have seeds in common."""
        return difference_of(arm.values(self.metric), other.values(self.metric))


def compare(runs: Sequence[Run], reference: str | None = None, metric: str | None = None) -> list[Section]:
    """Sections of ``runs`` (fine-tuned and baselines), in order of data, task and number of labels.

    Args:
        runs: runs that may be compared.
        reference: name of the arm that differences are taken to; by default the best random arm of each section.
        metric: what to compare by; by default the test error, or the test squared error for autoencoders.

    Raises:
        SettingError: no arm is called ``reference``, no run has ``metric``, or more of it is better.
    """
    runs = _by_content(_at_home(runs))
    shaped = _shapes_vary(runs)
    if metric is not None:
        _check_metric(metric, runs)
    if reference is not None:
        _check_reference(reference, runs)
    keys = sorted({_key(run, shaped) for run in runs if not _anywhere(run, shaped)}, key=_section_order)
    keys = keys or sorted({_key(run, shaped=False) for run in runs}, key=_section_order)
    return [_section([run for run in runs if _belongs(run, key, shaped)], key, reference, metric) for key in keys]


Key = tuple[str, str, str, tuple[int, ...]]


def _key(run: Run, shaped: bool) -> Key:
    return run.data, run.task, run.labels, run.hidden if shaped else ()


def _anywhere(run: Run, shaped: bool) -> bool:
    """Whether a run stands beside networks of every shape: a baseline has none of its own."""
    return shaped and run.kind == "baseline"


def _belongs(run: Run, key: Key, shaped: bool) -> bool:
    return _key(run, shaped)[:3] == key[:3] and (_anywhere(run, shaped) or _key(run, shaped) == key)


def _section_order(key: Key) -> tuple[str, str, float, int, tuple[int, ...]]:
    data, task, labels, hidden = key
    return data, task, float(labels) if labels.isdigit() else float("inf"), len(hidden), hidden


def _shapes_vary(runs: Sequence[Run]) -> bool:
    """Whether a study gives an arm several numbers of hidden units: networks of one shape are then compared."""
    shapes: dict[tuple[str, ...], set[tuple[int, ...]]] = {}
    for run in runs:
        if run.kind != "baseline":
            shapes.setdefault((run.data, run.task, run.labels, run.arm), set()).add(run.hidden)
    return any(len(own) > 1 for own in shapes.values())


def shape_text(hidden: Sequence[int]) -> str:
    """``3 hidden layers of 200``, ``hidden layers of 500, 500 and 2000``; empty for no layer."""
    if not hidden:
        return ""
    if len(hidden) == 1:
        return f"{hidden[0]} hidden units"
    if len(set(hidden)) == 1:
        return f"{len(hidden)} hidden layers of {hidden[0]}"
    return f"hidden layers of {', '.join(map(str, hidden[:-1]))} and {hidden[-1]}"


def _at_home(runs: Sequence[Run]) -> list[Run]:
    """Runs whose file leaves out data, task or labels join the section of the others, if there is only one."""
    for attribute in ("data", "task", "labels"):
        stated = {getattr(run, attribute) for run in runs} - {""}
        if len(stated) == 1:
            (only,) = stated
            runs = [run if getattr(run, attribute) else replace(run, **{attribute: only}) for run in runs]
    return list(runs)


def _by_content(runs: Sequence[Run]) -> list[Run]:
    """Runs whose data have one name and different contents are of different data sets: the names say so."""
    contents: dict[str, set[str]] = {}
    for run in runs:
        contents.setdefault(run.data, set()).add(run.content)
    return [
        replace(run, data=f"{run.data} {_which(run)}") if len(contents[run.data]) > 1 and run.content else run
        for run in runs
    ]


def _which(run: Run) -> str:
    """A file's name and the beginning of its hash."""
    path = run.config["data"].get("path")
    return f"{Path(str(path)).name} ({run.content[:6]})"


def _check_metric(metric: str, runs: Iterable[Run]) -> None:
    present = {key for run in runs for key in run.metrics}
    if metric not in present:
        raise SettingError(f"metric={metric}: no run has it. {_choices(metric, present)}")
    if metric.endswith("accuracy"):
        raise SettingError(
            f"metric={metric}: the report compares metrics of which less is better. "
            f"Use {metric.removesuffix('accuracy')}error."
        )


def _check_reference(reference: str, runs: Iterable[Run]) -> None:
    present = {run.name for run in runs}
    if reference not in present:
        raise SettingError(f"reference={reference}: no arm has this name. {_choices(reference, present)}")


def _choices(wanted: str, present: set[str]) -> str:
    near = difflib.get_close_matches(wanted, sorted(present), n=3, cutoff=0.6)
    if not present:
        return "There is none to choose from."
    meant = f"Did you mean {near[0]}? " if near else ""
    return f"{meant}Use one of: {', '.join(near + sorted(present - set(near)))}."


def _section(runs: list[Run], key: Key, reference: str | None, metric: str | None) -> Section:
    data, task, labels, hidden = key
    chosen = _metric_of(runs, task, metric)
    arms = []
    for name in sorted({run.name for run in runs}):
        by_seed: dict[int, Run] = {}
        for run in runs:
            if run.name == name:
                by_seed.setdefault(run.seed, run)
        arms.append(Arm(name, next(iter(by_seed.values())).kind, tuple(by_seed[seed] for seed in sorted(by_seed))))
    arms.sort(key=lambda arm: (_mean(arm, chosen), arm.name))

    validation = f"validation/{chosen.rpartition('/')[2]}"
    contenders = [arm for arm in arms if arm.kind in ("pretrained", "random") and arm.values(chosen)]
    all_validated = all(validation in run.metrics for arm in contenders for run in arm.runs)
    chosen_by = validation if contenders and all_validated else chosen
    best = {
        kind: min(
            (arm for arm in contenders if arm.kind == kind),
            key=lambda arm: (_mean(arm, chosen_by), arm.name),
            default=None,
        )
        for kind in ("pretrained", "random")
    }
    named = next((arm for arm in arms if arm.name == reference), None)
    return Section(
        data=data,
        task=task,
        labels=labels,
        hidden=hidden,
        metric=chosen,
        arms=tuple(arms),
        reference=named or best["random"] or arms[0],
        best_pretrained=best["pretrained"],
        best_random=best["random"],
        chosen_by=chosen_by,
    )


def _metric_of(runs: list[Run], task: str, metric: str | None) -> str:
    present = {key for run in runs for key in run.metrics}
    without_test = [f"validation/{own.rpartition('/')[2]}" for own in DEFAULT_METRIC.values()]  # data.test=0
    for candidate in (metric, DEFAULT_METRIC.get(task), *DEFAULT_METRIC.values(), *without_test):
        if candidate in present and candidate is not None:
            return candidate
    tests = sorted(key for key in present if key.startswith("test/")) or sorted(present)
    return tests[0] if tests else DEFAULT_METRIC.get(task, "test/error")


def _mean(arm: Arm, metric: str) -> float:
    estimate = arm.estimate(metric)
    return float("inf") if estimate is None else estimate.mean


def errors_of(arm: Arm, other: Arm) -> McNemar | None:
    """McNemar's test between the runs of the first seed that both arms have and kept their predictions of.

    None where there is no such seed, or where the two runs did not see the same test images.
    """
    theirs = {run.seed: run for run in other.runs}
    for run in arm.runs:
        if run.seed not in theirs:
            continue
        a, b = read_predictions(run.directory), read_predictions(theirs[run.seed].directory)
        if a is None or b is None:
            continue
        if not np.array_equal(a.label, b.label):
            return None
        return mcnemar(a.predicted != a.label, b.predicted != b.label)
    return None
