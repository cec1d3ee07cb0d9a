"""What each factor of a factorial design does: effects and interactions."""

from finetune.report.comparison.factorial import Effect, find_factorial
from finetune.report.comparison.rule import MIN_SEEDS
from finetune.report.comparison.sections import Section
from finetune.report.pages.estimate_text import signed_text
from finetune.report.pages.parts.part import Grid, GridRow, Part
from finetune.report.results.formatting import count_text, join_words


def factorial_part(section: Section) -> Part | None:
    """Effects of the factors; None where a section's arms form no factorial."""
    factorial = find_factorial(section)
    if factorial is None or not factorial.effects:
        return None
    form = section.format
    rows: list[GridRow] = [
        (" \N{MULTIPLICATION SIGN} ".join(effect.factors), "", (signed_text(effect.estimate, form), _meaning(effect)))
        for effect in factorial.effects
    ]
    settled = [effect for effect in factorial.effects if len(effect.factors) == 1 and effect.settled]
    largest = max(settled, key=lambda effect: abs(effect.estimate.mean), default=None)
    sentence = f"No change of the {section.label} by a factor is settled."
    if largest is not None:
        change = "lowers" if largest.estimate.mean < 0 else "raises"
        amount = form.number(abs(largest.estimate.mean)) + form.difference_unit
        sentence = (
            f"Of {join_words(factorial.factors)}, {largest.factors[0]} matters most: "
            f"{largest.levels[0][1]} {change} the {section.label} by {amount}, averaged over all other factors."
        )
    return Part(
        title=f"{section.title}: what each factor does",
        sentences=(sentence,),
        about=f"All {len(factorial.cells)} combinations, {count_text(len(factorial.seeds), 'common seed')}. "
        "A main effect is the mean over all cells at the second level minus that at the first; an interaction is half "
        "the difference of one factor's effect between the levels of the other. Intervals are over seeds alone. Bold: "
        f"settled, with at least {MIN_SEEDS} seeds and after Holm's correction for all effects.",
        figure=None,
        grid=Grid(
            ("factor", "effect", "meaning"),
            tuple(rows),
            frozenset((row, 0) for row, effect in enumerate(factorial.effects) if effect.settled),
        ),
    )


def _meaning(effect: Effect) -> str:
    if len(effect.factors) == 1:
        ((first, second),) = effect.levels
        return f"{second} against {first}"
    (_, second), (_, other) = effect.levels
    return f"{second} and {other} together, beyond their sum"
