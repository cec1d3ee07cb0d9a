"""What figures draw: positions of dots, lines, bars and intervals against numpy and scipy."""

import re
from typing import Any

import numpy as np
import pytest
from fake_study import scipy_interval
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from finetune.report.comparison.pretraining_length import pretraining_length_lines
from finetune.report.comparison.tuning import group_trials
from finetune.report.figures import (
    axis_trend,
    durations,
    pretraining_length_curve,
    seed_dots,
    train_against_test,
    tuning_curve,
)
from finetune.report.figures.style import NARROW, WIDE, Screen
from finetune.report.results.study import read_study

SCREENS = pytest.mark.parametrize("screen", [WIDE, NARROW], ids=["wide", "narrow"])


Errors = dict[str, NDArray[np.float64]]


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


@SCREENS
def test_a_dot_is_a_seed_and_a_stroke_the_mean(study: Any, screen: Screen) -> None:
    rng = np.random.default_rng(0)
    errors = {name: rng.uniform(0.1, 0.2, 4) for name in ("dbn", "glorot")}
    for name, own in errors.items():
        study.arm(name, own.tolist())
    section = study.section()
    (axes,) = seed_dots._draw(section, screen).axes
    found = sorted(float(x) for one in axes.collections for x, _ in np.asarray(one.get_offsets()))
    assert found == pytest.approx(sorted(100 * np.concatenate(list(errors.values()))))
    low, high = axes.get_xlim()
    for own in errors.values():
        assert any(x == pytest.approx(100 * own.mean()) for x in ends_of(axes))
        for end in scipy_interval(100 * own):
            shown = min(max(end, low), high)
            assert any(x == pytest.approx(shown) for x in ends_of(axes))
    tips = re.findall(r"dbn: mean ([\d.]+).%, 95 % interval ([\d.]+) to ([\d.]+)", seed_dots.dot_figure(section, "d"))
    expected = [100 * errors["dbn"].mean(), *scipy_interval(100 * errors["dbn"])]
    assert tips[0] == tuple(f"{value:.2f}" for value in expected)


@SCREENS
def test_lines_along_an_axis_are_means_with_intervals(along_labels: Any, screen: Screen) -> None:
    axis, errors = along_labels
    (axes,) = axis_trend._draw(axis, "t", screen).axes
    for name in ("dbn", "relu"):
        means = [100 * errors[name, labels].mean() for labels in (100, 1000, 10_000)]
        assert has_line(axes, list(enumerate(means)))
    for (_, labels), own in errors.items():
        x = (100, 1000, 10_000).index(labels)
        assert has_line(axes, [(x, end) for end in scipy_interval(100 * own)])


@SCREENS
def test_bars_are_mean_seconds(study: Any, screen: Screen) -> None:
    """The longest takes 40 min, so the axis is in minutes."""
    rng = np.random.default_rng(2)
    seconds = {name: rng.uniform(600, 1200, (3, 2)) for name in ("dbn", "random")}
    for name, own in seconds.items():
        for seed, (before, after) in enumerate(own):
            study.run(name, seed, 0.1, pretrain_seconds=float(before), seconds=float(after))
    section = study.section()
    (axes,) = durations._draw(list(section.arms), screen).axes
    bars = [(bar.get_x(), bar.get_width()) for bar in axes.patches if isinstance(bar, Rectangle)]
    expected = []
    for arm in section.arms:
        before, after = seconds[arm.name].mean(0) / 60
        expected += [(0.0, before), (before, after)]
    assert np.allclose(sorted(bars), sorted(expected))
    assert axes.get_xlabel() == "min, mean over seeds"


@SCREENS
def test_length_of_pretraining_against_the_metric(study: Any, screen: Screen) -> None:
    rng = np.random.default_rng(3)
    errors = {epochs: rng.uniform(0.1, 0.2, 3) for epochs in (1, 10, 100)}
    for epochs, own in errors.items():
        config = {"stack": {"every_layer": {"epochs": epochs}}}
        study.arm(f"dbn_epochs={epochs}", own.tolist(), config=config, arm="dbn")
    study.arm("he", [0.1, 0.2, 0.4])
    section = study.section()
    (axes,) = pretraining_length_curve._draw(section, pretraining_length_lines(section), screen).axes
    assert has_line(axes, [(epochs, 100 * own.mean()) for epochs, own in errors.items()])
    for epochs, own in errors.items():
        assert has_line(axes, [(epochs, end) for end in scipy_interval(100 * own)])
    assert any(np.allclose(points[:, 1], 100 * 0.7 / 3) for points in lines(axes)), "the random arm's mean, all along"


def test_training_against_test_has_a_point_for_each_run(study: Any) -> None:
    rng = np.random.default_rng(4)
    values = rng.uniform(0.01, 0.04, (2, 3, 2))
    for name, own in zip(("dbn", "he"), values, strict=True):
        for seed, (train, test) in enumerate(own):
            study.run(name, seed, metrics={"train/error": float(train), "test/error": float(test)})
    section = study.section()
    (axes,) = train_against_test._draw(section, ["error"], WIDE).axes
    found = np.concatenate([np.asarray(one.get_offsets()) for one in axes.collections])
    assert np.allclose(sorted(map(tuple, found)), sorted(map(tuple, 100 * values.reshape(6, 2))))


def test_the_expected_best_of_k_trials(study: Any) -> None:
    """Against 100000 draws of different trials, within four standard errors."""
    rng = np.random.default_rng(5)
    errors = rng.uniform(0.1, 0.5, 6)
    for number, error in enumerate(errors):
        metrics = {"validation/error": float(error)}
        study.run(f"dbn_trial{number}", 0, arm="dbn", metrics=metrics, trial={"number": number, "settings": {}})
    (tuning,) = group_trials(read_study(study.directory).trials)
    (axes,) = tuning_curve._draw(tuning, WIDE).axes
    ((curve),) = [points for points in lines(axes) if len(points) == 6]
    assert curve[:, 0].tolist() == [1, 2, 3, 4, 5, 6]
    for k, found in curve:
        lowest = 100 * errors[rng.random((100_000, 6)).argsort(1)[:, : int(k)]].min(1)
        assert abs(found - lowest.mean()) <= 4 * lowest.std() / 100_000**0.5 + 1e-9, k
