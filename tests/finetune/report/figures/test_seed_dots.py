"""Dots of seeds at the edge of the axis."""

from typing import Any

import numpy as np
import pytest

from finetune.report.figures import seed_dots
from finetune.report.figures.style import NARROW, WIDE, Screen


@pytest.mark.parametrize("screen", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("errors", [[0.0, 0.02, 0.01], [0.0, 0.0, 0.0]])
def test_a_dot_at_error_0_is_seen_whole_and_nothing_is_said_below_0(
    study: Any, screen: Screen, errors: list[float]
) -> None:
    study.arm("dbn", errors)
    study.arm("random", [0.02, 0.0, 0.03])
    figure = seed_dots._draw(study.section(), screen)
    (axes,) = figure.axes
    figure.canvas.draw()
    left_edge = axes.get_window_extent().x0
    for dots in axes.collections:
        (size,) = dots.get_sizes()
        for point in axes.transData.transform(np.asarray(dots.get_offsets())):
            assert point[0] - np.sqrt(size) / 2 >= left_edge
    shown = [tick for tick in axes.get_xticks() if axes.get_xlim()[0] <= tick <= axes.get_xlim()[1]]
    assert min(shown) == 0
    assert min(x for line in axes.get_lines() for x in np.asarray(line.get_xdata(), float)) >= 0


def test_an_axis_that_does_not_reach_0_is_left_alone(study: Any) -> None:
    study.arm("dbn", [0.10, 0.11, 0.12])
    (axes,) = seed_dots._draw(study.section(), WIDE).axes
    assert axes.get_xlim() == pytest.approx((9.4, 12.6))
