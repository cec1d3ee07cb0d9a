"""A search: the setting chosen for each arm, and what the search cost."""

from collections.abc import Callable
from statistics import median

from finetune.report.comparison.statistics.importance import FEWEST_TRIALS
from finetune.report.comparison.tuning import TunedArm, Tuning
from finetune.report.figures.tuning_curve import tuning_figure
from finetune.report.pages.parts.part import Grid, GridRow, Part
from finetune.report.results.formatting import choose_format, metric_label, operations_text, seconds_text


def tuning_part(tuning: Tuning, name: str) -> Part:
    """Sentence, figure and table of a search; ``name`` of the figure is unique on the page."""
    values = [trial.value for arm in tuning.arms for trial in arm.trials]
    form = choose_format(tuning.metric, values)
    rows: list[GridRow] = [
        (
            arm.name,
            arm.kind,
            (
                f"{len(arm.trials)}"
                + (f", {arm.n_pruned} of them stopped" if arm.n_pruned else "")
                + (f" and {arm.failed} failed" if arm.failed else ""),
                form.number(arm.chosen.value),
                form.number(median(trial.value for trial in arm.trials)),
                _or_empty(seconds_text, arm.cost("comparable_seconds")),
                _or_empty(seconds_text, arm.cost("comparable_pretrain_seconds")),
                _or_empty(operations_text, arm.operations),
                ", ".join(f"{key.rpartition('.')[2]} {_setting(value)}" for key, value in arm.chosen.settings.items()),
                _edges(arm),
                _importance(arm),
            ),
        )
        for arm in tuning.arms
    ]
    numbers = sorted({len(arm.trials) + arm.failed for arm in tuning.arms})
    unequal = (
        "more where a range was widened" if any(arm.was_widened for arm in tuning.arms) else "budgets are not equal"
    )
    budget = (
        f"{numbers[0]} trials for every arm"
        if len(numbers) == 1
        else f"from {numbers[0]} to {numbers[-1]} trials: {unequal}"
    )
    return Part(
        title=f"{tuning.title}: tuning",
        sentences=(
            f"Search with {budget}{_halving(tuning)}; the lowest {metric_label(tuning.metric)} decides"
            f"{_validation(tuning)}, of equal ones the lower validation NLL.",
        ),
        about="Expected best value of k trials: the mean over all subsets of k of those that were run"
        + (", as the first rung of successive halving trained them" if _halving(tuning) else "")
        + ". Bands: 95 % intervals over trials, up to a third of them."
        + (" Failed trials are left out." if any(arm.failed for arm in tuning.arms) else "")
        + (
            " Stopped trials, which were behind others at the same epoch, have the value that they had reached, and "
            "are not chosen."
            if any(arm.n_pruned for arm in tuning.arms)
            else ""
        ),
        figure=tuning_figure(tuning, name),
        grid=Grid(
            (
                "arm", "trials", "best", "median", "fine-tuning", "pretraining", "operations", "chosen", "on an edge",
                "importance",
            ),
            tuple(rows),
        ),
        foot="Operations: floating-point operations of all matrix products of the whole search, pretraining included "
        "(for each trial once). On an edge: chosen values in the outer tenth of their range, and ranges that were "
        "widened by a factor of 3 for a second batch of trials because of that. Importance: the share of the variance "
        "over the search space that a setting explains by itself, by a random forest fitted to the trials (Hutter et "
        f"al. 2014), from {FEWEST_TRIALS} trials on; the rest is interactions.",
    )  # fmt: skip


def _halving(tuning: Tuning) -> str:
    """Numbers of trials by rung, of the arm with the most rungs; empty without successive halving."""
    rungs = max((arm.rungs for arm in tuning.arms), key=len)
    return f", successive halving ({', '.join(str(len(rung)) for rung in rungs)} by rung)" if len(rungs) > 1 else ""


def _validation(tuning: Tuning) -> str:
    """Number of validation images; empty where it is not known."""
    numbers = [str(number) for number in tuning.n_validation]
    return f" on {' to '.join(dict.fromkeys((numbers[0], numbers[-1])))} validation images" if numbers else ""


def _edges(arm: TunedArm) -> str:
    wider = [f"{key.rpartition('.')[2]} widened" for key in arm.was_widened]
    return ", ".join([*(key.rpartition(".")[2] for key in arm.on_edge), *wider])


def _importance(arm: TunedArm) -> str:
    shares = arm.importance or {}
    return ", ".join(f"{key.rpartition('.')[2]} {100 * share:.0f} %" for key, share in shares.items())


def _setting(value: object) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _or_empty(write: Callable[[float], str], value: float | None) -> str:
    return "" if value is None else write(value)
