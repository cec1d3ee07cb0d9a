"""How certain each difference is: every cell against scipy or counting."""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from finetune.report.comparison.against_reference import mcnemar_of_arms
from finetune.report.pages.certainty_table import build_certainty_table
from finetune.report.results.formatting import MINUS
from finetune.tasks.predictions import write_predictions

N_TEST = 500


RIGHT = 3


def predicting(directory: Path, wrong: np.ndarray) -> None:
    """Predictions of a run: class 3 where it is right, which is always the label, else class 5."""
    predicted = torch.from_numpy(np.where(wrong, 5, RIGHT))
    write_predictions(directory, torch.full((N_TEST,), RIGHT), predicted)


@pytest.fixture
def family(study: Any) -> dict[str, np.ndarray]:
    """Three arms with six seeds, errors counted from predictions that are kept; glorot is the reference."""
    rng = np.random.default_rng(8)
    wrong = {name: rng.random((6, N_TEST)) < rate for name, rate in (("dbn", 0.10), ("glorot", 0.115), ("zeros", 0.14))}
    for name, own in wrong.items():
        for seed, row in enumerate(own):
            predicting(study.run(name, seed, float(row.mean())), row)
    return wrong


def test_every_cell_of_the_table_is_that_of_scipy(study: Any, family: dict[str, np.ndarray]) -> None:
    section = study.section(reference="glorot")
    table = build_certainty_table(section)
    assert table is not None
    errors = {name: wrong.mean(1) for name, wrong in family.items()}
    p_values = {name: stats.ttest_rel(errors[name], errors["glorot"]).pvalue for name in ("dbn", "zeros")}
    smaller, larger = sorted(p_values, key=p_values.__getitem__)
    holm_adjusted = {smaller: min(1, 2 * p_values[smaller]), larger: max(2 * p_values[smaller], p_values[larger])}
    for name, cells, _ in table.rows:
        found = dict(zip(table.columns, (cell.replace(MINUS, "-") for cell in cells), strict=True))
        difference = errors[name] - errors["glorot"]
        low, high = stats.t.interval(0.95, 5, difference.mean(), stats.sem(difference))
        resampled = np.sort([np.mean(draw) for draw in product(difference, repeat=6)])  # 46656, all there are
        counts = np.round(difference * N_TEST).astype(int)
        signs = np.array(list(product((-1, 1), repeat=np.count_nonzero(counts))))
        ranks = stats.rankdata(abs(counts[counts != 0]))
        extreme = abs(signs @ ranks) >= abs((np.sign(counts[counts != 0]) * ranks).sum())
        first = family[name][0], family["glorot"][0]
        only_a, only_b = int((first[0] & ~first[1]).sum()), int((first[1] & ~first[0]).sum())
        middle = np.sort(errors[name])[1:5]
        assert found["difference"] == f"{100 * difference.mean():+.2f}"
        assert found["95 % t interval"] == f"[{100 * low:+.2f}, {100 * high:+.2f}]"
        ends = [float(end) for end in found["95 % bootstrap"].strip("[]").split(", ")]
        # 9999 draws: at a rank of 2.5 % the standard error is 0.16 %, so within four the ranks 1.9 and 3.1 %
        for end, (rank_low, rank_high) in zip(ends, ((0.0187, 0.0313), (0.9687, 0.9813)), strict=True):
            bounds = 100 * np.quantile(resampled, [rank_low, rank_high])
            assert bounds[0] - 0.006 <= end <= bounds[1] + 0.006
        assert found["P(lower)"].split()[0] == f"{((counts < 0) + 0.5 * (counts == 0)).mean():.2f}"
        assert float(found["Wilcoxon p"]) == pytest.approx(extreme.mean(), abs=6e-4)
        assert found["t test p, Holm"] == (f"{holm_adjusted[name]:.3f}" if holm_adjusted[name] >= 0.001 else "< 0.001")
        p = stats.binomtest(only_a, only_a + only_b).pvalue
        assert found["McNemar, first seed"] == f"{only_a} : {only_b}, p {f'{p:.3f}' if p >= 0.001 else '< 0.001'}"
        assert found["interquartile mean"] == f"{100 * middle.mean():.2f}"
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
    assert (found.only_a, found.only_b) == ((a & ~b).sum(), (b & ~a).sum())
