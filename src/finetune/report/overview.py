"""Several studies on one page: what each of them says as a whole, one click from its own report."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from dbn.errors import DataError, UserError
from dbn.files import write_text
from finetune.report.axes import axes_of
from finetune.report.compare import Section, compare
from finetune.report.dots import dot_figure
from finetune.report.drawing import COLOURS, TINTS
from finetune.report.headline import headline_of
from finetune.report.page import MANY, environment
from finetune.report.parts import Part, parts_of
from finetune.report.quantities import MINUS, counted
from finetune.report.read import STAGES, Study, read_study
from finetune.report.tuning import tunings_of
from finetune.report.write import check_writable, write_report


@dataclass(frozen=True)
class Comparison:
    """A section that stands for itself: what it shows, and a dot for every run."""

    title: str
    verdict: str
    headline: str
    detail: str
    dots: Markup | None


@dataclass(frozen=True)
class StudyView:
    """One study on the page.

    Attributes:
        name: of the study.
        link: its own report, relative to the page.
        runs: how many it has, in words.
        said: its main sentence.
        verdict: of all its sections, which colours the sentence; ``none`` where they differ.
        parts: what it says as a whole.
        comparisons: its sections, unless they are many and parts speak for them.
    """

    name: str
    link: str
    runs: str
    said: str
    verdict: str
    parts: tuple[Part, ...]
    comparisons: tuple[Comparison, ...]

    @property
    def anchor(self) -> str:
        """Of the study on the page."""
        return f"study-{quote(self.name, safe='')}"


@dataclass(frozen=True)
class OverviewFiles:
    """Where the page is, and what it says, for the terminal."""

    html: Path
    text: str


def studies_below(directory: Path) -> list[Path]:
    """The studies among a folder's folders, by name; none if the folder is a study itself, or is not there."""
    if not directory.is_dir() or any((directory / stage).is_dir() for stage in STAGES):
        return []
    return sorted(
        path for path in directory.iterdir() if path.is_dir() and any((path / stage).is_dir() for stage in STAGES)
    )


def write_overview(directory: Path, output: Path | None = None) -> OverviewFiles:
    """Write every study's own report, and ``report.html`` above them.

    A study that no report can be written of is named on the page with the reason.

    Args:
        directory: the studies' directories are in.
        output: the folder to write into; by default ``directory``.

    Raises:
        DataError: no study below ``directory`` has a result.
        SettingError: the folder cannot be written to.
    """
    folder = directory if output is None else output
    check_writable(folder, directory)
    views, complaints = [], []
    for index, path in enumerate(studies_below(directory)):
        try:
            write_report(path, output=None if output is None else output / path.name)
            views.append(_view(read_study(path), f"o{index}"))
        except UserError as error:
            complaints.append(str(error))
    if not views:
        raise DataError(f"{directory}: no study has a result yet. {' '.join(complaints)}".rstrip())
    page = environment().get_template("overview.html.j2").render(
        name=directory.resolve().name, studies=views, complaints=complaints, colours=COLOURS, tints=TINTS
    )  # fmt: skip
    write_text(folder / "report.html", page)
    lines = [f"{view.name}: {view.said}" for view in views] + complaints
    return OverviewFiles(folder / "report.html", "\n".join(lines).replace(MINUS, "-"))


def _view(study: Study, prefix: str) -> StudyView:
    sections, tunings = compare(study.compared), tunings_of(study.trials)
    parts = parts_of(sections, axes_of(sections), tunings, prefix)
    shown = [] if parts and len(sections) > MANY else sections
    comparisons = [_comparison(section, f"{prefix}s{index}") for index, section in enumerate(shown)]
    said = next((part.sentences[0] for part in parts if part.sentences), "")
    if not said and comparisons:
        said = f"{comparisons[0].headline}."
    verdicts = {headline_of(section).verdict for section in sections}
    verdict = verdicts.pop() if len(verdicts) == 1 else "none"
    return StudyView(
        name=study.name,
        link=f"./{quote(study.name)}/report.html",
        runs=_runs(study, sections),
        said=said or "Pretrained stacks only.",
        verdict=verdict,
        parts=tuple(parts),
        comparisons=tuple(comparisons),
    )


def _runs(study: Study, sections: Sequence[Section]) -> str:
    runs = study.compared or study.trials or list(study.runs)
    compared = f", {counted(len(sections), 'comparison')}" if len(sections) > 1 else ""
    return f"{counted(len(runs), 'run')}, {counted(len({run.arm for run in runs}), 'arm')}{compared}"


def _comparison(section: Section, name: str) -> Comparison:
    headline = headline_of(section)
    measured = any(arm.values(section.metric) for arm in section.arms)
    dots = dot_figure(section, name) if measured else None
    detail = " ".join(part for part in (headline.detail, headline.choice) if part)
    return Comparison(section.title, headline.verdict, headline.title, detail, dots)
