"""Which metric arms are compared by, and checks of the metric and the reference that a user names."""

import difflib
from collections.abc import Sequence

from dbn.errors import SettingError
from finetune.report.results.run_result import RunResult
from finetune.runs.objective import MORE_IS_BETTER, QUANTITY

DEFAULT_METRIC = {task: f"test/{quantity}" for task, quantity in QUANTITY.items()}
"""Metric by task."""


def choose_metric(runs: Sequence[RunResult], task: str, metric: str | None) -> str:
    """The given metric where a run has it, else that of the task, else another that some run has."""
    present = {key for run in runs for key in run.metrics}
    without_test = [f"validation/{own.rpartition('/')[2]}" for own in DEFAULT_METRIC.values()]  # without test images
    for candidate in (metric, DEFAULT_METRIC.get(task), *DEFAULT_METRIC.values(), *without_test):
        if candidate in present and candidate is not None:
            return candidate
    tests = sorted(key for key in present if key.startswith("test/")) or sorted(present)
    return tests[0] if tests else DEFAULT_METRIC.get(task, "test/error")


def check_metric(metric: str, runs: Sequence[RunResult]) -> None:
    """Check that some run has ``metric`` and that lower values of it are better.

    Raises:
        SettingError: one of these does not hold.
    """
    present = {key for run in runs for key in run.metrics}
    if metric not in present:
        raise SettingError(f"metric={metric}: no run has it. {_choices(metric, present)}")
    split, _, quantity = metric.rpartition("/")
    if quantity in MORE_IS_BETTER:
        raise SettingError(
            f"metric={metric}: the report compares metrics of which less is better. "
            f"Use {split}/{MORE_IS_BETTER[quantity]}."
        )


def check_reference(reference: str, runs: Sequence[RunResult]) -> None:
    """Check that some run has the name ``reference``.

    Raises:
        SettingError: none has.
    """
    present = {run.name for run in runs}
    if reference not in present:
        raise SettingError(f"reference={reference}: no arm has this name. {_choices(reference, present)}")


def _choices(wanted: str, present: set[str]) -> str:
    near = difflib.get_close_matches(wanted, sorted(present), n=3, cutoff=0.6)
    if not present:
        return "There is none to choose from."
    meant = f"Did you mean {near[0]}? " if near else ""
    return f"{meant}Use one of: {', '.join(near + sorted(present - set(near)))}."
