"""A random search: the setting chosen for each arm, and what the search cost."""

from collections.abc import Callable
from statistics import median

from finetune.report.comparison.tuning import Tuning
from finetune.report.figures.tuning_curve import tuning_figure
from finetune.report.pages.parts.part import Grid, GridRow, Part
from finetune.report.results.formatting import choose_format, metric_label, operations_text, seconds_text


def tuning_part(tuning: Tuning, name: str) -> Part:
    """Sentence, figure and table of a random search; ``name`` of the figure is unique on the page."""
    values = [trial.value for arm in tuning.arms for trial in arm.trials]
    form = choose_format(tuning.metric, values)
    rows: list[GridRow] = [
        (
            arm.name,
            arm.kind,
            (
                f"{len(arm.trials)}" + (f" and {arm.failed} failed" if arm.failed else ""),
                form.number(arm.chosen.value),
                form.number(median(trial.value for trial in arm.trials)),
                _or_empty(seconds_text, arm.cost("comparable_seconds")),
                _or_empty(seconds_text, arm.cost("comparable_pretrain_seconds")),
                _or_empty(operations_text, arm.cost("total_flops")),
                ", ".join(f"{key.rpartition('.')[2]} {_setting(value)}" for key, value in arm.chosen.settings.items()),
            ),
        )
        for arm in tuning.arms
    ]
    numbers = sorted({len(arm.trials) + arm.failed for arm in tuning.arms})
    budget = (
        f"{numbers[0]} trials for every arm"
        if len(numbers) == 1
        else f"from {numbers[0]} to {numbers[-1]} trials: budgets are not equal"
    )
    return Part(
        title=f"{tuning.title}: tuning",
        sentences=(f"Random search with {budget}; the lowest {metric_label(tuning.metric)} decides.",),
        about="Expected best value of k trials: the mean over all subsets of k of those that were run. Bands: 95 % "
        "intervals over trials, up to a third of them. Arms that search the same range try the same values."
        + (" Failed trials are left out." if any(arm.failed for arm in tuning.arms) else ""),
        figure=tuning_figure(tuning, name),
        grid=Grid(
            (
                "arm", "trials", "best", "median", "fine-tuning", "pretraining", "operations per run", "chosen"
            ),
            tuple(rows),
        ),
        foot="Operations: floating-point operations of all matrix products, pretraining included.",
    )  # fmt: skip


def _setting(value: object) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _or_empty(write: Callable[[float], str], value: float | None) -> str:
    return "" if value is None else write(value)
