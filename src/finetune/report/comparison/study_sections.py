"""All sections of a study; where arms trained for several numbers of epochs, at their plateau and at equal cost."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from finetune.report.comparison.compute_curves import (
    ComputeCurve,
    Rung,
    common_budget,
    compute_curves,
    planned_epochs,
    runs_of_rungs,
)
from finetune.report.comparison.metric_choice import check_reference
from finetune.report.comparison.sections import Section, make_sections
from finetune.report.results.formatting import operations_text
from finetune.report.results.run_result import RunResult


def study_sections(
    runs: Sequence[RunResult], reference: str | None = None, *, trials: Sequence[RunResult] = (), **options: Any
) -> list[Section]:
    """The sections of a study, see :func:`finetune.report.comparison.sections.make_sections`.

    Where arms lie on compute curves, their data, task and number of labels have two sections instead of one: each arm
    at the number of epochs that validation prefers, and at equal operations.

    Args:
        runs: fine-tuned runs and baselines.
        reference: as for ``make_sections``.
        trials: trials of searches; those with the compared numbers of epochs choose the best arm of each side.
        **options: of ``make_sections``.
    """
    curves = compute_curves(runs)
    if curves and reference is not None:
        check_reference(reference, [replace(run, name=run.arm) for run in runs])
    sections: list[Section] = []
    for key in dict.fromkeys(_key(run) for run in runs) if curves else ():
        own, own_trials = ([run for run in some if _key(run) == key] for some in (runs, trials))
        own_curves = [curve for curve in curves if (curve.data, curve.task, curve.labels) == key]
        if not own_curves:
            named = reference if any(run.name == reference for run in own) else None
            sections += make_sections(own, named, trials=own_trials, **options)
        for condition, detail, rungs in _conditions(own_curves):
            kept = [replace(run, name=run.arm) for run in runs_of_rungs(own, own_curves, rungs)]
            like = _trials_of(kept, own_trials)
            named = reference if any(run.name == reference for run in kept) else None
            made = make_sections(kept, named, trials=like, **options)
            sections += [replace(section, condition=condition, detail=detail) for section in made]
    return sections if curves else make_sections(runs, reference, trials=trials, **options)


def _key(run: RunResult) -> tuple[str, str, str]:
    return run.data, run.task, run.labels


def _conditions(curves: Sequence[ComputeCurve]) -> list[tuple[str, str, list[Rung | None]]]:
    """Name of each condition, its detail, and the rung at which it compares each arm."""
    if not curves:
        return []
    climbing = sum(not curve.ends for curve in curves)
    detail = f"{climbing} of {len(curves)} arms still gain by more training" if climbing else ""
    conditions: list[tuple[str, str, list[Rung | None]]] = [
        ("each arm trained as long as it gains", detail, [curve.chosen for curve in curves])
    ]
    budget = common_budget(curves)
    if budget is not None:
        text = f"up to {operations_text(budget)}"
        conditions.append(("equal operations", text, [curve.within(budget) for curve in curves]))
    return conditions


def _trials_of(runs: Sequence[RunResult], trials: Sequence[RunResult]) -> list[RunResult]:
    """The trials of the same arms with the same numbers of epochs."""
    compared = {(run.arm, planned_epochs(run)) for run in runs}
    return [trial for trial in trials if (trial.arm, planned_epochs(trial)) in compared]
