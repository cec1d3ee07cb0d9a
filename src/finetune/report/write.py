"""Runs of a study -> ``report.html``, ``table.md`` and ``results.csv`` in its directory."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from finetune.report.compare import Section, compare
from finetune.report.headline import headline_of
from finetune.report.page import render_page
from finetune.report.quantities import MINUS, counted
from finetune.report.read import Problem, Study, read_study
from finetune.report.sureness import sure_markdown, sure_table
from finetune.report.tables import FOOTNOTE, build_table, csv_text, escape, markdown, plain


@dataclass(frozen=True)
class ReportFiles:
    """Where the report is.

    Attributes:
        html: the page.
        table: the main table in Markdown.
        csv: one row per run.
        text: headline, main table and problems for the terminal. Plain text, not a rich table: it reads the same in
            the log of a batch job.
    """

    html: Path
    table: Path
    csv: Path
    text: str


def write_report(study: Path, *, reference: str | None = None, metric: str | None = None) -> ReportFiles:
    """Write the report of a study into its directory, over an earlier one; the same runs give the same bytes.

    Args:
        study: the study's directory, ``runs/<study>``.
        reference: name of the arm that the table's differences are taken to; by default, in each section, the random
            arm with the lowest mean validation metric.
        metric: what arms are compared by, less is better; by default ``test/error``, or ``test/squared_error`` for
            autoencoders.

    Raises:
        DataError: ``study`` is missing or has no result.
        SettingError: no arm is called ``reference``, or no run has ``metric``.
    """
    study = Path(study)
    found = read_study(study)
    sections = compare(found.of_stage("finetune", "baseline"), reference, metric)
    problems = [*found.problems, *_without_value(sections)]
    files = ReportFiles(
        html=study / "report.html",
        table=study / "table.md",
        csv=study / "results.csv",
        text=_text(found, sections, problems),
    )
    page = render_page(found, sections, problems)
    _replace(files.table, _markdown(found, sections, problems))
    _replace(files.csv, csv_text(found.runs))
    _replace(files.html, page)
    return files


def _without_value(sections: Sequence[Section]) -> list[Problem]:
    """Runs that ended without a finite value of the metric that arms are compared by."""
    return [
        Problem("damaged", f"{arm.name}, seed {run.seed}", f"result.json has no finite {section.metric}")
        for section in sections
        for arm in section.arms
        for run in arm.runs
        if section.metric not in run.metrics
    ]


def _only_pretrained(study: Study) -> str:
    stacks = sorted({run.name for run in study.runs})
    return f"Nothing to compare yet: {counted(len(stacks), 'pretrained stack')} ({', '.join(stacks)}), no fine-tuning."


def _problem_line(problem: Problem) -> str:
    again = f" Run it: {problem.command}" if problem.command else ""
    return f"{problem.state}: {problem.label}: {problem.message}.{again}".replace("..", ".")


def _text(study: Study, sections: Sequence[Section], problems: Sequence[Problem]) -> str:
    parts = [] if sections else [_only_pretrained(study)]
    for section in sections:
        head = f"{section.title}: " if len(sections) > 1 else ""
        parts += [head + headline_of(section).text.replace(MINUS, "-"), plain(build_table(section, problems))]
    if problems:
        parts.append("\n".join(map(_problem_line, problems)))
    return "\n\n".join(parts)


def _markdown(study: Study, sections: Sequence[Section], problems: Sequence[Problem]) -> str:
    parts = [f"# {escape(study.name)}"]
    if not sections:
        parts.append(_only_pretrained(study))
    for section in sections:
        headline = headline_of(section)
        rest = " ".join(part for part in (headline.detail, headline.choice) if part)
        parts += [f"## {escape(section.title)}"] if len(sections) > 1 else []
        parts += [f"**{escape(headline.title)}.** {escape(rest)}", markdown(build_table(section, problems))]
        if (sure := sure_table(section)) is not None:
            parts += [f"How sure, beside {escape(section.reference.name)}:", sure_markdown(sure)]
    if sections:
        parts.append(FOOTNOTE.replace("*", "\\*"))
    if problems:
        parts += ["## Missing or failed", "\n".join(f"- {escape(_problem_line(problem))}" for problem in problems)]
    return "\n\n".join(parts) + "\n"


def _replace(path: Path, content: str) -> None:
    """Write a file so that a reader sees the old content or the new one, never half of it."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", text=False)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(content)
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)  # mkstemp's files are for the owner only; a report is for others too
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
