"""All parts of a study's page."""

from collections.abc import Sequence

from finetune.report.comparison.axes import Axis
from finetune.report.comparison.compute_curves import ComputeCurve
from finetune.report.comparison.sections import Section
from finetune.report.comparison.tuning import Tuning
from finetune.report.pages.parts.axis_part import axis_part
from finetune.report.pages.parts.compute_part import compute_part
from finetune.report.pages.parts.factorial_part import factorial_part
from finetune.report.pages.parts.labels_part import labels_part
from finetune.report.pages.parts.ladder_part import ladder_part
from finetune.report.pages.parts.part import Part
from finetune.report.pages.parts.ranks_part import ranks_part
from finetune.report.pages.parts.trade_offs_part import trade_offs_part
from finetune.report.pages.parts.tuning_part import tuning_part


def build_parts(
    sections: Sequence[Section],
    axes: Sequence[Axis],
    tunings: Sequence[Tuning],
    curves: Sequence[ComputeCurve],
    prefix: str,
) -> list[Part]:
    """All parts of a study; ``prefix`` makes the names of its figures unique on a page of several studies."""
    groups: dict[tuple[str, ...], list[ComputeCurve]] = {}
    for curve in curves:
        groups.setdefault((curve.data, curve.task, curve.labels), []).append(curve)
    parts = [compute_part(own, f"{prefix}compute{index}") for index, own in enumerate(groups.values())]
    for index, axis in enumerate(axes):
        ranks = ranks_part(axis, f"{prefix}ranks{index}")
        parts += [axis_part(axis, f"{prefix}axis{index}"), *(one for one in (labels_part(axis), ranks) if one)]
    for section in sections:
        parts += [part for part in (ladder_part(section), factorial_part(section)) if part is not None]
    for index, tuning in enumerate(tunings):
        several = trade_offs_part(tuning)
        parts += [tuning_part(tuning, f"{prefix}tuning{index}"), *([] if several is None else [several])]
    return parts
