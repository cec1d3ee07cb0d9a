"""A study's report as plain text for the terminal, and as ``table.md``."""

from collections.abc import Sequence

from finetune.report.comparison.sections import Section
from finetune.report.pages.arm_table import FOOTNOTE, build_arm_table
from finetune.report.pages.certainty_table import build_certainty_table
from finetune.report.pages.headline_text import write_headline
from finetune.report.pages.parts.part import Part
from finetune.report.pages.study_page import MAX_OPEN_SECTIONS
from finetune.report.pages.text_tables import escape
from finetune.report.results.formatting import MINUS, count_text
from finetune.report.results.problems import Problem, group_by_seed
from finetune.report.results.study import Study


def terminal_text(study: Study, sections: Sequence[Section], parts: Sequence[Part], problems: Sequence[Problem]) -> str:
    """Parts, headlines, tables and problems in plain text, which reads the same in the log of a batch job."""
    texts = [] if sections else [_nothing_compared(study)]
    texts += [f"{part.title}. {' '.join(part.sentences)}\n\n{part.grid.text()}" for part in parts]
    for section in sections:
        title = f"{section.title}: " if len(sections) > 1 else ""
        texts.append(title + write_headline(section).text)
        if len(sections) <= MAX_OPEN_SECTIONS:
            texts.append(build_arm_table(section, problems).text())
    if problems:
        texts.append("\n".join(map(_problem_line, group_by_seed(problems))))
    return "\n\n".join(texts).replace(MINUS, "-")


def markdown_text(study: Study, sections: Sequence[Section], parts: Sequence[Part], problems: Sequence[Problem]) -> str:
    """Content of ``table.md``: parts, headlines, tables and problems in Markdown."""
    texts = [f"# {escape(study.name)}"]
    if not sections:
        texts.append(_nothing_compared(study))
    texts += [part.markdown() for part in parts]
    for section in sections:
        headline = write_headline(section)
        texts += [f"## {escape(section.title)}"] if len(sections) > 1 else []
        texts += [f"**{escape(headline.title)}.** {escape(headline.explanation)}"]
        texts += [build_arm_table(section, problems).markdown()]
        if (certainty := build_certainty_table(section)) is not None:
            texts += [f"Certainty of the differences to {escape(section.reference.name)}:", certainty.markdown()]
    if sections:
        texts.append(FOOTNOTE.replace("*", "\\*"))
    if problems:
        lines = [f"- {escape(_problem_line(problem))}" for problem in group_by_seed(problems)]
        texts += ["## Missing or failed", "\n".join(lines)]
    return "\n\n".join(texts) + "\n"


def _nothing_compared(study: Study) -> str:
    if study.trials:
        return "Trials of a search are not compared with each other: see the settings chosen below."
    stacks = sorted({run.name for run in study.runs})
    pretrained = f"{count_text(len(stacks), 'pretrained stack')} ({', '.join(stacks)})"
    return f"Nothing to compare yet: {pretrained}, no fine-tuning."


def _problem_line(problem: Problem) -> str:
    again = f" Run it: {problem.command}" if problem.command else ""
    return f"{problem.state}: {problem.label}: {problem.message}.{again}".replace("..", ".")
