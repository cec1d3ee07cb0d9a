"""A search by several objectives: the trials between which only a person can choose."""

from finetune.report.comparison.trade_offs import TradeOffs, trade_offs
from finetune.report.comparison.tuning import Tuning
from finetune.report.pages.parts.part import Grid, GridRow, Part
from finetune.report.results.formatting import (
    Format,
    axis_label,
    choose_format,
    count_text,
    join_words,
    metric_label,
    operations_text,
)


def trade_offs_part(tuning: Tuning) -> Part | None:
    """Sentence and table; None for a search by one objective."""
    found = trade_offs(tuning)
    if not found:
        return None
    objectives = list(dict.fromkeys(name for own in found for name in own.objectives))
    rows = [row for own in found for row in _rows(own, objectives)]
    counts = [f"{own.arm.name} has {len(own.trials)} of {count_text(own.n_trials, 'trial')}" for own in found]
    return Part(
        title=f"{tuning.title}: several objectives",
        sentences=(f"No other trial is as good in all of {join_words([metric_label(name) for name in objectives])}: "
                   f"{join_words(counts)}.",),
        about="Every trial that is not in the table is no better than one that is in any objective, and worse in one. "
        f"Means over the seeds of a trial. The report chooses the lowest {metric_label(objectives[0])}.",
        figure=None,
        grid=Grid(("arm", "trial", *map(_head, objectives), "settings"), tuple(rows)),
    )  # fmt: skip


def _rows(own: TradeOffs, objectives: list[str]) -> list[GridRow]:
    forms = {
        name: choose_format(name, [values[place] for _, values in own.trials])
        for place, name in enumerate(own.objectives)
    }
    rows: list[GridRow] = []
    for trial, values in own.trials:
        by_name = dict(zip(own.objectives, values, strict=True))
        texts = [_text(name, by_name[name], forms[name]) if name in by_name else "" for name in objectives]
        settings = ", ".join(
            f"{key.rpartition('.')[2]} {f'{value:g}' if isinstance(value, float) else value}"
            for key, value in trial.settings.items()
        )
        rows.append((own.arm.name, own.arm.kind, (str(trial.number), *texts, settings)))
    return rows


def _text(name: str, value: float, form: Format) -> str:
    if name == "operations":
        return operations_text(value)
    return f"{value:.0f}" if name == "n_parameters" else form.number(value)


def _head(name: str) -> str:
    return "parameters" if name == "n_parameters" else axis_label(name)
