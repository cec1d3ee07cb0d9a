"""A page over several studies: what each shows as a whole, with a link to its own report."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from dbn.errors import DataError, UserError
from dbn.files import write_text
from finetune.report.comparison.axes import find_axes
from finetune.report.comparison.compute_curves import compute_curves
from finetune.report.comparison.headline import decide_headline
from finetune.report.comparison.sequential import at_this_look
from finetune.report.comparison.study_sections import study_sections
from finetune.report.comparison.tuning import group_trials
from finetune.report.figures.seed_dots import dot_figure
from finetune.report.pages.headline_text import HeadlineText, write_headline
from finetune.report.pages.parts.build_parts import build_parts
from finetune.report.pages.parts.part import Part
from finetune.report.pages.report_files import MARGIN, check_writable, write_report
from finetune.report.pages.study_page import MAX_OPEN_SECTIONS
from finetune.report.pages.template_environment import template_environment
from finetune.report.results.formatting import MINUS, count_text
from finetune.report.results.looks import read_looks
from finetune.report.results.study import Study, find_studies, read_study, tuning_trials


@dataclass(frozen=True)
class SectionSummary:
    """A section's headline and its main figure."""

    title: str
    headline: HeadlineText
    dots: Markup | None


@dataclass(frozen=True)
class StudyView:
    """One study on the page.

    Attributes:
        link: address of its own report, relative to the page.
        runs: numbers of its runs, arms and sections.
        finding: its main sentence.
        verdict: verdict of all its sections, ``none`` where they differ.
        parts: what it shows as a whole.
        sections: its sections; empty where they are many and there are parts.
    """

    name: str
    link: str
    runs: str
    finding: str
    verdict: str
    parts: tuple[Part, ...]
    sections: tuple[SectionSummary, ...]

    @property
    def anchor(self) -> str:
        """Anchor of the study on the page."""
        return f"study-{quote(self.name, safe='')}"


@dataclass(frozen=True)
class OverviewFiles:
    """The page's file, and its text for the terminal."""

    html: Path
    text: str


def write_overview(
    directory: Path, output: Path | None = None, *, margin: float | None = MARGIN, latex: bool = False
) -> OverviewFiles:
    """Write the report of every study in a folder, and ``report.html`` over all of them.

    Studies whose report cannot be written are listed on the page with the reason.

    Args:
        directory: folder that holds the studies' directories.
        output: folder to write into; by default ``directory``.
        margin: as for :func:`finetune.report.pages.report_files.write_report`.
        latex: likewise.

    Raises:
        DataError: no study below ``directory`` has a result.
        SettingError: the output folder cannot be written to.
    """
    folder = directory if output is None else output
    check_writable(folder, directory)
    views, errors = [], []
    for index, path in enumerate(find_studies(directory)):
        try:
            write_report(path, output=None if output is None else output / path.name, margin=margin, latex=latex)
            views.append(_view(read_study(path), f"o{index}", margin))
        except UserError as error:
            errors.append(str(error))
    if not views:
        raise DataError(f"{directory}: no study has a result yet. {' '.join(errors)}".rstrip())
    page = template_environment().get_template("overview.html.j2").render(
        name=directory.resolve().name, studies=views, errors=errors
    )  # fmt: skip
    write_text(folder / "report.html", page)
    lines = [f"{view.name}: {view.finding}" for view in views] + errors
    return OverviewFiles(folder / "report.html", "\n".join(lines).replace(MINUS, "-"))


def _view(study: Study, prefix: str, margin: float | None) -> StudyView:
    sections = study_sections(study.compared, margin=margin, trials=tuning_trials(study))
    looks = read_looks(study.directory)
    if looks is not None:
        sections, _ = at_this_look(sections, looks)
    curves = compute_curves(study.compared)
    tunings = [] if curves else group_trials(study.trials)
    parts = build_parts(sections, find_axes(sections), tunings, curves, prefix)
    summaries = [
        SectionSummary(section.title, write_headline(section), dot_figure(section, f"{prefix}s{index}"))
        for index, section in enumerate(sections)
        if not parts or len(sections) <= MAX_OPEN_SECTIONS
    ]
    findings = [part.sentences[0] for part in parts if part.sentences]
    findings += [f"{summary.headline.title}." for summary in summaries]
    verdicts = {decide_headline(section) for section in sections}
    return StudyView(
        name=study.name,
        link=f"./{quote(study.name)}/report.html",
        runs=_runs_text(study, len(sections)),
        finding=findings[0] if findings else "Pretrained stacks only.",
        verdict=verdicts.pop() if len(verdicts) == 1 else "none",
        parts=tuple(parts),
        sections=tuple(summaries),
    )


def _runs_text(study: Study, n_sections: int) -> str:
    runs = study.compared or study.trials or list(study.runs)
    compared = f", {count_text(n_sections, 'comparison')}" if n_sections > 1 else ""
    arms = count_text(len({run.arm for run in runs}), "arm")
    return f"{count_text(len(runs), 'run')}, {arms}{compared}"
