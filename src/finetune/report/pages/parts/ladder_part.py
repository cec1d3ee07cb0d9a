"""The ladder of the textbook: what each step gains over the one before."""

from finetune.report.comparison.ladder import find_ladder
from finetune.report.comparison.rule import MIN_SEEDS
from finetune.report.comparison.sections import Section
from finetune.report.pages.estimate_text import mean_with_unit, signed_text
from finetune.report.pages.parts.part import Grid, GridRow, Part
from finetune.report.results.formatting import metric_label


def ladder_part(section: Section) -> Part | None:
    """The steps in their order; None where a section has none."""
    ladder = find_ladder(section)
    if not ladder:
        return None
    form, metric = section.format, section.metric
    train = f"train/{metric.rpartition('/')[2]}"
    rows: list[GridRow] = []
    for step in ladder:
        fitted = step.arm.estimate(train)
        parameters = step.arm.mean_of("n_parameters")
        cells = (
            mean_with_unit(step.arm.estimate(metric), form),
            "" if fitted is None else f"{form.number(fitted.mean)}{form.unit}",
            "" if step.gain is None else signed_text(step.gain.estimate, form),
            "" if parameters is None else f"{parameters:,.0f}",
        )
        rows.append((f"{step.step}. {step.what}", step.arm.kind, cells))
    estimates = [(one.step, estimate) for one in ladder if (estimate := one.arm.estimate(metric)) is not None]
    number, best = min(estimates, key=lambda pair: pair[1].mean)
    return Part(
        title=f"{section.title}: the ladder of the textbook",
        sentences=(f"The lowest {section.label} is that of step {number}: {mean_with_unit(best, form)}.",),
        about="Each step changes one thing. Bold: the difference to the step before is settled, with at least "
        f"{MIN_SEEDS} seeds and after Holm's correction for all steps.",
        figure=None,
        grid=Grid(
            ("step", metric_label(metric), metric_label(train), "to the step before", "parameters"),
            tuple(rows),
            frozenset((row, 2) for row, one in enumerate(ladder) if one.settled),
        ),
    )
