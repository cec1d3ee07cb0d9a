"""How many labels pretraining saves: with how many the random arm has the error that the pretrained one has with n."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from finetune.report.comparison.axes import Axis
from finetune.report.comparison.rule import MIN_SEEDS
from finetune.report.comparison.sections import Section
from finetune.report.comparison.statistics.expanded_bootstrap import bootstrap_over_seeds
from finetune.report.comparison.statistics.intervals import ConfidenceInterval


@dataclass(frozen=True)
class LabelsSaved:
    """The number of labels that are worth pretraining, at one number of labels.

    Attributes:
        labels: number of labels of the pretrained arm.
        equal: number with which the random arm has the same error; infinite where it has not with the largest number
            of the study, 0 where it has a lower one with the smallest.
        interval: 95 % interval of it over seeds, its ends infinite or 0 likewise; None for fewer than five seeds.
        n_seeds: seeds that all sections of both sides have in common.
    """

    labels: int
    equal: float
    interval: ConfidenceInterval | None
    n_seeds: int

    @property
    def factor(self) -> float:
        """``equal`` as a multiple of ``labels``: above 1 pretraining saves labels."""
        return self.equal / self.labels


@dataclass(frozen=True)
class LabelRange:
    """Numbers of labels between which the curves are known."""

    low: int
    high: int


def labels_saved(axis: Axis) -> tuple[LabelsSaved, ...]:
    """The labels saved at each number of labels of an axis; empty where it is no axis of labels.

    Both sides are the arms that each section's headline compares. Between numbers of labels the random side's curve is
    a straight line in the logarithms of error and labels; where its mean rises with more labels it counts as flat.
    Sections with all labels take no part: their number is not stated.
    """
    sections = _sections(axis)
    if len(sections) < 2:
        return ()
    labels = np.array([float(section.labels) for section in sections])
    sides = [[section.best_random for section in sections], [section.best_pretrained for section in sections]]
    values = [[arm.values(axis.metric) if arm else {} for arm in side] for side in sides]
    seeds = sorted(set.intersection(*(set(own) for side in values for own in side)))
    if not seeds:
        return ()
    random, pretrained = (np.array([[own[seed] for seed in seeds] for own in side]) for side in values)
    found = []
    for index, section in enumerate(sections):
        tables = np.concatenate([random, pretrained[index : index + 1]])

        def equal_labels(means: NDArray[np.float64]) -> NDArray[np.float64]:
            return labels_for_error(labels, means[:, :-1], means[:, -1])

        equal = float(equal_labels(tables.mean(1)[None])[0])
        interval = bootstrap_over_seeds(tables, equal_labels) if len(seeds) >= MIN_SEEDS else None
        found.append(LabelsSaved(int(section.labels), equal, interval, len(seeds)))
    return tuple(found)


def label_range(axis: Axis) -> LabelRange:
    """Smallest and largest number of labels that take part."""
    numbers = [int(section.labels) for section in _sections(axis)]
    return LabelRange(min(numbers), max(numbers))


def _sections(axis: Axis) -> list[Section]:
    """The sections of an axis of labels that compare both sides at a stated number of labels."""
    if axis.quantity != "labelled images":
        return []
    return [s for s in axis.sections if s.labels.isdigit() and s.best_pretrained and s.best_random]


def labels_for_error(
    labels: NDArray[np.float64], curves: NDArray[np.float64], error: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Smallest number of labels with which a curve is at or below an error, by interpolation in the logarithms.

    Args:
        labels: numbers of labels, ``(k,)``, ascending.
        curves: error at each number, ``(n, k)``; made to fall by running minima.
        error: the error to reach, ``(n,)``.

    Returns:
        ``(n,)``: infinite where the curve stays above the error, 0 where it begins below it.
    """
    tiny = math.exp(-60)  # an error of zero has no logarithm
    curves = np.log(np.maximum(np.minimum.accumulate(curves, axis=1), tiny))
    error = np.log(np.maximum(error, tiny))
    reached = curves <= error[:, None]
    after = reached.argmax(1)
    before = np.maximum(after - 1, 0)
    rows = np.arange(len(curves))
    high, low = curves[rows, before], curves[rows, after]
    share = np.divide(high - error, high - low, out=np.zeros_like(error), where=high > low)
    log_labels = np.log(labels)
    found = np.exp(log_labels[before] + share * (log_labels[after] - log_labels[before]))
    found = np.where(reached[:, 0], np.where(curves[:, 0] < error, 0.0, labels[0]), found)
    return np.where(reached.any(1), found, np.inf)
