"""What figures draw: positions of dots, lines, bars and intervals against numpy and scipy."""

import itertools
import re
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from scipy import stats

from finetune.report import dots, durations, lengths, trend, tuning_figure
from finetune.report.axes import axes_of, axis_table
from finetune.report.compare import compare
from finetune.report.drawing import NARROW, WIDE, Layout
from finetune.report.generalisation import _draw as draw_generalisation
from finetune.report.parts import ladder_part, tuning_part
from finetune.report.quantities import MINUS
from finetune.report.read import read_study
from finetune.report.tuning import tunings_of

LAYOUTS = pytest.mark.parametrize("layout", [WIDE, NARROW], ids=["wide", "narrow"])
Errors = dict[str, NDArray[np.float64]]


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """95 % of a mean, by scipy."""
    low, high = stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))
    return float(low), float(high)


def lines(axes: Axes) -> list[NDArray[np.float64]]:
    """Points ``(n, 2)`` of every line."""
    return [np.asarray(line.get_xydata(), float) for line in axes.get_lines()]


def has_line(axes: Axes, points: Any) -> bool:
    """Whether one of the lines goes through these points and no others."""
    wanted = np.asarray(points, float)
    return any(found.shape == wanted.shape and np.allclose(found, wanted, rtol=1e-9) for found in lines(axes))


def ends_of(axes: Axes) -> list[float]:
    """Where the lines that stand for intervals of a mean begin and end, seen against the x axis."""
    return [x for points in lines(axes) if len(points) == 2 for x in points[:, 0]]


@LAYOUTS
def test_a_dot_is_a_seed_and_a_stroke_the_mean(study: Any, layout: Layout) -> None:
    rng = np.random.default_rng(0)
    errors = {name: rng.uniform(0.1, 0.2, 4) for name in ("dbn", "glorot")}
    for name, own in errors.items():
        study.arm(name, own.tolist())
    (section,) = compare(read_study(study.directory).compared)
    (axes,) = dots._draw(section, layout).axes
    found = sorted(float(x) for one in axes.collections for x, _ in np.asarray(one.get_offsets()))
    assert found == pytest.approx(sorted(100 * np.concatenate(list(errors.values()))))
    low, high = axes.get_xlim()
    for own in errors.values():
        assert any(x == pytest.approx(100 * own.mean()) for x in ends_of(axes))
        for end in interval(100 * own):
            shown = min(max(end, low), high)
            assert any(x == pytest.approx(shown) for x in ends_of(axes))
    tips = re.findall(r"dbn: mean ([\d.]+).%, 95 % interval ([\d.]+) to ([\d.]+)", dots.dot_figure(section, "d"))
    expected = [100 * errors["dbn"].mean(), *interval(100 * errors["dbn"])]
    assert tips[0] == tuple(f"{value:.2f}" for value in expected)


@pytest.fixture
def along_labels(study: Any) -> tuple[Any, dict[tuple[str, int], NDArray[np.float64]]]:
    """Two arms with 3 seeds at 100, 1000 and 10000 labels."""
    rng = np.random.default_rng(1)
    errors = {}
    for name, labels in itertools.product(("dbn", "relu"), (100, 1000, 10_000)):
        errors[name, labels] = rng.uniform(0.05, 0.1, 3)
        study.arm(f"{name}_{labels}", errors[name, labels].tolist(), arm=name, n_labelled=labels)
    (axis,) = axes_of(compare(read_study(study.directory).compared))
    return axis, errors


@LAYOUTS
def test_lines_along_an_axis_are_means_with_intervals(along_labels: Any, layout: Layout) -> None:
    axis, errors = along_labels
    (axes,) = trend._draw(axis, "t", layout).axes
    for name in ("dbn", "relu"):
        means = [100 * errors[name, labels].mean() for labels in (100, 1000, 10_000)]
        assert has_line(axes, list(enumerate(means)))
    for (_, labels), own in errors.items():
        place = (100, 1000, 10_000).index(labels)
        assert has_line(axes, [(place, end) for end in interval(100 * own)])


def test_the_axis_table_is_that_of_scipy(along_labels: Any) -> None:
    axis, errors = along_labels
    table = axis_table(axis)
    for row in table.rows:
        for labels, cell in zip((100, 1000, 10_000), row.cells, strict=True):
            own = 100 * errors[row.name, labels]
            half = stats.t.ppf(0.975, 2) * stats.sem(own)
            assert cell == f"{own.mean():.2f} ± {half:.2f}"
    for labels, cell in zip((100, 1000, 10_000), table.differences, strict=True):
        difference = 100 * (errors["dbn", labels] - errors["relu", labels])
        low, high = interval(difference)
        expected = f"{difference.mean():+.2f} [{low:+.2f}, {high:+.2f}]"
        assert cell.replace(MINUS, "-").removesuffix(" *") == expected


@LAYOUTS
def test_bars_are_mean_seconds(study: Any, layout: Layout) -> None:
    """The longest takes 40 min, so the axis is in minutes."""
    rng = np.random.default_rng(2)
    seconds = {name: rng.uniform(600, 1200, (3, 2)) for name in ("dbn", "random")}
    for name, own in seconds.items():
        for seed, (before, after) in enumerate(own):
            study.run(name, seed, 0.1, pretrain_seconds=float(before), seconds=float(after))
    (section,) = compare(read_study(study.directory).compared)
    (axes,) = durations._draw(list(section.arms), layout).axes
    bars = [(bar.get_x(), bar.get_width()) for bar in axes.patches if isinstance(bar, Rectangle)]
    expected = []
    for arm in section.arms:
        before, after = seconds[arm.name].mean(0) / 60
        expected += [(0.0, before), (before, after)]
    assert np.allclose(sorted(bars), sorted(expected))
    assert axes.get_xlabel() == "min, mean over seeds"


@LAYOUTS
def test_length_of_pretraining_against_the_metric(study: Any, layout: Layout) -> None:
    rng = np.random.default_rng(3)
    errors = {epochs: rng.uniform(0.1, 0.2, 3) for epochs in (1, 10, 100)}
    for epochs, own in errors.items():
        config = {"stack": {"every_layer": {"epochs": epochs}}}
        study.arm(f"dbn_epochs={epochs}", own.tolist(), config=config, arm="dbn")
    study.arm("he", [0.1, 0.2, 0.4])
    (section,) = compare(read_study(study.directory).compared)
    (axes,) = lengths._draw(section, lengths.lines_of(section), layout).axes
    assert has_line(axes, [(epochs, 100 * own.mean()) for epochs, own in errors.items()])
    for epochs, own in errors.items():
        assert has_line(axes, [(epochs, end) for end in interval(100 * own)])
    assert any(np.allclose(points[:, 1], 100 * 0.7 / 3) for points in lines(axes)), "the random arm's mean, all along"


def test_training_against_test_has_a_point_for_each_run(study: Any) -> None:
    rng = np.random.default_rng(4)
    values = rng.uniform(0.01, 0.04, (2, 3, 2))
    for name, own in zip(("dbn", "he"), values, strict=True):
        for seed, (train, test) in enumerate(own):
            study.run(name, seed, metrics={"train/error": float(train), "test/error": float(test)})
    (section,) = compare(read_study(study.directory).compared)
    (axes,) = draw_generalisation(section, ["error"], WIDE).axes
    found = np.concatenate([np.asarray(one.get_offsets()) for one in axes.collections])
    assert np.allclose(sorted(map(tuple, found)), sorted(map(tuple, 100 * values.reshape(6, 2))))


def test_trials_median_cost_and_the_expected_best(study: Any) -> None:
    """The expected best of k trials against 200000 draws with replacement, within four standard errors."""
    rng = np.random.default_rng(5)
    errors, seconds = rng.uniform(0.1, 0.5, 6), rng.uniform(1, 9, 6)
    for number, (error, cost) in enumerate(zip(errors, seconds, strict=True)):
        study.run(
            f"dbn_trial{number}", 0, arm="dbn", metrics={"validation/error": float(error)}, seconds=float(cost),
            pretrain_seconds=60.0, trial={"number": number, "settings": {}},
            flops={"pretraining": 1e12, "fine_tuning": 1e12 * number},
        )  # fmt: skip
    (tuning,) = tunings_of(read_study(study.directory).trials)
    ((_, _, cells),) = tuning_part(tuning, "t").grid.rows
    assert cells[:6] == (
        "6", f"{100 * errors.min():.2f}", f"{100 * np.median(errors):.2f}", f"{seconds.mean():.1f} s", "60 s",
        "3.50 TFLOP",
    )  # fmt: skip
    (axes,) = tuning_figure._draw(tuning, WIDE).axes
    ((curve),) = [points for points in lines(axes) if len(points) == 6]
    assert curve[:, 0].tolist() == [1, 2, 3, 4, 5, 6]
    for k, found in curve:
        lowest = 100 * rng.choice(errors, (200_000, int(k))).min(1)
        assert abs(found - lowest.mean()) < 4 * lowest.std() / 200_000**0.5, k


def test_gains_of_the_ladder_are_paired_differences(study: Any) -> None:
    rng = np.random.default_rng(6)
    errors = rng.uniform(0.05, 0.2, (3, 4))
    for step, own in enumerate(errors, start=1):
        for seed, error in enumerate(own):
            metrics = {"test/error": float(error), "train/error": float(error) / 7}
            config = {"ladder": {"step": step, "what": f"step {step}"}}
            study.run(f"ladder_{step}", seed, metrics=metrics, config=config, n_parameters=1000 * step)
    (section,) = compare(read_study(study.directory).compared)
    part = ladder_part(section)
    assert part is not None
    for at, (_, _, cells) in enumerate(part.grid.rows):
        own = 100 * errors[at]
        low, high = interval(own)
        metric, train, gain, parameters = (
            cell.replace(MINUS, "-").replace("\N{NO-BREAK SPACE}", " ") for cell in cells
        )
        assert metric == f"{own.mean():.2f} ± {(high - low) / 2:.2f} %"
        assert train == f"{own.mean() / 7:.2f} %"
        assert parameters == f"{1000 * (at + 1):,}"
        if at:
            difference = own - 100 * errors[at - 1]
            low, high = interval(difference)
            assert gain == f"{difference.mean():+.2f} [{low:+.2f}, {high:+.2f}]"
