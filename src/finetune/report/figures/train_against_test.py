"""Test against training error, NLL or RMSE, a point per run."""

from collections.abc import Sequence

from markupsafe import Markup
from matplotlib.figure import Figure

from finetune.report.comparison.arm import Arm
from finetune.report.comparison.sections import Section
from finetune.report.figures.axis_scale import scale_axis
from finetune.report.figures.style import COLOURS, TINTS, Screen, panels, write_above
from finetune.report.figures.svg import draw_for_screens
from finetune.report.results.formatting import axis_label, is_percent, join_words, metric_label

_QUANTITIES = ("error", "nll", "rmse")


def train_against_test_figure(section: Section, name: str) -> Markup | None:
    """A panel for each quantity of which at least two arms have both values; None where there is none."""
    quantities = [
        quantity
        for quantity in _QUANTITIES
        if sum(bool(train_test_pairs(arm, quantity)) for arm in _contenders(section)) > 1
    ]
    if not quantities:
        return None
    return draw_for_screens(
        lambda screen: _draw(section, quantities, screen),
        name,
        f"test against training {join_words([metric_label(own) for own in quantities])}, a point for each run",
    )


def train_test_pairs(arm: Arm, quantity: str) -> list[tuple[float, float]]:
    """Training and test value of ``quantity``, such as ``nll``, of each run that has both."""
    train, test = f"train/{quantity}", f"test/{quantity}"
    return [(run.metrics[train], run.metrics[test]) for run in arm.runs if train in run.metrics and test in run.metrics]


def _contenders(section: Section) -> list[Arm]:
    """Pretrained and random arms, those of the headline last so that they are drawn on top."""
    best = (section.best_pretrained, section.best_random)
    return sorted(section.of_kind("pretrained", "random"), key=lambda arm: arm in best)


def _draw(section: Section, quantities: Sequence[str], screen: Screen) -> Figure:
    n, height = len(quantities), 230.0 if screen.narrow else 300.0
    figure, all_axes = panels(screen, n, n, 54.0, 74.0, 26.0, height, 50.0)
    best = (section.best_pretrained, section.best_random)
    for axes, quantity in zip(all_axes, quantities, strict=True):
        factor = 100.0 if is_percent(quantity) else 1.0
        values: list[list[float]] = [[], []]
        for arm in _contenders(section):
            pairs = [(factor * train, factor * test) for train, test in train_test_pairs(arm, quantity)]
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
            scale_axis(axes, which, own)
        axes.grid(visible=True)
        axes.set_xlabel(axis_label(f"train/{quantity}"))
        write_above(axes, axis_label(f"test/{quantity}"), 9, size=13)
    return figure
