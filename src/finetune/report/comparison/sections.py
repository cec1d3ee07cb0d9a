"""Which runs are compared with each other: sections of a study, the arms of each, and the best arm of each kind."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from finetune.report.comparison.against_reference import ArmComparison, compare_with_reference, mcnemar_of_arms
from finetune.report.comparison.arm import Arm
from finetune.report.comparison.metric_choice import check_metric, check_reference, choose_metric
from finetune.report.comparison.statistics.mean_difference import MeanDifference, estimate_difference
from finetune.report.results.formatting import Format, choose_format, join_words, label_count_text, metric_label
from finetune.report.results.run_result import Kind, RunResult


@dataclass(frozen=True)
class Section:
    """Arms with the same data, task and number of labels: only arms of one section are compared.

    Attributes:
        hidden: numbers of hidden units of all arms, where a study trains an arm with several shapes; else empty.
        metric: metric that arms are compared by; lower is better.
        arms: sorted by the mean of ``metric``, those without it last.
        reference: arm that the others are compared with.
        best_pretrained: pretrained arm with the lowest mean of ``chosen_by``; None without pretrained arms.
        best_random: the same among arms that start from random weights.
        chosen_by: the validation metric where all their runs have it, else ``metric``.
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
        labels = "" if self.task == "autoencoder" else label_count_text(self.labels)  # autoencoders use no labels
        parts = (self.data, self.task, labels, shape_text(self.hidden))
        return ", ".join(part for part in parts if part) or "this study"

    @property
    def label(self) -> str:
        """The metric in words."""
        return metric_label(self.metric)

    @cached_property
    def format(self) -> Format:
        """Format of the metric over all arms."""
        return choose_format(self.metric, [value for arm in self.arms for value in arm.values(self.metric).values()])

    def of_kind(self, *kinds: Kind) -> list[Arm]:
        """The arms of some kinds, in the order of :attr:`arms`."""
        return [arm for arm in self.arms if arm.kind in kinds]

    @cached_property
    def comparisons(self) -> tuple[ArmComparison, ...]:
        """All arms but baselines compared with the reference, as one family of tests."""
        others = [arm for arm in self.arms if arm is not self.reference and arm.kind != "baseline"]
        differences = [(arm, self.difference(arm, self.reference)) for arm in others]
        return compare_with_reference(
            [(arm.name, one, mcnemar_of_arms(arm, self.reference)) for arm, one in differences if one]
        )

    @cached_property
    def best_difference(self) -> MeanDifference | None:
        """Best pretrained arm minus best random arm; None where a kind is absent or the difference is not defined."""
        if self.best_pretrained is None or self.best_random is None:
            return None
        return self.difference(self.best_pretrained, self.best_random)

    def difference(self, arm: Arm, other: Arm) -> MeanDifference | None:
        """Mean of ``arm - other``, over common seeds where there are any; None where it is not defined."""
        return estimate_difference(arm.values(self.metric), other.values(self.metric))


def make_sections(runs: Sequence[RunResult], reference: str | None = None, metric: str | None = None) -> list[Section]:
    """Divide runs into sections, in order of data, task, number of labels and shape.

    Args:
        runs: fine-tuned runs and baselines.
        reference: name of the arm that others are compared with; by default the best random arm of each section.
        metric: metric to compare by; by default the test error, for autoencoders the test squared error.

    Raises:
        SettingError: no arm is called ``reference``, no run has ``metric``, or higher values of it are better.
    """
    runs = _rename_by_content(_fill_missing(runs))
    shaped = _shapes_vary(runs)
    if metric is not None:
        check_metric(metric, runs)
    if reference is not None:
        check_reference(reference, runs)
    keys = sorted({_key(run, shaped) for run in runs if not _fits_every_shape(run, shaped)}, key=_section_order)
    keys = keys or sorted({_key(run, shaped=False) for run in runs}, key=_section_order)
    return [_section([run for run in runs if _is_in_section(run, key, shaped)], key, reference, metric) for key in keys]


Key = tuple[str, str, str, tuple[int, ...]]


def _key(run: RunResult, shaped: bool) -> Key:
    return run.data, run.task, run.labels, run.hidden if shaped else ()


def _fits_every_shape(run: RunResult, shaped: bool) -> bool:
    """Whether a run is compared with networks of every shape, as baselines are."""
    return shaped and run.kind == "baseline"


def _is_in_section(run: RunResult, key: Key, shaped: bool) -> bool:
    return _key(run, shaped)[:3] == key[:3] and (_fits_every_shape(run, shaped) or _key(run, shaped) == key)


def _section_order(key: Key) -> tuple[str, str, float, int, tuple[int, ...]]:
    data, task, labels, hidden = key
    return data, task, float(labels) if labels.isdigit() else float("inf"), len(hidden), hidden


def _shapes_vary(runs: Sequence[RunResult]) -> bool:
    """Whether an arm occurs with several numbers of hidden units, so that sections are divided by shape."""
    shapes: dict[tuple[str, ...], set[tuple[int, ...]]] = {}
    for run in runs:
        if run.kind != "baseline":
            shapes.setdefault((run.data, run.task, run.labels, run.arm), set()).add(run.hidden)
    return any(len(own) > 1 for own in shapes.values())


def shape_text(hidden: Sequence[int]) -> str:
    """``3 hidden layers of 200``, ``hidden layers of 500, 500 and 2000``; empty for none."""
    if not hidden:
        return ""
    if len(hidden) == 1:
        return f"{hidden[0]} hidden units"
    if len(set(hidden)) == 1:
        return f"{len(hidden)} hidden layers of {hidden[0]}"
    return f"hidden layers of {join_words(list(map(str, hidden)))}"


def _fill_missing(runs: Sequence[RunResult]) -> list[RunResult]:
    """Give runs that do not state data, task or labels the value of the others, where these have only one."""
    for attribute in ("data", "task", "labels"):
        stated = {getattr(run, attribute) for run in runs} - {""}
        if len(stated) == 1:
            (only,) = stated
            runs = [run if getattr(run, attribute) else replace(run, **{attribute: only}) for run in runs]
    return list(runs)


def _rename_by_content(runs: Sequence[RunResult]) -> list[RunResult]:
    """Append file name and hash to the data's name where one name stands for different contents."""
    contents: dict[str, set[str]] = {}
    for run in runs:
        contents.setdefault(run.data, set()).add(run.content)
    return [
        replace(run, data=f"{run.data} {_content_label(run)}") if len(contents[run.data]) > 1 and run.content else run
        for run in runs
    ]


def _content_label(run: RunResult) -> str:
    """The data file's name and the first digits of its hash."""
    path = run.config["data"].get("path")
    return f"{Path(str(path)).name} ({run.content[:6]})"


def _section(runs: list[RunResult], key: Key, reference: str | None, metric: str | None) -> Section:
    data, task, labels, hidden = key
    chosen = choose_metric(runs, task, metric)
    arms = []
    for name in sorted({run.name for run in runs}):
        by_seed: dict[int, RunResult] = {}
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


def _mean(arm: Arm, metric: str) -> float:
    estimate = arm.estimate(metric)
    return float("inf") if estimate is None else estimate.mean
