"""Training against test: is what pretraining does regularisation?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy import stats

from finetune.report.compare import Arm, Section
from finetune.report.dots import is_wide_range, ticks_for_log
from finetune.report.drawing import COLOURS, TINTS, Layout, add_axes, draw_both, new_figure
from finetune.report.quantities import MINUS, axis_label, is_percent
from finetune.report.statistics import CONFIDENCE, Interval

QUANTITIES = ("error", "nll")
FEWEST = 5
"""Runs of each arm that a statement at equal training NLL needs."""


@dataclass(frozen=True)
class EqualTraining:
    """Test NLL of one arm minus that of another at equal training NLL, in nats, over ``n`` runs of both."""

    difference: float
    interval: Interval
    n: int


def pairs_of(arm: Arm, quantity: str) -> list[tuple[float, float]]:
    """Training and test value of each run that has both."""
    train, test = f"train/{quantity}", f"test/{quantity}"
    return [(run.metrics[train], run.metrics[test]) for run in arm.runs if train in run.metrics and test in run.metrics]


def at_equal_training(one: Arm, other: Arm) -> EqualTraining | None:
    r"""How much lower the first arm's test NLL is where the two have been trained equally far.

    Least squares :math:`test = a + b \log(train) + d\,[\mathrm{first\ arm}]` over the runs whose training NLL lies
    where both arms have some (analysis of covariance); the answer is :math:`d` with its t interval.

    Returns:
        None where fewer than five runs of each arm lie there: the data says nothing about equal training.
    """
    groups = [pairs_of(arm, "nll") for arm in (one, other)]
    if not all(groups) or min(train for group in groups for train, _ in group) <= 0:
        return None
    low, high = (edge(limit(train for train, _ in g) for g in groups) for edge, limit in ((max, min), (min, max)))
    groups = [[pair for pair in group if low <= pair[0] <= high] for group in groups]
    if min(map(len, groups)) < FEWEST:
        return None
    train, test = np.array([pair for group in groups for pair in group]).T
    first = np.repeat([1.0, 0.0], [len(group) for group in groups])
    design = np.stack([np.ones_like(train), np.log(train), first], axis=1)
    if np.linalg.matrix_rank(design) < 3:
        return None
    coefficients = np.linalg.lstsq(design, test, rcond=None)[0]
    freedom = len(test) - 3
    variance = float(np.square(test - design @ coefficients).sum()) / freedom
    error = float(np.sqrt(variance * np.linalg.inv(design.T @ design)[2, 2]))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom)) * error
    difference = float(coefficients[2])
    return EqualTraining(difference, Interval(difference - half, difference + half), len(test))


def verdicts(section: Section) -> list[str]:
    """Erhan's question in words: the best pretrained arm against random arms of the same network, or the best one."""
    pretrained = section.best_pretrained
    if pretrained is None:
        return []
    same = [arm for arm in section.of_kind("random") if _network_of(arm) == _network_of(pretrained)]
    others = same or ([section.best_random] if section.best_random else [])
    return [verdict(pretrained, arm) for arm in others if pairs_of(arm, "nll") and pairs_of(pretrained, "nll")]


def _network_of(arm: Arm) -> tuple[object, ...]:
    """What a run's configuration says about activation, regularisation and images."""
    config = arm.runs[0].config
    return config.get("network"), config.get("augment"), config.get("training")


def verdict(pretrained: Arm, random: Arm) -> str:
    """Whether pretraining acts as a regulariser would, in one sentence; both arms have a training and a test NLL."""
    groups = [pairs_of(arm, "nll") for arm in (pretrained, random)]
    found = at_equal_training(pretrained, random)
    if found is None:
        ranges = [[train for train, _ in group] for group in groups]
        one, other = (f"{min(values):.3g} to {max(values):.3g}" for values in ranges)
        return (
            f"Equal training: nothing to say. {pretrained.name} ends at a training NLL of {one}, {random.name} at "
            f"{other}, and fewer than {FEWEST} runs of each lie where the two meet."
        )
    word = (
        "which includes zero" if not found.interval.excludes_zero
        else "lower, as of a regulariser" if found.difference < 0
        else "higher, not as of a regulariser"
    )  # fmt: skip
    return (
        f"At equal training NLL the test NLL of {pretrained.name} minus that of {random.name} is "
        f"{_signed(found.difference)} nats, 95 % interval {_signed(found.interval.low)} to "
        f"{_signed(found.interval.high)}: {word} (least squares on the logarithm of training NLL, {found.n} runs)."
    )


def _signed(value: float) -> str:
    return f"{value:+.3g}".replace("-", MINUS)


def generalisation_figure(section: Section, name: str) -> Markup | None:
    """Test against training error and NLL, a point for each run; None where runs lack either."""
    panels = [
        quantity for quantity in QUANTITIES if sum(bool(pairs_of(arm, quantity)) for arm in _contenders(section)) > 1
    ]
    if not panels:
        return None
    return draw_both(
        lambda layout: _draw(section, panels, layout), name, "test against training error and NLL, a point for each run"
    )


def _contenders(section: Section) -> list[Arm]:
    """The arms of the headline on top of the others."""
    best = (section.best_pretrained, section.best_random)
    return sorted(section.of_kind("pretrained", "random"), key=lambda arm: arm in best)


def _draw(section: Section, panels: Sequence[str], layout: Layout) -> Figure:
    columns = 1 if layout.narrow else len(panels)
    rows = -(-len(panels) // columns)
    left, gap, head, height, foot = 54.0, 74.0, 26.0, (230.0 if layout.narrow else 300.0), 50.0
    width = (layout.width - left - 10 - gap * (columns - 1)) / columns
    figure = new_figure(layout, rows * (head + height + foot))
    best = (section.best_pretrained, section.best_random)
    for index, quantity in enumerate(panels):
        row, column = divmod(index, columns)
        axes = add_axes(figure, left + column * (width + gap), head + row * (head + height + foot), width, height)
        factor = 100.0 if is_percent(quantity) else 1.0
        values: list[list[float]] = [[], []]
        for arm in _contenders(section):
            pairs = [(factor * train, factor * test) for train, test in pairs_of(arm, quantity)]
            if not pairs:
                continue
            for own, new in zip(values, zip(*pairs, strict=True), strict=True):
                own += new
            shade = COLOURS if arm in best else TINTS
            train, test = zip(*pairs, strict=True)
            axes.scatter(
                train, test, s=34, color=shade[arm.kind], edgecolors="white", linewidths=0.8,
                zorder=3 if arm in best else 2,
            )  # fmt: skip
        for which, own in zip("xy", values, strict=True):
            if is_wide_range(own):
                (axes.set_xscale if which == "x" else axes.set_yscale)("log")
                ticks_for_log(axes, which, min(own), max(own))
            else:
                (axes.xaxis if which == "x" else axes.yaxis).set_major_locator(MaxNLocator(5))
        axes.grid(visible=True)
        axes.set_xlabel(axis_label(f"train/{quantity}"))
        axes.annotate(
            axis_label(f"test/{quantity}"),
            (0, 1),
            (0, 9),
            xycoords="axes fraction",
            textcoords="offset pixels",
            size=13,
        )
    return figure
