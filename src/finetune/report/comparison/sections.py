"""Which runs are compared with each other: sections of a study, the arms of each, and the best arm of each kind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from finetune.report.comparison.against_reference import ArmComparison
from finetune.report.comparison.arm import Arm, difference_of_arms
from finetune.report.comparison.choice import Choice, choose_best
from finetune.report.comparison.copies import as_contenders
from finetune.report.comparison.family import Family, make_family
from finetune.report.comparison.image_errors import ReadPredictions, predictions_of_run
from finetune.report.comparison.metric_choice import check_metric, check_reference, choose_metric
from finetune.report.comparison.rule import SIGNIFICANCE_LEVEL
from finetune.report.comparison.statistics.mean_difference import MeanDifference
from finetune.report.results.formatting import (
    Format,
    choose_format,
    is_percent,
    join_words,
    label_count_text,
    metric_label,
)
from finetune.report.results.run_result import Kind, RunResult


@dataclass(frozen=True)
class Section:
    """Arms with the same data, task and number of labels: only arms of one section are compared.

    Attributes:
        hidden: numbers of hidden units of all arms, where a study trains an arm with several shapes; else empty.
        metric: metric that arms are compared by; lower is better.
        arms: sorted by the mean of ``metric``, those without it last.
        reference: arm that the others are compared with.
        choice: the best arm of each side, and what they were chosen by.
        candidates: names of the arms of which any might have become the reference.
        n_trials: number of trials that searched the settings of the arms of each kind.
        margin: differences within it do not matter, in the unit of the metric; None for metrics other than rates.
        level: level of the section's family; lower where more looks at the growing study are to come.
        condition: what holds for all arms beside data, task and labels, such as ``equal operations``; mostly empty.
        detail: more on the condition, such as the number of operations.
    """

    data: str
    task: str
    labels: str
    hidden: tuple[int, ...]
    metric: str
    arms: tuple[Arm, ...]
    reference: Arm
    choice: Choice
    candidates: tuple[str, ...]
    n_trials: Mapping[Kind, int]
    margin: float | None = None
    level: float = SIGNIFICANCE_LEVEL
    condition: str = ""
    detail: str = ""

    @property
    def best_pretrained(self) -> Arm | None:
        """The chosen pretrained arm; None without pretrained arms."""
        return self.choice.best.get("pretrained")

    @property
    def best_random(self) -> Arm | None:
        """The chosen arm among those that start from random weights; None without."""
        return self.choice.best.get("random")

    @property
    def title(self) -> str:
        """For example ``mnist, classifier, 100 labels``."""
        labels = "" if self.task == "autoencoder" else label_count_text(self.labels)  # autoencoders use no labels
        condition = f"{self.condition} ({self.detail})" if self.detail else self.condition
        parts = (self.data, self.task, labels, shape_text(self.hidden), condition)
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
        """All arms but baselines compared with the reference."""
        found = [(arm, self.difference(arm, self.reference)) for arm in self.compared if arm is not self.reference]
        return tuple(ArmComparison(arm, self.reference, one, self.family) for arm, one in found if one is not None)

    @property
    def compared(self) -> list[Arm]:
        """All arms but baselines."""
        return [arm for arm in self.arms if arm.kind != "baseline"]

    @cached_property
    def family(self) -> Family:
        """Every comparison that the section shows or might have shown, had the choice of arms fallen otherwise.

        These are all arms compared with each arm that might have become the reference, and all pairs of a pretrained
        and a random arm that might have made the headline. Where arms are chosen on other seeds, or the reference is
        named, there is one reference to choose from, and one pair.
        """
        pairs = {frozenset((arm.name, name)) for arm in self.compared for name in self.candidates if arm.name != name}
        sides = [
            [best] if self.choice.independent else [arm for arm in self.of_kind(kind) if arm.values(self.metric)]
            for kind, best in self.choice.best.items()
        ]
        if len(sides) == 2:
            pairs |= {frozenset((one.name, other.name)) for one in sides[0] for other in sides[1]}
        arms = {arm.name: arm for arm in self.arms}
        ordered = sorted(tuple(sorted(pair)) for pair in pairs)
        return make_family([(a, b, self.difference(arms[a], arms[b])) for a, b in ordered], self.level)

    def settles(self, arm: Arm, other: Arm) -> bool:
        """Whether the difference of two arms of the family is settled."""
        return self.family.settles(arm.name, other.name, self.difference(arm, other))

    @property
    def n_test_images(self) -> int | None:
        """Number of test images, from the predictions that runs kept; None where there are none."""
        sizes = {len(labels) for arm in self.arms for labels in arm.errors.labels.values()}
        return sizes.pop() if len(sizes) == 1 else None

    @cached_property
    def best_difference(self) -> MeanDifference | None:
        """Best pretrained arm minus best random arm; None where a kind is absent or the difference is not defined."""
        if self.best_pretrained is None or self.best_random is None:
            return None
        return self.difference(self.best_pretrained, self.best_random)

    def difference(self, arm: Arm, other: Arm) -> MeanDifference | None:
        """Mean of ``arm - other``, over common seeds where there are any; None where it is not defined."""
        key = arm.name, other.name
        if key not in self._differences:
            self._differences[key] = difference_of_arms(arm, other, self.metric)
        return self._differences[key]

    @cached_property
    def _differences(self) -> dict[tuple[str, str], MeanDifference | None]:
        """Differences that were asked for before."""
        return {}


def make_sections(
    runs: Sequence[RunResult],
    reference: str | None = None,
    metric: str | None = None,
    *,
    margin: float | None = None,
    trials: Sequence[RunResult] = (),
    read: ReadPredictions = predictions_of_run,
) -> list[Section]:
    """Divide runs into sections, in order of data, task, number of labels and shape.

    Args:
        runs: fine-tuned runs and baselines.
        reference: name of the arm that others are compared with; by default the best random arm of each section.
        metric: metric to compare by; by default the test error, for autoencoders the test squared error.
        margin: differences of rates within it do not matter, in percentage points; None: there is no such margin.
        trials: trials of random searches: where they are of the same arms, data and labels, on other seeds, they choose
            the best arm of each side.
        read: reads the predictions of a run.

    Raises:
        SettingError: no arm is called ``reference``, no run has ``metric``, or higher values of it are better.
    """
    runs = _rename_by_content(_fill_missing(as_contenders(runs)))
    shaped = _shapes_vary(runs)
    if metric is not None:
        check_metric(metric, runs)
    if reference is not None:
        check_reference(reference, runs)
    keys = sorted({_key(run, shaped) for run in runs if not _fits_every_shape(run, shaped)}, key=_section_order)
    keys = keys or sorted({_key(run, shaped=False) for run in runs}, key=_section_order)
    rest = _Options(reference, metric, margin, trials, read)
    return [_section([run for run in runs if _is_in_section(run, key, shaped)], key, rest) for key in keys]


@dataclass(frozen=True)
class _Options:
    """Arguments of :func:`make_sections` that all sections share."""

    reference: str | None
    metric: str | None
    margin: float | None
    trials: Sequence[RunResult]
    read: ReadPredictions


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


def _section(runs: list[RunResult], key: Key, options: _Options) -> Section:
    data, task, labels, hidden = key
    metric = choose_metric(runs, task, options.metric)
    arms = []
    for name in sorted({run.name for run in runs}):
        by_seed: dict[int, RunResult] = {}
        for run in runs:
            if run.name == name:
                by_seed.setdefault(run.seed, run)
        ordered = tuple(by_seed[seed] for seed in sorted(by_seed))
        arms.append(Arm(name, next(iter(by_seed.values())).kind, ordered, options.read))
    arms.sort(key=lambda arm: (_mean(arm, metric), arm.name))

    choice = choose_best(arms, metric, options.trials)
    named = next((arm for arm in arms if arm.name == options.reference), None)
    reference = named or choice.best.get("random") or arms[0]
    if named or (choice.independent and reference is choice.best.get("random")):
        candidates = [reference]
    else:
        candidates = [arm for arm in arms if arm.kind == reference.kind or "random" not in choice.best]
    return Section(
        data=data,
        task=task,
        labels=labels,
        hidden=hidden,
        metric=metric,
        arms=tuple(arms),
        reference=reference,
        choice=choice,
        candidates=tuple(arm.name for arm in candidates if arm.values(metric)),
        n_trials=_count_trials(arms, runs[0], options.trials),
        margin=options.margin / 100 if options.margin is not None and is_percent(metric) else None,
    )


def _count_trials(arms: Sequence[Arm], like: RunResult, trials: Sequence[RunResult]) -> dict[Kind, int]:
    """Number of trials of the arms of each kind, with the data, task and labels of the section."""
    own = [run for run in trials if (run.data, run.task, run.labels) == (like.data, like.task, like.labels)]
    counts: dict[Kind, int] = {}
    for arm in arms:
        numbers = {run.trial for run in own if run.arm == arm.runs[0].arm}
        counts[arm.kind] = counts.get(arm.kind, 0) + len(numbers)
    return counts


def _mean(arm: Arm, metric: str) -> float:
    values = arm.values(metric).values()
    return sum(values) / len(values) if values else float("inf")
