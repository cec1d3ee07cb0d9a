"""Families of comparisons."""

import numpy as np

from finetune.report.comparison.against_reference import compare_with_reference
from finetune.report.comparison.statistics.mean_difference import estimate_difference


def test_studies_of_one_arm_against_itself_settle_nothing_but_by_chance():
    """400 families of four arms that are all alike, five seeds: after Holm one of them holds in 5 % at most.

    Four standard errors of that are 4.4 points.
    """
    rng = np.random.default_rng(11)
    families = 0
    for _ in range(400):
        reference = dict(enumerate(rng.normal(0.02, 0.002, 5)))
        arms = [
            (str(k), estimate_difference(dict(enumerate(rng.normal(0.02, 0.002, 5))), reference), None)
            for k in range(4)
        ]
        families += any(comparison.settled_in_family for comparison in compare_with_reference(arms))
    assert families / 400 < 0.05 + 4 * (0.05 * 0.95 / 400) ** 0.5
    assert compare_with_reference(
        [("a", estimate_difference({0: 1.0, 1: 2.0, 2: 3.1}, {0: 0.0, 1: 1.1, 2: 2.0}), None)]
    )[0].settled_in_family
