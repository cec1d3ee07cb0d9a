"""What a study says as a whole, above its single comparisons: axes, factorials, the ladder, the tuning."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from finetune.report.axes import Axis, AxisTable, axis_table, lowest_places, outcome
from finetune.report.compare import Section
from finetune.report.factorial import Effect, factorial_of
from finetune.report.headline import format_of_differences, with_interval
from finetune.report.ladder import ladder_of
from finetune.report.quantities import Format, counted, format_of, label_of, operations_text, seconds_text
from finetune.report.read import Kind
from finetune.report.statistics import Difference, Estimate, Interval
from finetune.report.tables import MARK, aligned, escape, markdown_rows
from finetune.report.trend import trend_figure
from finetune.report.tuning import TunedArm, Tuning
from finetune.report.tuning_figure import tuning_figure
from finetune.report.untrained import untrained_sentences


@dataclass(frozen=True)
class Grid:
    """A table of texts with a head and a name in front of every row.

    Attributes:
        heads: of the columns, the first one above the names.
        rows: name, kind of arm (for its dot; empty for none), cells.
        strong: places of cells, (row, column), that are to be read first.
    """

    heads: tuple[str, ...]
    rows: tuple[tuple[str, Kind | str, tuple[str, ...]], ...]
    strong: frozenset[tuple[int, int]] = frozenset()

    def markdown(self) -> str:
        """In Markdown; strong cells are bold."""
        rows = [
            [
                escape(name),
                *(
                    f"**{escape(cell)}**" if cell and (row, column) in self.strong else escape(cell)
                    for column, cell in enumerate(cells)
                ),
            ]
            for row, (name, _, cells) in enumerate(self.rows)
        ]
        return markdown_rows([escape(head) for head in self.heads], rows)

    def plain(self) -> str:
        """For a terminal."""
        return aligned([self.heads, *((name, *cells) for name, _, cells in self.rows)])


@dataclass(frozen=True)
class Part:
    """One part of the page: title, sentences computed from the runs, a figure, a table, and how to read them."""

    title: str
    sentences: tuple[str, ...]
    about: str
    figure: Markup | None
    grid: Grid
    foot: str = ""

    def markdown(self) -> str:
        """Title, sentences and table."""
        said = [" ".join(f"**{escape(sentence)}**" for sentence in self.sentences)] if self.sentences else []
        foot = [escape(self.foot)] if self.foot else []
        return "\n\n".join([f"## {escape(self.title)}", *said, self.grid.markdown(), *foot])


def axis_part(axis: Axis, name: str) -> Part:
    """What changes along an axis."""
    table: AxisTable = axis_table(axis)
    rows: list[tuple[str, Kind | str, tuple[str, ...]]] = [(row.name, row.kind, row.cells) for row in table.rows]
    strong = {(at, place) for at, row in enumerate(table.rows) for place, low in enumerate(row.lowest) if low}
    if table.differences:
        rows.append(("best pretrained less best random", "", table.differences))
    stopped = untrained_sentences(axis)
    found = outcome(axis)
    searched = lowest_places(axis) if axis.quantity.startswith("hidden") else []
    sentences = tuple([found] if found else searched) + tuple(stopped)
    return Part(
        title=axis.title,
        sentences=sentences,
        about="Mean over seeds with its 95 % interval. Thick: the best pretrained and the best random arm at each "
        "place, chosen by validation where all runs have it.",
        figure=trend_figure(axis, name),
        grid=Grid((axis.quantity, *table.ticks), tuple(rows), frozenset(strong)),
        foot=f"{_capital(label_of(axis.metric))}{' in percent' if axis.format.percent else ''}; the lowest mean of "
        f"each column is bold. {MARK} marks a difference whose t and bootstrap intervals exclude zero."
        + (
            " A network has not trained where its training error stayed above half of what guessing gets."
            if stopped
            else ""
        ),
    )


def factorial_part(section: Section) -> Part | None:
    """Effects of the factors; None where a section's arms are no factorial."""
    factorial = factorial_of(section)
    if factorial is None or not factorial.effects:
        return None
    form = format_of(section.metric, [v for arm in section.arms for v in arm.values(section.metric).values()])
    rows: list[tuple[str, Kind | str, tuple[str, ...]]] = []
    for effect in factorial.effects:
        rows.append((_effect_name(effect), "", (_estimate(effect.estimate, form), _effect_words(effect, form))))
    settled = [effect for effect in factorial.effects if len(effect.factors) == 1 and effect.estimate.excludes_zero]
    largest = max(settled, key=lambda effect: abs(effect.estimate.mean), default=None)
    sentence = f"No factor changes the {section.label} by more than chance does."
    if largest is not None:
        change = "lowers" if largest.estimate.mean < 0 else "raises"
        sentence = (
            f"Of {', '.join(factorial.factors[:-1])} and {factorial.factors[-1]}, {largest.factors[0]} matters most: "
            f"{largest.levels[0][1]} {change} the {section.label} by {form.number(abs(largest.estimate.mean))}"
            f"{form.difference_unit}, over all else."
        )
    strong = {(at, 0) for at, effect in enumerate(factorial.effects) if effect.estimate.excludes_zero}
    return Part(
        title=f"{section.title}: what each factor does",
        sentences=(sentence,),
        about=f"All {len(factorial.cells)} combinations, {counted(len(factorial.seeds), 'common seed')}. An effect is "
        "the mean of all cells at the second level less that of all cells at the first; an interaction half of how "
        "much one factor's effect differs between the levels of another. Bold: the 95 % interval excludes zero.",
        figure=None,
        grid=Grid(("factor", "effect", "meaning"), tuple(rows), frozenset(strong)),
    )


def _effect_name(effect: Effect) -> str:
    return " \N{MULTIPLICATION SIGN} ".join(effect.factors)


def _effect_words(effect: Effect, form: Format) -> str:
    if len(effect.factors) == 1:
        ((first, second),) = effect.levels
        return f"{second} against {first}"
    (_, second), (_, other) = effect.levels
    return f"{second} and {other} together, beyond their sum"


def _estimate(estimate: Estimate, form: Format) -> str:
    finer = format_of_differences(form, ())
    text = finer.signed(estimate.mean)
    return text + _brackets(None if estimate.degenerate else estimate.interval, finer)


def _brackets(interval: Interval | None, form: Format) -> str:
    return "" if interval is None else f" [{form.signed(interval.low)}, {form.signed(interval.high)}]"


def ladder_part(section: Section) -> Part | None:
    """The steps of the textbook in their order; None where a section has none."""
    rungs = ladder_of(section)
    if not rungs:
        return None
    form = format_of(section.metric, [v for arm in section.arms for v in arm.values(section.metric).values()])
    train = f"train/{section.metric.rpartition('/')[2]}"
    rows: list[tuple[str, Kind | str, tuple[str, ...]]] = []
    strong = set()
    for at, rung in enumerate(rungs):
        fitted = rung.arm.estimate(train)
        parameters = rung.arm.mean_of("n_parameters")
        cells = (
            with_interval(rung.arm.estimate(section.metric), form),
            "" if fitted is None else f"{form.number(fitted.mean)}{form.unit}",
            _gain(rung.gain, form),
            "" if parameters is None else f"{parameters:,.0f}",
        )
        rows.append((f"{rung.step}. {rung.what}", rung.arm.kind, cells))
        if rung.gain is not None and rung.gain.settled:
            strong.add((at, 2))
    best = min(rungs, key=lambda rung: (rung.arm.estimate(section.metric) or Estimate(1e9, 0, None)).mean)
    return Part(
        title=f"{section.title}: the ladder of the textbook",
        sentences=(
            f"The lowest {section.label} is that of step {best.step}: "
            f"{with_interval(best.arm.estimate(section.metric), form)}.",
        ),
        about="Each step changes one thing. Bold: the 95 % interval of the paired difference to the step before "
        "excludes zero.",
        figure=None,
        grid=Grid(
            ("step", label_of(section.metric), label_of(train), "to the step before", "parameters"),
            tuple(rows),
            frozenset(strong),
        ),
    )


def _gain(gain: Difference | None, form: Format) -> str:
    if gain is None:
        return ""
    interval = None if gain.degenerate else gain.estimate.interval
    return form.signed(gain.estimate.mean) + _brackets(interval, form)


def tuning_part(tuning: Tuning, name: str) -> Part:
    """Equal budgets: what was chosen for each arm, and what searching cost."""
    values = [trial.value for arm in tuning.arms for trial in arm.trials]
    form = format_of(tuning.metric, values)
    rows: list[tuple[str, Kind | str, tuple[str, ...]]] = [
        (
            arm.name,
            arm.kind,
            (
                f"{len(arm.trials)}" + (f" and {arm.failed} failed" if arm.failed else ""),
                form.number(arm.chosen.value),
                _middle(arm, form),
                _or_empty(seconds_text, arm.cost("seconds")),
                _or_empty(seconds_text, arm.cost("pretrain_seconds")),
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
        sentences=(f"Random search with {budget}; the lowest {label_of(tuning.metric)} decides.",),
        about="Expected best value of so many trials, drawn from those that were run (Dodge et al. 2019). Arms that "
        "search the same range try the same values."
        + (" Trials that failed are left out of it." if any(arm.failed for arm in tuning.arms) else ""),
        figure=tuning_figure(tuning, name),
        grid=Grid(
            (
                "arm", "trials", "best", "median", "fine-tuning", "pretraining", "operations of a run", "chosen"
            ),
            tuple(rows),
        ),
        foot="Operations: floating-point operations of all matrix products, pretraining included.",
    )  # fmt: skip


def _middle(arm: TunedArm, form: Format) -> str:
    ordered = sorted(trial.value for trial in arm.trials)
    return form.number((ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2)


def _setting(value: object) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _or_empty(write: Callable[[float], str], value: float | None) -> str:
    return "" if value is None else write(value)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def parts_of(sections: Sequence[Section], axes: Sequence[Axis], tunings: Sequence[Tuning], prefix: str) -> list[Part]:
    """All parts of a study; ``prefix`` keeps the names of its figures apart from those of others on the page."""
    parts = [axis_part(axis, f"{prefix}axis{index}") for index, axis in enumerate(axes)]
    for section in sections:
        parts += [part for part in (ladder_part(section), factorial_part(section)) if part is not None]
    return parts + [tuning_part(tuning, f"{prefix}tuning{index}") for index, tuning in enumerate(tunings)]
