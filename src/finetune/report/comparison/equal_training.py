"""Whether pretraining regularises: test NLL of two arms at equal training NLL."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from finetune.report.comparison.arm import Arm
from finetune.report.comparison.sections import Section
from finetune.report.comparison.statistics.intervals import CONFIDENCE, ConfidenceInterval

MIN_RUNS = 5
"""Number of runs of each arm that the comparison needs."""


@dataclass(frozen=True)
class EqualTrainingDifference:
    """Test NLL of one arm minus that of another at equal training NLL, in nats, over ``n`` runs of both."""

    difference: float
    interval: ConfidenceInterval
    n: int


def train_test_pairs(arm: Arm, quantity: str) -> list[tuple[float, float]]:
    """Training and test value of ``quantity``, such as ``nll``, of each run that has both."""
    train, test = f"train/{quantity}", f"test/{quantity}"
    return [(run.metrics[train], run.metrics[test]) for run in arm.runs if train in run.metrics and test in run.metrics]


def difference_at_equal_training(one: Arm, other: Arm) -> EqualTrainingDifference | None:
    r"""Difference between two arms' test NLL at equal training NLL, by analysis of covariance.

    Least squares :math:`test = a + b \log(train) + d\,[\mathrm{first\ arm}]` over the runs with a training NLL in
    the range that both arms cover; the result is :math:`d` with its t interval.

    Returns:
        None where fewer than five runs of either arm lie in that range.
    """
    groups = [train_test_pairs(arm, "nll") for arm in (one, other)]
    if not all(groups) or min(train for group in groups for train, _ in group) <= 0:
        return None
    low, high = (edge(limit(train for train, _ in g) for g in groups) for edge, limit in ((max, min), (min, max)))
    groups = [[pair for pair in group if low <= pair[0] <= high] for group in groups]
    if min(map(len, groups)) < MIN_RUNS:
        return None
    train, test = np.array([pair for group in groups for pair in group]).T
    first = np.repeat([1.0, 0.0], [len(group) for group in groups])
    design = np.stack([np.ones_like(train), np.log(train), first], axis=1)
    if np.linalg.matrix_rank(design) < 3:
        return None
    coefficients = np.linalg.lstsq(design, test, rcond=None)[0]
    freedom = len(test) - 3
    variance = float(np.square(test - design @ coefficients).sum()) / freedom
    error = float(np.sqrt(variance * np.linalg.inv(design.T @ design)[2, 2]))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom)) * error
    difference = float(coefficients[2])
    return EqualTrainingDifference(difference, ConfidenceInterval(difference - half, difference + half), len(test))


def random_counterparts(section: Section) -> list[Arm]:
    """Random arms with the network, augmentation and training of the best pretrained arm; else the best random arm."""
    pretrained = section.best_pretrained
    if pretrained is None:
        return []
    same = [arm for arm in section.of_kind("random") if _network_of(arm) == _network_of(pretrained)]
    return same or ([section.best_random] if section.best_random else [])


def _network_of(arm: Arm) -> tuple[object, ...]:
    """The parts of the configuration that set activation, regularisation and augmentation."""
    config = arm.runs[0].config
    return config.get("network"), config.get("augment"), config.get("training")
