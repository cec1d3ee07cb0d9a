"""The metric of all arms against the operations that they took, pretraining included."""

from collections.abc import Sequence

from markupsafe import Markup
from matplotlib.figure import Figure

from finetune.report.comparison.compute_curves import ComputeCurve, Rung
from finetune.report.comparison.statistics.intervals import Estimate, estimate_mean
from finetune.report.figures.axis_scale import scale_axis
from finetune.report.figures.line_labels import label_lines
from finetune.report.figures.style import COLOURS, TINTS, Screen, one_axes, plot_interval
from finetune.report.figures.svg import draw_for_screens
from finetune.report.results.formatting import Format, axis_label, metric_label


def compute_figure(curves: Sequence[ComputeCurve], form: Format, name: str) -> Markup:
    """A line per arm with 95 % intervals over seeds; thick: the best pretrained and random arm that a budget affords.

    The ``name`` must be unique on the page.
    """
    tips = {f"{name}-line{index}": curve.name for index, curve in enumerate(curves)}
    description = f"{metric_label(curves[0].metric)} against operations, pretraining included"
    return draw_for_screens(lambda screen: _draw(curves, form, name, screen), name, description, tips)


def envelope(curves: Sequence[ComputeCurve]) -> list[tuple[float, Rung]]:
    """For each number of operations at which a rung becomes affordable, the one with the lowest validation metric."""
    steps = []
    for operations in sorted({rung.operations for curve in curves for rung in curve.rungs}):
        affordable = [rung for curve in curves if (rung := curve.within(operations)) is not None]
        if all(rung.validation is not None for rung in affordable):
            steps.append((operations, min(affordable, key=lambda rung: rung.validation or 0.0)))
    return steps


def _draw(curves: Sequence[ComputeCurve], form: Format, name: str, screen: Screen) -> Figure:
    left, right = 50.0, 16.0 if screen.narrow else 210.0
    head, height, foot = 10.0, (260.0 if screen.narrow else 380.0), 48.0
    figure, axes = one_axes(screen, left, right, head, height, foot)
    values, ends = [], []
    for index, curve in enumerate(curves):
        points = [(rung.operations / 1e12, estimate) for rung in curve.rungs if (estimate := _estimate(rung, curve))]
        if not points:
            continue
        xs, ys = [x for x, _ in points], [form.factor * estimate.mean for _, estimate in points]
        values += ys
        (line,) = axes.plot(xs, ys, color=TINTS[curve.kind], linewidth=1.6, marker="o", markersize=4, zorder=2)
        line.set_gid(f"{name}-line{index}")
        for x, estimate in points:
            plot_interval(axes, x, estimate, form.factor, color=TINTS[curve.kind], linewidth=1.4, zorder=2)
        ends.append((xs[-1], ys[-1], curve.name, COLOURS[curve.kind]))
    metric = curves[0].metric
    for kind in ("pretrained", "random"):
        steps = envelope([curve for curve in curves if curve.kind == kind])
        means = [(x / 1e12, form.factor * _mean(rung, metric)) for x, rung in steps]
        if means:
            axes.step(
                [x for x, _ in means], [y for _, y in means], where="post", color=COLOURS[kind], linewidth=2.8, zorder=4
            )
    scale_axis(axes, "y", values)
    axes.set_xscale("log")
    axes.set_xlabel("TFLOP of a network's training, pretraining included")
    axes.set_ylabel("" if screen.narrow else axis_label(metric))
    if not screen.narrow:
        label_lines(axes, ends, height)
    return figure


def _estimate(rung: Rung, curve: ComputeCurve) -> Estimate | None:
    values = [run.metrics[curve.metric] for run in rung.runs if curve.metric in run.metrics]
    return estimate_mean(values) if values else None


def _mean(rung: Rung, metric: str) -> float:
    values = [run.metrics[metric] for run in rung.runs if metric in run.metrics]
    return sum(values) / len(values)
