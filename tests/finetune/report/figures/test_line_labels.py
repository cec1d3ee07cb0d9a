"""Names beside lines keep their distance."""

import itertools

import pytest

from finetune.report.figures.line_labels import spread_apart


@pytest.mark.parametrize("wanted", [[0, 0, 0], [10, 5, 50], [100, 100, 98, 0, 1], [50]])
def test_names_keep_their_distance_their_order_and_inside(wanted: list[float]) -> None:
    places = spread_apart(wanted, 15, 0, 100)
    ordered = sorted(zip(wanted, places, strict=True))
    gaps = [b - a for (_, a), (_, b) in itertools.pairwise(ordered)]
    assert all(gap >= 15 - 1e-9 for gap in gaps)
    assert min(places) >= -1e-9
    assert max(places) <= 100 + 1e-9


def test_names_with_room_are_where_they_should_be() -> None:
    assert spread_apart([20, 60], 15, 0, 100) == [20, 60]
