"""Distances between functions."""

import numpy as np
import pytest

from finetune.report.comparison.function_space import mean_distance, total_variation
from finetune.runs.recorded_trajectory import RecordedTrajectory


def test_total_variation_worked_by_hand():
    a = np.array([[1.0, 0.0], [0.5, 0.5]], dtype=np.float32)
    b = np.array([[0.0, 1.0], [0.25, 0.75]], dtype=np.float32)
    assert total_variation(a, b) == pytest.approx((1 + 0.25) / 2)
    runs = [(None, RecordedTrajectory(np.arange(1), own[None])) for own in (a, b, b)]
    assert mean_distance(runs, runs) == pytest.approx((0.625 + 0.625 + 0) / 3)
    assert mean_distance(runs[:1], runs[1:]) == pytest.approx(0.625)
    one = runs[:1]
    assert mean_distance(one, one) is None
