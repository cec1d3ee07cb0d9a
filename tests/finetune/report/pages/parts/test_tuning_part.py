"""The table of a random search against numpy."""

from typing import Any

import numpy as np

from finetune.report.comparison.tuning import group_trials
from finetune.report.pages.parts.tuning_part import tuning_part
from finetune.report.results.study import read_study


def test_best_median_and_cost_of_trials(study: Any) -> None:
    rng = np.random.default_rng(5)
    errors, seconds = rng.uniform(0.1, 0.5, 6), rng.uniform(1, 9, 6)
    for number, (error, cost) in enumerate(zip(errors, seconds, strict=True)):
        study.run(
            f"dbn_trial{number}", 0, arm="dbn", metrics={"validation/error": float(error)}, seconds=float(cost),
            pretrain_seconds=60.0, trial={"number": number, "settings": {}},
            flops={"pretraining": 1e12, "fine_tuning": 1e12 * number},
        )  # fmt: skip
    (tuning,) = group_trials(read_study(study.directory).trials)
    ((_, _, cells),) = tuning_part(tuning, "t").grid.rows
    assert cells[:6] == (
        "6", f"{100 * errors.min():.2f}", f"{100 * np.median(errors):.2f}", f"{seconds.mean():.1f} s", "60 s",
        "21.00 TFLOP",
    )  # fmt: skip
