"""How certain each difference is: every cell against scipy or counting."""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from finetune.report.comparison.against_reference import mcnemar_of_arms
from finetune.report.pages.certainty_table import build_certainty_table
from finetune.report.results.formatting import MINUS
from finetune.tasks.predictions import Predictions

N_TEST = 500


RIGHT = 3


def predicting(directory: Path, wrong: np.ndarray) -> None:
    """Predictions of a run: class 3 where it is right, which is always the label, else class 5."""
    Predictions(np.full(N_TEST, RIGHT), np.where(wrong, 5, RIGHT)).save(directory)


@pytest.fixture
def family(study: Any) -> dict[str, np.ndarray]:
    """Three arms with six seeds, errors counted from predictions that are kept; glorot is the reference."""
    rng = np.random.default_rng(8)
    wrong = {name: rng.random((6, N_TEST)) < rate for name, rate in (("dbn", 0.10), ("glorot", 0.115), ("zeros", 0.14))}
    for name, own in wrong.items():
        for seed, row in enumerate(own):
            predicting(study.run(name, seed, float(row.mean())), row)
    return wrong


def two_way(d: np.ndarray) -> tuple[float, float]:
    """Half width of the interval and p value of a mean over seeds (rows) and images, from the analysis of variance."""
    n_seeds, n_images = d.shape
    rows, columns, mean = d.mean(1, keepdims=True), d.mean(0, keepdims=True), d.mean()
    squares = np.array(
        [
            n_images * ((rows - mean) ** 2).sum() / (n_seeds - 1),
            n_seeds * ((columns - mean) ** 2).sum() / (n_images - 1),
            ((d - rows - columns + mean) ** 2).sum() / ((n_seeds - 1) * (n_images - 1)),
        ]
    )
    squares[2] = squares.min()  # no negative component
    variance = squares[0] + squares[1] - squares[2]
    freedoms = np.array([n_seeds - 1, n_images - 1, (n_seeds - 1) * (n_images - 1)])
    freedom, error = variance**2 / (squares**2 / freedoms).sum(), (variance / d.size) ** 0.5
    return stats.t.ppf(0.975, freedom) * error, 2 * stats.t.sf(abs(mean) / error, freedom)


def test_every_cell_of_the_table_is_that_of_scipy(study: Any, family: dict[str, np.ndarray]) -> None:
    section = study.section(reference="glorot")
    table = build_certainty_table(section)
    assert table is not None
    errors = {name: wrong.mean(1) for name, wrong in family.items()}
    tests = {name: two_way(family[name].astype(float) - family["glorot"]) for name in ("dbn", "zeros")}
    # the reference is named, so that the family is the two rows, and the pairs of the headline are among them
    smaller, larger = sorted(tests, key=lambda name: tests[name][1])
    holm = {smaller: min(1, 2 * tests[smaller][1])}
    holm[larger] = max(holm[smaller], tests[larger][1])
    for name, cells, settled in table.rows:
        found = dict(zip(table.columns, (cell.replace(MINUS, "-") for cell in cells), strict=True))
        difference = errors[name] - errors["glorot"]
        half, _ = tests[name]
        counts = np.round(difference * N_TEST).astype(int)
        signs = np.array(list(product((-1, 1), repeat=6)))
        flipped = abs(signs @ counts) >= abs(counts.sum())
        signs = np.array(list(product((-1, 1), repeat=np.count_nonzero(counts))))
        ranks = stats.rankdata(abs(counts[counts != 0]))
        extreme = abs(signs @ ranks) >= abs((np.sign(counts[counts != 0]) * ranks).sum())
        first = family[name][0], family["glorot"][0]
        only_a, only_b = int((first[0] & ~first[1]).sum()), int((first[1] & ~first[0]).sum())
        low, high = 100 * (difference.mean() - half), 100 * (difference.mean() + half)
        assert found["difference"] == f"{100 * difference.mean():+.2f}"
        assert found["95 % interval"] == f"[{low:+.2f}, {high:+.2f}]"
        assert found["standard error, seeds"] == f"{100 * stats.sem(difference):.3f}"
        by_image = (family[name].astype(float) - family["glorot"]).mean(0)
        assert found["standard error, images"] == f"{100 * stats.sem(by_image):.3f}"
        assert found["sign-flip p"] == f"{flipped.mean():.3f}"
        below = stats.binomtest(int((counts < 0).sum()), 6).proportion_ci(0.95, "exact").low
        above = stats.binomtest(int((counts <= 0).sum()), 6).proportion_ci(0.95, "exact").high
        assert found["P(lower)"] == f"{((counts < 0) + 0.5 * (counts == 0)).mean():.2f} [{below:.2f}, {above:.2f}]"
        assert float(found["Wilcoxon p"]) == pytest.approx(extreme.mean(), abs=6e-4)
        assert found["t test p, Holm"] == (f"{holm[name]:.3f}" if holm[name] >= 0.001 else "< 0.001")
        assert settled == (holm[name] < 0.05)
        p = stats.binomtest(only_a, only_a + only_b).pvalue
        assert found["McNemar, one seed"] == f"seed 0: {only_a} : {only_b}, p {f'{p:.3f}' if p >= 0.001 else '< 0.001'}"
        assert found["interquartile mean"] == f"{100 * np.sort(errors[name])[1:5].mean():.2f}"
    assert [row[0] for row in table.rows] == ["dbn", "zeros"]


def test_mcnemar_takes_the_first_common_seed_of_which_both_kept_predictions(
    study: Any, family: dict[str, np.ndarray]
) -> None:
    (study.directory / "finetune/dbn_seed0/predictions.safetensors").unlink()
    (study.directory / "finetune/glorot_seed1/predictions.safetensors").unlink()
    section = study.section()
    arms = {arm.name: arm for arm in section.arms}
    found = mcnemar_of_arms(arms["dbn"], arms["glorot"])
    a, b = family["dbn"][2], family["glorot"][2]
    assert found is not None
    seed, test = found
    assert seed == 2
    assert (test.only_a, test.only_b) == ((a & ~b).sum(), (b & ~a).sum())
    table = build_certainty_table(study.section(reference="glorot"))
    assert table is not None
    assert dict(zip(table.columns, table.rows[0][1], strict=True))["McNemar, one seed"].startswith("seed 2: ")
