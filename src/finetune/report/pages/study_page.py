"""The page of one study."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from finetune.report.comparison.class_errors import SectionClassErrors, class_errors
from finetune.report.comparison.sections import Section
from finetune.report.figures.durations import duration_figure
from finetune.report.figures.learning_curves import LearningCurves, learning_curves
from finetune.report.figures.mistake_gallery import MistakeGallery, mistake_galleries
from finetune.report.figures.picture_gallery import picture_galleries
from finetune.report.figures.seed_dots import dot_figure
from finetune.report.pages.arm_table import FOOTNOTE, ArmTable, build_arm_table
from finetune.report.pages.certainty_table import CertaintyTable, build_certainty_table
from finetune.report.pages.estimate_text import MARK, mean_text
from finetune.report.pages.headline_text import HeadlineText, write_headline
from finetune.report.pages.parts.part import Part
from finetune.report.pages.pretrained_stacks import stack_views
from finetune.report.pages.template_environment import template_environment
from finetune.report.pages.why import build_why
from finetune.report.results.formatting import count_text
from finetune.report.results.problems import Problem, group_by_seed
from finetune.report.results.provenance import collect_provenance
from finetune.report.results.run_result import ALONE
from finetune.report.results.study import Study

MAX_OPEN_SECTIONS = 3
"""With more sections than this a page folds each of them and begins with what they show together."""
KIND_NAMES = {
    "pretrained": "pretrained", "random": "random start", "control": "control, no contender",
    "unlabelled": "other use of unlabelled images", "baseline": "baseline", "unstated": "not stated",
}  # fmt: skip


@dataclass(frozen=True)
class SectionView:
    """A section with all tables and figures of it.

    Attributes:
        certainty: None where no arm is compared with the reference.
        interval_bar: None where the headline has no interval.
    """

    section: Section
    headline: HeadlineText
    table: ArmTable
    certainty: CertaintyTable | None
    classes: SectionClassErrors | None
    dots: Markup | None
    curves: LearningCurves | None
    durations: Markup | None
    interval_bar: "IntervalBar | None"
    mistakes: Sequence[MistakeGallery] = ()
    mistake_errors: Sequence[str] = ()

    @property
    def trained_together(self) -> list[int]:
        """Numbers of seeds that trained in one process, ascending; empty where all trained alone."""
        numbers = {run.trained_together or 1 for arm in self.section.arms for run in arm.runs}
        return sorted(numbers) if max(numbers) > 1 else []

    @property
    def kinds(self) -> list[str]:
        """Kinds of arm that occur, for the legend."""
        return [kind for kind in KIND_NAMES if any(arm.kind == kind for arm in self.section.arms)]


@dataclass(frozen=True)
class IntervalBar:
    """Mean and interval of the headline's difference on a line with zero in its middle, in percent of its width."""

    mean: float
    low: float
    high: float


def render_page(study: Study, sections: Sequence[Section], parts: Sequence[Part], problems: Sequence[Problem]) -> str:
    """The page as one self-contained HTML document.

    Args:
        study: the study.
        sections: its sections.
        parts: what it shows as a whole.
        problems: its runs without a usable result.
    """
    views = [_section_view(section, f"s{index}", problems) for index, section in enumerate(sections)]
    pictured = sections[-1] if len(sections) > MAX_OPEN_SECTIONS else None
    galleries, picture_errors = picture_galleries(
        study, None if pictured is None else {arm.name for arm in pictured.arms}
    )
    return (
        template_environment()
        .get_template("report.html.j2")
        .render(
            study=study,
            subtitle=_subtitle(study),
            views=views,
            parts=parts,
            many=len(views) > MAX_OPEN_SECTIONS,
            problems=group_by_seed(problems),
            n_problems=len(problems),
            stacks=stack_views(study),
            pretrained_galleries=[gallery for gallery in galleries if gallery.run.stage == "pretrain"],
            arm_galleries=[gallery for gallery in galleries if gallery.run.stage != "pretrain"],
            pictures_of="" if pictured is None else pictured.title,
            picture_errors=picture_errors,
            why=build_why(study, sections),
            provenance=collect_provenance(study.runs),
            footnote=FOOTNOTE,
            times_left_out=times_left_out(study),
            mean_text=mean_text,
            mark=MARK,
            kind_names=KIND_NAMES,
        )
    )


def times_left_out(study: Study) -> str:
    """Sentence that says of how many runs the times are left out, and why, with a leading space; empty for none."""
    timed = [run for run in study.compared if run.seconds is not None]
    shared = sum(run.comparable_seconds is None or run.comparable_pretrain_seconds is None for run in timed)
    if not shared:
        return ""
    return (
        f" Times are left out of {shared} of {count_text(len(timed), 'run')}: other processes kept more than "
        f"{ALONE:g} of a core busy meanwhile, or that is not known."
    )


def _section_view(section: Section, name: str, problems: Sequence[Problem]) -> SectionView:
    headline = write_headline(section)
    mistakes, mistake_errors = mistake_galleries(section)
    return SectionView(
        section=section,
        headline=headline,
        table=build_arm_table(section, problems),
        certainty=build_certainty_table(section),
        classes=class_errors(section),
        dots=dot_figure(section, f"{name}-dots"),
        curves=learning_curves(section, f"{name}-curves"),
        durations=duration_figure(section, f"{name}-time"),
        interval_bar=_interval_bar(headline),
        mistakes=mistakes,
        mistake_errors=mistake_errors,
    )


def _interval_bar(headline: HeadlineText) -> IntervalBar | None:
    difference = headline.difference
    if difference is None or difference.estimate.interval is None or difference.degenerate:
        return None
    interval, mean = difference.estimate.interval, difference.estimate.mean
    largest = 1.2 * max(abs(interval.low), abs(interval.high))
    return IntervalBar(*(round(50 + 50 * value / largest, 2) for value in (mean, interval.low, interval.high)))


def _subtitle(study: Study) -> str:
    """``27 runs, 9 arms, seeds 0, 1, 2``."""
    runs = study.compared or study.trials or study.runs
    seeds = sorted({run.seed for run in runs})
    named = ", ".join(map(str, seeds)) if len(seeds) <= 6 else f"{seeds[0]} to {seeds[-1]}"
    return (
        f"{count_text(len(runs), 'run')}, {count_text(len({run.name for run in runs}), 'arm')}, "
        f"{'seed' if len(seeds) == 1 else 'seeds'} {named}"
    )
