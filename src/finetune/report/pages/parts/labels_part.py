"""How many labels pretraining saves, as a part of the page."""

import math

from finetune.report.comparison.axes import Axis
from finetune.report.comparison.labels_saved import LabelRange, LabelsSaved, label_range, labels_saved
from finetune.report.pages.parts.part import Grid, GridRow, Part
from finetune.report.results.formatting import count_text


def labels_part(axis: Axis) -> Part | None:
    """The labels saved at each number of labels; None where that is not defined."""
    found = labels_saved(axis)
    if not found:
        return None
    known = label_range(axis)
    rows: list[GridRow] = []
    for one in found:
        interval = one.interval
        bounds = "" if interval is None else f"{_number(interval.low, known)} to {_number(interval.high, known)}"
        factor = "" if one.equal in (0.0, math.inf) else f"{one.factor:.2f}"
        rows.append((f"{one.labels:,}", "", (_number(one.equal, known), bounds, factor)))
    return Part(
        title=f"{axis.title}: labels that pretraining saves",
        sentences=tuple(_sentence(one, known) for one in found if one.interval is not None),
        about="With how many labels the random side has the error that the pretrained side has with the number on the "
        "left; both are the arms of the headlines. The random side's curve is interpolated between its numbers of "
        "labels in the logarithms of both. Interval: 95 %, over "
        f"{count_text(found[0].n_seeds, 'seed')} resampled jointly at all numbers of labels, with percentiles expanded "
        "for few seeds (Hesterberg 2015); test images are not resampled.",
        figure=None,
        grid=Grid(("labels, pretrained", "labels, random, same error", "95 % interval", "factor"), tuple(rows)),
    )


def _number(labels: float, known: LabelRange) -> str:
    if labels == math.inf:
        return f"above {known.high:,}"
    return f"under {known.low:,}" if labels == 0 else f"{labels:,.0f}"


def _sentence(one: LabelsSaved, known: LabelRange) -> str:
    interval = one.interval
    if interval is not None and interval.low > one.labels:
        return (
            f"Pretraining with {one.labels:,} labels is worth {_number(one.equal, known)} labels without it (95 % "
            f"interval {_number(interval.low, known)} to {_number(interval.high, known)})."
        )
    return f"With {one.labels:,} labels, no saving of labels by pretraining is settled."
