"""The family of comparisons: what is in it, and what it takes to be settled."""

import numpy as np
import pytest

from finetune.report.comparison.family import make_family
from finetune.report.comparison.statistics.mean_difference import estimate_difference


def test_families_of_one_arm_against_itself_settle_nothing_but_by_chance():
    """1000 families of four arms that are all alike, five seeds: one of them holds in 5 % at most.

    Four standard errors of that are 2.8 points.
    """
    rng = np.random.default_rng(11)
    families = 0
    for _ in range(1000):
        reference = dict(enumerate(rng.normal(0.02, 0.002, 5)))
        arms = [
            (str(k), "r", estimate_difference(dict(enumerate(rng.normal(0.02, 0.002, 5))), reference)) for k in range(4)
        ]
        family = make_family(arms)
        families += any(family.settles(*pair) for pair in arms)
    assert families / 1000 < 0.05 + 4 * (0.05 * 0.95 / 1000) ** 0.5
    assert families / 1000 > 0.01


def test_fewer_than_five_seeds_settle_nothing():
    """Four differences of -2 points with a spread of 0.01: p is 1e-7, and four seeds are four seeds."""
    values = dict(enumerate([0.0300, 0.0301, 0.0302, 0.0303, 0.0304]))
    reference = dict(enumerate([0.0500, 0.0502, 0.0502, 0.0502, 0.0505]))
    for n, settled in ((4, False), (5, True)):
        one = estimate_difference({seed: values[seed] for seed in range(n)}, reference)
        family = make_family([("a", "b", one)])
        assert family.p_value("a", "b") < 1e-5
        assert family.p_value("b", "a") == family.p_value("a", "b")
        assert family.settles("b", "a", one) is settled


def test_a_reference_chosen_from_several_counts_all_that_might_have_been(study):
    """Every arm but the baseline against each random arm; with a named reference, and the pairs of the headline."""
    for name in ("dbn_a", "dbn_b", "he", "glorot", "tanh"):
        study.arm(name, [0.05, 0.06, 0.055, 0.058, 0.049 if name == "he" else 0.053])
    study.arm("control", [0.05, 0.05, 0.06, 0.07, 0.08], pretrained=None)
    study.arm("knn", [0.1] * 5, stage="baseline")
    family = study.section().family
    pairs = {tuple(sorted(pair)) for pair in family.adjusted}
    assert all("knn" not in pair for pair in pairs)
    assert pairs <= {tuple(sorted((a, b))) for a in ("he", "glorot", "tanh") for b in
                     ("dbn_a", "dbn_b", "he", "glorot", "tanh", "control") if a != b}  # fmt: skip
    assert ("control", "tanh") in pairs
    named = study.section(reference="tanh").family
    assert {pair for pair in named.adjusted if "control" in pair} == {frozenset(("control", "tanh"))}


@pytest.mark.parametrize(("reference", "size"), [(None, 3 + 6), ("r1", 2 + 6)])
def test_size_of_the_family(study, reference, size):
    """Two pretrained and three random arms, all different: 3 pairs among the random ones and 6 across."""
    rng = np.random.default_rng(0)
    for name in ("dbn0", "dbn1", "r0", "r1", "r2"):
        study.arm(name, rng.uniform(0.05, 0.06, 5).tolist())
    assert study.section(reference=reference).family.size == size
