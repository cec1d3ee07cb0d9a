"""Runs of a study -> ``report.html``, ``table.md`` and ``results.csv`` in its directory."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dbn.errors import SettingError
from dbn.files import write_json, write_text
from finetune.report.axes import axes_of
from finetune.report.compare import Section, compare
from finetune.report.headline import headline_of
from finetune.report.page import MANY, render_page
from finetune.report.parts import Part, parts_of
from finetune.report.quantities import MINUS, counted
from finetune.report.read import Problem, Study, grouped, read_study
from finetune.report.sureness import sure_markdown, sure_table
from finetune.report.tables import FOOTNOTE, build_table, csv_text, escape, markdown, plain
from finetune.report.tuning import chosen_of, tunings_of


@dataclass(frozen=True)
class ReportFiles:
    """Where the report is.

    Attributes:
        html: the page.
        table: the main table in Markdown.
        csv: one row per run.
        tables: heads and rows of every table, by title.
        figures: of the study as a whole, by title: HTML with SVG in it.
        chosen: settings that a tuning study chose, for sweep=final; None for any other study.
        text: headline, main table and problems for the terminal. Plain text, not a rich table: it reads the same in
            the log of a batch job.
    """

    html: Path
    table: Path
    csv: Path
    chosen: Path | None
    text: str
    tables: dict[str, tuple[tuple[str, ...], list[tuple[str, ...]]]]
    figures: dict[str, str]


def write_report(
    study: Path, *, reference: str | None = None, metric: str | None = None, output: Path | None = None
) -> ReportFiles:
    """Write the report of a study, over an earlier one; the same runs give the same bytes.

    Args:
        study: the study's directory, ``runs/<study>``.
        reference: name of the arm that the table's differences are taken to; by default, in each section, the random
            arm with the lowest mean validation metric.
        metric: what arms are compared by, less is better; by default ``test/error``, or ``test/squared_error`` for
            autoencoders.
        output: the folder to write it into; by default the study's own.

    Raises:
        DataError: ``study`` is missing or has no result.
        SettingError: no arm is called ``reference``, no run has ``metric``, or the folder cannot be written to.
    """
    study = Path(study)
    folder = study if output is None else output
    found = read_study(study)
    check_writable(folder, study)
    if output is not None:
        found = seen_from(found, output)
    sections = compare(found.compared, reference, metric)
    tunings = tunings_of(found.trials)
    parts = parts_of(sections, axes_of(sections), tunings, "")
    problems = [*found.problems, *_without_value(sections)]
    files = ReportFiles(
        html=folder / "report.html",
        table=folder / "table.md",
        csv=folder / "results.csv",
        chosen=folder / "chosen.json" if chosen_of(tunings) else None,
        text=_text(found, sections, parts, problems),
        tables=_tables(sections, parts, problems),
        figures={part.title: str(part.figure) for part in parts if part.figure is not None},
    )
    page = render_page(found, sections, parts, problems)
    if files.chosen is not None:
        write_json(files.chosen, chosen_of(tunings))
    write_text(files.table, _markdown(found, sections, parts, problems))
    write_text(files.csv, csv_text(found.runs))
    write_text(files.html, page)
    return files


def check_writable(folder: Path, study: Path) -> None:
    """Refuse a folder that files cannot be written to, such as the study of a colleague.

    Raises:
        SettingError: with what to say instead.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not (there.is_dir() and os.access(there, os.W_OK)):
        raise SettingError(
            f"{folder} cannot be written to. Give the report a folder of your own: dbn-report {study} output=report"
        )


def seen_from(study: Study, folder: Path) -> Study:
    """The study with its runs' paths as they are seen from another folder, for the links on the page."""
    runs = [
        replace(run, path=Path(os.path.relpath(run.directory.resolve(), folder.resolve())).as_posix())
        for run in study.runs
    ]
    return replace(study, runs=tuple(runs))


def _tables(
    sections: Sequence[Section], parts: Sequence[Part], problems: Sequence[Problem]
) -> dict[str, tuple[tuple[str, ...], list[tuple[str, ...]]]]:
    tables = {part.title: (part.grid.heads, [(name, *cells) for name, _, cells in part.grid.rows]) for part in parts}
    for section in sections:
        table = build_table(section, problems)
        heads = ("arm", *(column.head for column in table.columns))
        tables[section.title] = (heads, [(row.name, *row.cells) for row in table.rows])
    return tables


def _without_value(sections: Sequence[Section]) -> list[Problem]:
    """Runs that ended without a finite value of the metric that arms are compared by."""
    return [
        Problem("damaged", f"{arm.name}, seed {run.seed}", f"result.json has no finite {section.metric}")
        for section in sections
        for arm in section.arms
        for run in arm.runs
        if section.metric not in run.metrics
    ]


def _nothing_compared(study: Study) -> str:
    if study.trials:
        return "Trials of a random search are not compared with each other: see the settings chosen below."
    stacks = sorted({run.name for run in study.runs})
    return f"Nothing to compare yet: {counted(len(stacks), 'pretrained stack')} ({', '.join(stacks)}), no fine-tuning."


def _problem_line(problem: Problem) -> str:
    again = f" Run it: {problem.command}" if problem.command else ""
    return f"{problem.state}: {problem.label}: {problem.message}.{again}".replace("..", ".")


def _text(study: Study, sections: Sequence[Section], parts: Sequence[Part], problems: Sequence[Problem]) -> str:
    said = [] if sections else [_nothing_compared(study)]
    said += [f"{part.title}. {' '.join(part.sentences)}\n\n{part.grid.plain()}" for part in parts]
    for section in sections:
        head = f"{section.title}: " if len(sections) > 1 else ""
        said.append(head + headline_of(section).text)
        if len(sections) <= MANY:
            said.append(plain(build_table(section, problems)))
    if problems:
        said.append("\n".join(map(_problem_line, grouped(problems))))
    return "\n\n".join(said).replace(MINUS, "-")


def _markdown(study: Study, sections: Sequence[Section], parts: Sequence[Part], problems: Sequence[Problem]) -> str:
    said = [f"# {escape(study.name)}"]
    if not sections:
        said.append(_nothing_compared(study))
    said += [part.markdown() for part in parts]
    for section in sections:
        headline = headline_of(section)
        rest = " ".join(part for part in (headline.detail, headline.choice) if part)
        said += [f"## {escape(section.title)}"] if len(sections) > 1 else []
        said += [f"**{escape(headline.title)}.** {escape(rest)}", markdown(build_table(section, problems))]
        if (sure := sure_table(section)) is not None:
            said += [f"How sure, beside {escape(section.reference.name)}:", sure_markdown(sure)]
    if sections:
        said.append(FOOTNOTE.replace("*", "\\*"))
    if problems:
        said += [
            "## Missing or failed",
            "\n".join(f"- {escape(_problem_line(problem))}" for problem in grouped(problems)),
        ]
    return "\n\n".join(said) + "\n"
