"""All parts of the report put into one HTML page."""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from finetune.report.classes import ClassView, class_view
from finetune.report.compare import Section
from finetune.report.curves import LearningCurves, StackCurves, final_layer_errors, learning_curves, pretraining_curves
from finetune.report.dots import dot_figure
from finetune.report.drawing import COLOURS, TINTS
from finetune.report.durations import duration_figure
from finetune.report.headline import Headline, headline_of, with_interval
from finetune.report.parts import Part
from finetune.report.pictures import Gallery, read_gallery
from finetune.report.provenance import provenance_of
from finetune.report.quantities import Format, axis_label, counted, label_of, seconds_text
from finetune.report.read import Problem, Run, Study, grouped
from finetune.report.sureness import SureTable, sure_table
from finetune.report.tables import FOOTNOTE, MARK, Table, build_table
from finetune.report.why import why_of

MANY = 3
"""With more comparisons than this a page shows what they say together, and each of them on demand."""
KIND_NAMES = {"pretrained": "pretrained", "random": "random start", "baseline": "baseline", "unstated": "not stated"}


@dataclass(frozen=True)
class SectionView:
    """One section with everything that is drawn from it."""

    section: Section
    headline: Headline
    table: Table
    sure: SureTable | None
    classes: ClassView | None
    dots: Markup | None
    curves: LearningCurves | None
    durations: Markup | None
    ruler: "Ruler | None"

    @property
    def together(self) -> list[int]:
        """How many seeds trained together, ascending, where it was more than one."""
        numbers = {run.trained_together or 1 for arm in self.section.arms for run in arm.runs}
        return sorted(numbers) if max(numbers) > 1 else []

    @property
    def kinds(self) -> list[str]:
        """Kinds of arm that occur, for the legend."""
        return [kind for kind in KIND_NAMES if any(arm.kind == kind for arm in self.section.arms)]


@dataclass(frozen=True)
class Ruler:
    """The interval of the headline on a line with zero in its middle; positions in percent of the width."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class StackView:
    """One pretrained stack: how often, how long, how well, and its curves."""

    name: str
    facts: list[tuple[str, str]]
    curves: StackCurves | None


def render_page(study: Study, sections: Sequence[Section], parts: Sequence[Part], problems: Sequence[Problem]) -> str:
    """The page as one self-contained HTML document."""
    views = [_section_view(section, f"s{index}", problems) for index, section in enumerate(sections)]
    seen = sections[-1] if len(sections) > MANY else None
    galleries, complaints = _galleries(study, None if seen is None else {arm.name for arm in seen.arms})
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            study=study,
            subtitle=_subtitle(study),
            views=views,
            parts=parts,
            many=len(views) > MANY,
            problems=grouped(problems),
            n_problems=len(problems),
            stacks=_stacks(study),
            pretrained_galleries=[gallery for gallery in galleries if gallery.run.stage == "pretrain"],
            arm_galleries=[gallery for gallery in galleries if gallery.run.stage != "pretrain"],
            pictures_of="" if seen is None else seen.title,
            picture_complaints=complaints,
            why=why_of(study, sections),
            provenance=provenance_of(study.runs),
            footnote=FOOTNOTE,
            mark=MARK,
            colours=COLOURS,
            tints=TINTS,
            kind_names=KIND_NAMES,
        )
    )


def environment() -> Environment:
    """Where pages' templates are, with what they may use."""
    made = Environment(
        loader=PackageLoader("finetune.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"breakable": breakable, "slug": slug}
    made.globals |= {"label_of": label_of, "axis_label": axis_label, "with_interval": with_interval}
    made.globals |= {"tenths": Format(percent=False, decimals=1), "tenths_of_percent": Format(percent=True, decimals=1)}
    return made


def breakable(name: str) -> Markup:
    """A name that may break after its underscores and equals signs, where a narrow screen has no room for it."""
    return Markup(re.sub(r"([_=,])", r"\1<wbr>", str(html.escape(name))))


def slug(name: str) -> str:
    """A name as the anchor of its settings: another one for every other name."""
    return quote(name, safe="")


def _section_view(section: Section, name: str, problems: Sequence[Problem]) -> SectionView:
    measured = any(arm.values(section.metric) for arm in section.arms)
    headline = headline_of(section)
    return SectionView(
        section=section,
        headline=headline,
        table=build_table(section, problems),
        sure=sure_table(section),
        classes=class_view(section),
        dots=dot_figure(section, f"{name}-dots") if measured else None,
        curves=learning_curves(section, f"{name}-curves"),
        durations=duration_figure(section, f"{name}-time"),
        ruler=_ruler(headline),
    )


def _ruler(headline: Headline) -> Ruler | None:
    difference = headline.difference
    if difference is None or difference.estimate.interval is None or difference.degenerate:
        return None
    interval, mean = difference.estimate.interval, difference.estimate.mean
    reach = 1.2 * max(abs(interval.low), abs(interval.high))
    place = [round(50 + 50 * value / reach, 2) for value in (mean, interval.low, interval.high)]
    return Ruler(*place)


def _subtitle(study: Study) -> str:
    """``27 runs, 9 arms, seeds 0, 1, 2``."""
    runs = study.compared or study.trials or study.runs
    seeds = sorted({run.seed for run in runs})
    named = ", ".join(map(str, seeds)) if len(seeds) <= 6 else f"{seeds[0]} to {seeds[-1]}"
    return (
        f"{counted(len(runs), 'run')}, {counted(len({run.name for run in runs}), 'arm')}, "
        f"{'seed' if len(seeds) == 1 else 'seeds'} {named}"
    )


def _stacks(study: Study) -> list[StackView]:
    """Stacks by name; seeds whose products were taken in another precision stand apart, never in one mean or curve."""
    groups: dict[tuple[str, tuple[str, ...]], list[Run]] = {}
    for run in study.of_stage("pretrain"):
        groups.setdefault((run.name, run.precision), []).append(run)
    names = [name for name, _ in groups]
    views = []
    for index, ((name, precision), own) in enumerate(groups.items()):
        facts = [("seeds", str(len(own)))]
        seconds = [run.seconds for run in own if run.seconds is not None]
        if seconds:
            facts.append(("time", seconds_text(sum(seconds) / len(seconds))))
        if precision:
            facts.append(("precision", ", ".join(dict.fromkeys(precision))))
        facts += final_layer_errors(own)
        title = name if names.count(name) == 1 else f"{name}, {', '.join(precision) or 'precision not stated'}"
        views.append(StackView(title, facts, pretraining_curves(title, own, f"stack{index}")))
    return views


def _galleries(study: Study, names: set[str] | None) -> tuple[list[Gallery], list[str]]:
    """Pictures of the first seed of each name that kept any, and what could not be read.

    Args:
        study: whose runs they are.
        names: of the fine-tuned runs that are shown; None for all.
    """
    galleries: dict[tuple[str, str], Gallery] = {}
    complaints = []
    for run in study.runs:
        if (run.stage, run.name) in galleries or run.trial is not None:
            continue
        if names is not None and run.stage == "finetune" and run.name not in names:
            continue
        gallery = read_gallery(run)
        if gallery is None:
            continue
        if gallery.complaint:
            complaints.append(gallery.complaint)
        elif gallery.filters or gallery.reconstructions or gallery.samples:
            galleries[run.stage, run.name] = gallery
    return list(galleries.values()), complaints
