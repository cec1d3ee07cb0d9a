"""Axes of a study: sections that differ in one quantity only, such as number of labels, depth, width or data set."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from finetune.report.comparison.arm import Arm
from finetune.report.comparison.sections import Section
from finetune.report.results.formatting import Format, choose_format, label_count_text
from finetune.report.results.run_result import Kind


@dataclass(frozen=True)
class AxisLine:
    """An arm along an axis; ``arms`` maps the index of a section on the axis to the arm in it."""

    name: str
    kind: Kind
    arms: dict[int, Arm]


@dataclass(frozen=True)
class Axis:
    """Sections in the order of one quantity, equal in all others.

    Attributes:
        quantity: ``labelled images``, ``hidden layers``, ``hidden units`` or ``data set``.
        title: what the sections have in common, and the quantity.
        ticks: value of the quantity in each section.
        lines: the arms, sorted by their mean in the last section that has them.
    """

    quantity: str
    title: str
    ticks: tuple[str, ...]
    sections: tuple[Section, ...]
    lines: tuple[AxisLine, ...]

    @property
    def metric(self) -> str:
        """Metric that all sections compare by."""
        return self.sections[0].metric

    @property
    def format(self) -> Format:
        """Format of the metric over all sections."""
        metric = self.metric
        return choose_format(metric, [v for s in self.sections for arm in s.arms for v in arm.values(metric).values()])


def find_axes(sections: Sequence[Section]) -> list[Axis]:
    """All axes on which at least two sections lie."""
    axes = []
    for quantity, position, tick, held in _QUANTITIES:
        groups: dict[tuple[object, ...], list[Section]] = {}
        for section in sections:
            if tick(section):
                groups.setdefault((section.metric, section.condition, *held(section)), []).append(section)
        for members in groups.values():
            if len(members) > 1 and len({tick(section) for section in members}) == len(members):
                axes.append(_axis(quantity, sorted(members, key=position), tick, held))
    return axes


def _equal_layers(section: Section) -> bool:
    return len(set(section.hidden)) == 1


def _number_of_labels(section: Section) -> float:
    return float(section.labels) if section.labels.isdigit() else float("inf")


_Tick = Callable[[Section], str]
_Held = Callable[[Section], tuple[object, ...]]
# name of the quantity, sort key, tick (empty: the section is on no such axis), what sections on one axis share
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
        lambda s: str(len(s.hidden)) if _equal_layers(s) else "",
        lambda s: (s.data, s.task, s.labels, s.hidden[0]),
    ),
    (
        "hidden units",
        lambda s: s.hidden[0],
        lambda s: str(s.hidden[0]) if _equal_layers(s) else "",
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
            line = name if names.count(name) == 1 else arm.name  # one line for each setting of an arm
            if arm.values(section.metric):
                lines.setdefault(line, {})[position] = arm
                kinds[line] = arm.kind
    ordered = sorted(lines, key=lambda name: (_last_mean(lines[name], members[0].metric), name))
    return Axis(
        quantity=quantity,
        title=_title(quantity, members[0], held),
        ticks=tuple(tick(section) for section in members),
        sections=tuple(members),
        lines=tuple(AxisLine(name, kinds[name], lines[name]) for name in ordered),
    )


def _last_mean(arms: dict[int, Arm], metric: str) -> tuple[int, float]:
    last = max(arms)
    estimate = arms[last].estimate(metric)
    return -last, float("inf") if estimate is None else estimate.mean


def _title(quantity: str, section: Section, held: _Held) -> str:
    parts = [
        section.data if quantity != "data set" else "",
        section.task,
        label_count_text(section.labels) if quantity != "labelled images" and section.task != "autoencoder" else "",
        f"layers of {section.hidden[0]} units" if quantity == "hidden layers" else "",
        section.condition,
    ]
    return f"{', '.join(part for part in parts if part)}: by {'number of ' if quantity != 'data set' else ''}{quantity}"
