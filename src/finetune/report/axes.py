"""Sections of one study that differ in one quantity: labels, depth, width or data set, and what they say together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from finetune.report.compare import Arm, Section
from finetune.report.headline import Verdict, format_of_differences, headline_of
from finetune.report.quantities import Format, format_of, label_of, labels_text
from finetune.report.read import Kind
from finetune.report.statistics import Difference
from finetune.report.tables import MARK


@dataclass(frozen=True)
class Line:
    """An arm along an axis: position among the axis' sections -> the arm there."""

    name: str
    kind: Kind
    arms: dict[int, Arm]


@dataclass(frozen=True)
class Axis:
    """Sections in order of a quantity, all else equal.

    Attributes:
        quantity: ``labelled images``, ``hidden layers``, ``hidden units`` or ``data set``.
        title: what they have in common, and the quantity.
        ticks: the quantity's value in each section.
        lines: the arms, in order of their mean in the last section that has them.
    """

    quantity: str
    title: str
    ticks: tuple[str, ...]
    sections: tuple[Section, ...]
    lines: tuple[Line, ...]

    @property
    def metric(self) -> str:
        """What all its sections compare by."""
        return self.sections[0].metric

    @property
    def format(self) -> Format:
        """How its values are written."""
        metric = self.metric
        return format_of(metric, [v for s in self.sections for arm in s.arms for v in arm.values(metric).values()])


def axes_of(sections: Sequence[Section]) -> list[Axis]:
    """Every axis along which at least two sections differ in nothing else."""
    axes = []
    for quantity, place, tick, held in _QUANTITIES:
        groups: dict[tuple[object, ...], list[Section]] = {}
        for section in sections:
            if tick(section):
                groups.setdefault((section.metric, *held(section)), []).append(section)
        for members in groups.values():
            if len(members) > 1 and len({tick(section) for section in members}) == len(members):
                axes.append(_axis(quantity, sorted(members, key=place), tick, held))
    return axes


def _even(section: Section) -> bool:
    return len(set(section.hidden)) == 1


def _number_of_labels(section: Section) -> float:
    return float(section.labels) if section.labels.isdigit() else float("inf")


_Tick = Callable[[Section], str]
_Held = Callable[[Section], tuple[object, ...]]
_QUANTITIES: tuple[tuple[str, Callable[[Section], float], _Tick, _Held], ...] = (
    (
        "labelled images",
        _number_of_labels,
        lambda s: "" if s.task == "autoencoder" else s.labels,
        lambda s: (s.data, s.task, s.hidden),
    ),
    (
        "hidden layers",
        lambda s: len(s.hidden),
        lambda s: str(len(s.hidden)) if _even(s) else "",
        lambda s: (s.data, s.task, s.labels, s.hidden[0]),
    ),
    (
        "hidden units",
        lambda s: s.hidden[0],
        lambda s: str(s.hidden[0]) if _even(s) else "",
        lambda s: (s.data, s.task, s.labels, len(s.hidden)),
    ),
    ("data set", lambda s: 0, lambda s: s.data, lambda s: (s.task, s.labels, s.hidden)),
)


def _axis(quantity: str, members: list[Section], tick: _Tick, held: _Held) -> Axis:
    lines: dict[str, dict[int, Arm]] = {}
    kinds: dict[str, Kind] = {}
    for position, section in enumerate(members):
        names = [arm.runs[0].arm for arm in section.arms]
        for arm, name in zip(section.arms, names, strict=True):
            line = name if names.count(name) == 1 else arm.name  # an arm with several settings has a line for each
            if arm.values(section.metric):
                lines.setdefault(line, {})[position] = arm
                kinds[line] = arm.kind
    ordered = sorted(lines, key=lambda name: (_last_mean(lines[name], members[0].metric), name))
    return Axis(
        quantity=quantity,
        title=_title(quantity, members[0], held),
        ticks=tuple(tick(section) for section in members),
        sections=tuple(members),
        lines=tuple(Line(name, kinds[name], lines[name]) for name in ordered),
    )


def _last_mean(arms: dict[int, Arm], metric: str) -> tuple[int, float]:
    last = max(arms)
    estimate = arms[last].estimate(metric)
    return -last, float("inf") if estimate is None else estimate.mean


def _title(quantity: str, section: Section, held: _Held) -> str:
    parts = [
        section.data if quantity != "data set" else "",
        section.task,
        labels_text(section.labels) if quantity != "labelled images" and section.task != "autoencoder" else "",
        f"layers of {section.hidden[0]} units" if quantity == "hidden layers" else "",
    ]
    return f"{', '.join(part for part in parts if part)}: by {'number of ' if quantity != 'data set' else ''}{quantity}"


@dataclass(frozen=True)
class AxisRow:
    """One line's cells as text; ``lowest`` marks those that are the lowest of their column."""

    name: str
    kind: Kind
    cells: tuple[str, ...]
    lowest: tuple[bool, ...]


@dataclass(frozen=True)
class AxisTable:
    """Arms against the axis' values.

    Attributes:
        rows: an arm each.
        differences: of the best pretrained and the best random arm, by column; empty where a kind is not there.
    """

    ticks: tuple[str, ...]
    rows: tuple[AxisRow, ...]
    differences: tuple[str, ...]


def axis_table(axis: Axis) -> AxisTable:
    """Mean and half width of the 95 % interval of every arm in every section of the axis."""
    form, metric = axis.format, axis.metric
    rows = []
    means = [
        [arm.estimate(metric) if (arm := line.arms.get(place)) else None for place in range(len(axis.ticks))]
        for line in axis.lines
    ]
    bests = [min(found.mean for found in column if found is not None) for column in zip(*means, strict=True)]
    for line, estimates in zip(axis.lines, means, strict=True):
        cells, lowest = [], []
        for estimate, best in zip(estimates, bests, strict=True):
            cells.append("" if estimate is None else _cell(form, estimate.mean, estimate.half_width))
            lowest.append(estimate is not None and estimate.mean == best)
        rows.append(AxisRow(line.name, line.kind, tuple(cells), tuple(lowest)))
    differences = [_best_difference(section) for section in axis.sections]
    finer = format_of_differences(form, differences)
    texts = tuple(_difference_text(one, finer) for one in differences) if any(differences) else ()
    return AxisTable(axis.ticks, tuple(rows), texts)


def _best_difference(section: Section) -> Difference | None:
    if section.best_pretrained is None or section.best_random is None:
        return None
    return section.difference(section.best_pretrained, section.best_random)


def _difference_text(difference: Difference | None, form: Format) -> str:
    if difference is None:
        return ""
    text = form.signed(difference.estimate.mean)
    if difference.estimate.interval is not None and not difference.degenerate:
        interval = difference.estimate.interval
        text += f" [{form.signed(interval.low)}, {form.signed(interval.high)}]"
    return text + (f" {MARK}" if difference.settled else "")


def _cell(form: Format, mean: float, half_width: float | None) -> str:
    return form.number(mean) + ("" if half_width is None else f" ± {form.number(half_width)}")


_OUTCOMES: dict[Verdict, str] = {
    "pretrained": "Pretraining wins",
    "random": "random initialisation wins",
    "unsettled": "not settled",
}


def outcome(axis: Axis) -> str:
    """Where along the axis which kind of start wins, as one sentence; empty where no section compares the two."""
    found: dict[Verdict, list[str]] = {}
    for tick, section in zip(axis.ticks, axis.sections, strict=True):
        verdict = headline_of(section).verdict
        if verdict != "none":
            found.setdefault(verdict, []).append(tick)
    if not found:
        return ""
    parts = [f"{words} with {_listed(found[v], axis)}" for v, words in _OUTCOMES.items() if v in found]
    text = "; ".join(parts) + "."
    return text[0].upper() + text[1:]


def lowest_places(axis: Axis) -> list[str]:
    """Where each arm is lowest on validation, or by the metric where not every run has it: a grid search's outcome."""
    validation = f"validation/{axis.metric.rpartition('/')[2]}"
    runs = [run for line in axis.lines for arm in line.arms.values() for run in arm.runs]
    metric = validation if all(validation in run.metrics for run in runs) else axis.metric
    sentences = []
    for line in axis.lines:
        means = {place: found.mean for place, arm in line.arms.items() if (found := arm.estimate(metric)) is not None}
        best = min(means, key=lambda place: (means[place], place))
        sentences.append(f"{line.name}: the lowest {label_of(metric)} is that of {_listed([axis.ticks[best]], axis)}.")
    return sentences


def _listed(ticks: list[str], axis: Axis) -> str:
    if len(ticks) == len(axis.ticks) and len(ticks) > 2:
        words = f"every number of {axis.quantity}" if axis.quantity != "data set" else "every data set"
        return f"{words} ({ticks[0]} to {ticks[-1]})" if axis.quantity != "data set" else words
    joined = f"{', '.join(ticks[:-1])} and {ticks[-1]}" if len(ticks) > 1 else ticks[0]
    if axis.quantity == "data set":
        return joined
    return f"{joined} {axis.quantity.removesuffix('s') if joined == '1' else axis.quantity}"
