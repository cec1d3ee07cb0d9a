"""How many labels pretraining is worth: against curves that are known."""

import math

import numpy as np
import pytest

from finetune.report.comparison.labels_saved import labels_for_error, labels_saved
from finetune.report.comparison.statistics.expanded_bootstrap import bootstrap_over_seeds
from finetune.report.pages.parts.labels_part import labels_part

LABELS = np.array([100.0, 1000.0, 10_000.0])


def test_interpolation_is_exact_on_a_power_law():
    """Error 2 n^-0.5: an error of e needs (2 / e)^2 labels."""
    curve = 2 * LABELS**-0.5
    wanted = np.array([300.0, 1000.0, 4321.0])
    found = labels_for_error(LABELS, np.tile(curve, (3, 1)), 2 * wanted**-0.5)
    assert found == pytest.approx(wanted, rel=1e-9)
    ends = labels_for_error(LABELS, np.tile(curve, (3, 1)), np.array([0.001, 1.0, curve[0]]))
    assert ends.tolist() == [math.inf, 0.0, 100.0]
    risen = labels_for_error(LABELS, np.array([[0.2, 0.1, 0.15]]), np.array([0.12]))
    assert 100 < risen[0] < 1000  # where it is reached first


def fill(study, rng, n_seeds, factor=3.0):
    """Random side 2 n^-0.5, the pretrained side the error of ``factor`` times the labels; 5 % of scatter."""
    for labels in (100, 1000, 10_000):
        for name, worth in (("relu", 1.0), ("dbn", factor)):
            errors = 2 * (worth * labels) ** -0.5 * np.exp(0.05 * rng.standard_normal(n_seeds))
            study.arm(f"{name}_{labels}", errors.tolist(), arm=name, n_labelled=labels)


def test_the_number_of_labels_and_its_interval(study):
    fill(study, np.random.default_rng(0), 10)
    (axis,) = study.axes()
    few, middle, many = labels_saved(axis)
    assert few.equal == pytest.approx(300, rel=0.15)
    assert few.interval.low < few.equal < few.interval.high
    assert few.interval.low > 200
    assert middle.factor == pytest.approx(3, rel=0.2)
    assert many.equal == math.inf
    part = labels_part(axis)
    assert part.sentences[0].startswith(f"Pretraining with 100 labels is worth {few.equal:,.0f} labels without it")
    assert part.grid.rows[2][2][0] == "above 10,000"


def test_the_interval_covers_the_truth():
    """100 studies of 8 seeds, true number 3000: 95 % less four standard errors."""
    rng, inside = np.random.default_rng(3), 0
    for _ in range(100):
        curves = 2 * LABELS[:, None] ** -0.5 * np.exp(0.1 * rng.standard_normal((3, 8)) - 0.005)
        error = 2 * 3000**-0.5 * np.exp(0.1 * rng.standard_normal((1, 8)) - 0.005)
        interval = bootstrap_over_seeds(
            np.concatenate([curves, error]), lambda means: labels_for_error(LABELS, means[:, :-1], means[:, -1])
        )
        inside += interval.low <= 3000 <= interval.high
    assert inside >= 100 * (0.95 - 4 * (0.05 * 0.95 / 100) ** 0.5)


def test_three_seeds_and_axes_of_other_things_give_no_interval(study):
    fill(study, np.random.default_rng(1), 3)
    (axis,) = study.axes()
    assert all(one.interval is None for one in labels_saved(axis))
    assert labels_part(axis).sentences == ()


def test_an_axis_of_data_sets_has_no_such_part(study):
    for data in ("digits", "mnist"):
        study.arm(f"dbn_{data}", [0.1, 0.2], arm="dbn", data=data)
        study.arm(f"relu_{data}", [0.1, 0.2], arm="relu", data=data)
    (axis,) = study.axes()
    assert labels_part(axis) is None
