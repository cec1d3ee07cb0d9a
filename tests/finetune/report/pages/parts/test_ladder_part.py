"""The table of the ladder against numpy and scipy."""

from typing import Any

import numpy as np
from fake_study import scipy_interval

from finetune.report.pages.parts.ladder_part import ladder_part
from finetune.report.results.formatting import MINUS


def test_gains_of_the_ladder_are_paired_differences(study: Any) -> None:
    rng = np.random.default_rng(6)
    errors = rng.uniform(0.05, 0.2, (3, 4))
    for step, own in enumerate(errors, start=1):
        for seed, error in enumerate(own):
            metrics = {"test/error": float(error), "train/error": float(error) / 7}
            config = {"ladder": {"step": step, "what": f"step {step}"}}
            study.run(f"ladder_{step}", seed, metrics=metrics, config=config, n_parameters=1000 * step)
    section = study.section()
    part = ladder_part(section)
    assert part is not None
    for at, (_, _, cells) in enumerate(part.grid.rows):
        own = 100 * errors[at]
        low, high = scipy_interval(own)
        metric, train, gain, parameters = (
            cell.replace(MINUS, "-").replace("\N{NO-BREAK SPACE}", " ") for cell in cells
        )
        assert metric == f"{own.mean():.2f} ± {(high - low) / 2:.2f} %"
        assert train == f"{own.mean() / 7:.2f} %"
        assert parameters == f"{1000 * (at + 1):,}"
        if at:
            difference = own - 100 * errors[at - 1]
            low, high = scipy_interval(difference)
            assert gain == f"{difference.mean():+.2f} [{low:+.2f}, {high:+.2f}]"
