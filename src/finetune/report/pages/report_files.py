"""Writes a study's report: ``report.html``, ``table.md``, ``results.csv``, and what else is asked for or known."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dbn.errors import SettingError
from dbn.files import write_json, write_text
from finetune.report.comparison.axes import find_axes
from finetune.report.comparison.compute_curves import are_of_a_climb, compute_curves
from finetune.report.comparison.sections import Section
from finetune.report.comparison.sequential import at_this_look
from finetune.report.comparison.study_sections import study_sections
from finetune.report.comparison.tuning import chosen_settings, group_trials
from finetune.report.pages.arm_table import build_arm_table
from finetune.report.pages.certainty_table import build_certainty_table
from finetune.report.pages.latex import latex_file_name, latex_table
from finetune.report.pages.parts.build_parts import build_parts
from finetune.report.pages.parts.part import Part
from finetune.report.pages.report_text import markdown_text, terminal_text
from finetune.report.pages.results_csv import results_csv
from finetune.report.pages.study_page import render_page
from finetune.report.results.looks import plan_looks, write_looks
from finetune.report.results.problems import Problem
from finetune.report.results.study import Study, read_study, tuning_trials

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReportFiles:
    """The files of a report, and what they contain.

    Attributes:
        html: the page.
        table: the main tables in Markdown.
        csv: a row per run.
        chosen: settings chosen by a search, for ``sweep=final``; None for other studies.
        text: headlines, main tables and problems in plain text.
        tables: heads and rows of every table, by title.
        figures: HTML of the figures of the study as a whole, by title.
        sections: what is compared, with the level of this look where the study grows.
        latex: the files with the tables in LaTeX; empty where these were not asked for.
    """

    html: Path
    table: Path
    csv: Path
    chosen: Path | None
    text: str
    tables: dict[str, tuple[tuple[str, ...], list[tuple[str, ...]]]]
    figures: dict[str, str]
    sections: tuple[Section, ...]
    latex: tuple[Path, ...] = ()


MARGIN = 0.1
"""Differences of error rates that do not matter, in percentage points, where none are named."""


def write_report(
    study: Path,
    *,
    reference: str | None = None,
    metric: str | None = None,
    output: Path | None = None,
    margin: float | None = MARGIN,
    max_seeds: int | None = None,
    latex: bool = False,
) -> ReportFiles:
    """Write the report of a study, replacing an earlier one; the same runs give the same bytes.

    Args:
        study: the study's directory, ``runs/<study>``.
        reference: name of the arm that others are compared with; by default the random arm with the lowest mean
            validation metric in each section.
        metric: metric to compare by, lower being better; by default ``test/error``, for autoencoders
            ``test/squared_error``.
        output: folder to write into; by default the study's directory.
        margin: differences of rates within it count as none, in percentage points; None: no difference is too small.
        max_seeds: planned largest number of seeds of a study that grows until it is settled. Every report of it is then
            a look, recorded in ``looks.json`` in the study's directory, and compared with the level left to that look.
        latex: whether every table is written as a ``.tex`` file, too.

    Raises:
        DataError: ``study`` is missing or has no result, or its ``looks.json`` is damaged.
        SettingError: no arm is called ``reference``, no run has ``metric``, the folder cannot be written to, or
            ``max_seeds`` differs from what was planned.
    """
    study = Path(study)
    folder = study if output is None else output
    found = read_study(study)
    check_writable(folder, study)
    if output is not None:
        found = _paths_relative_to(found, output)
    sections = study_sections(found.compared, reference, metric=metric, margin=margin, trials=tuning_trials(found))
    looks = plan_looks(study, max_seeds)
    if looks is not None:
        check_writable(study, study)
        sections, looks = at_this_look(sections, looks)
        write_looks(study, looks)
    curves = compute_curves(found.compared)
    tunings = [] if curves else group_trials(found.trials)  # beside curves, trials belong to single lengths of training
    parts = build_parts(sections, find_axes(sections), tunings, curves, "")
    problems = [*found.problems, *_without_metric(sections)]
    files = ReportFiles(
        html=folder / "report.html",
        table=folder / "table.md",
        csv=folder / "results.csv",
        chosen=folder / "chosen.json" if chosen_settings(tunings) else None,
        text=terminal_text(found, sections, parts, problems),
        tables=(tables := _tables(sections, parts, problems)),
        latex=tuple(folder / latex_file_name(title) for title in tables) if latex else (),
        sections=tuple(sections),
        figures={part.title: str(part.figure) for part in parts if part.figure is not None},
    )
    page = render_page(found, sections, parts, problems)
    if files.chosen is not None:
        write_json(files.chosen, chosen_settings(tunings))
    elif are_of_a_climb(found.trials) and (earlier := folder / "chosen.json").is_file():
        log.warning("%s: removed, a report of the first trials wrote it; each length has a choice of its own.", earlier)
        earlier.unlink()
    write_text(files.table, markdown_text(found, sections, parts, problems))
    write_text(files.csv, results_csv(found.runs))
    write_text(files.html, page)
    for file, (heads, rows) in zip(files.latex, tables.values(), strict=False):
        write_text(file, latex_table(heads, rows))
    return files


def check_writable(folder: Path, study: Path) -> None:
    """Check that files can be written into a folder, which may not exist yet.

    Raises:
        SettingError: they cannot, as in another user's study.
    """
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not (existing.is_dir() and os.access(existing, os.W_OK)):
        raise SettingError(
            f"{folder} cannot be written to. Give the report a folder of your own: dbn-report {study} output=report"
        )


def _paths_relative_to(study: Study, folder: Path) -> Study:
    """The study with the paths of its runs relative to another folder, for links on a page in it."""
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
        table = build_arm_table(section, problems)
        heads = ("arm", *(column.head for column in table.columns))
        tables[section.title] = (heads, [(row.name, *row.marked_cells(table.difference)) for row in table.rows])
        if (certainty := build_certainty_table(section)) is not None:
            rows = [(name, *cells) for name, cells, _ in certainty.rows]
            tables[f"{section.title}: certainty"] = (("arm", *certainty.columns), rows)
    return tables


def _without_metric(sections: Sequence[Section]) -> list[Problem]:
    """Runs whose result lacks a finite value of the metric that arms are compared by."""
    return [
        Problem("damaged", f"{arm.name}, seed {run.seed}", f"result.json has no finite {section.metric}")
        for section in sections
        for arm in section.arms
        for run in arm.runs
        if section.metric not in run.metrics
    ]
