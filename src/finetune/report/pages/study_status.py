"""How far a study is, for the terminal."""

from collections import Counter
from pathlib import Path

from finetune.report.results.formatting import count_text, seconds_text
from finetune.report.results.planned_runs import read_plan
from finetune.report.results.study import Study, scan_study
from finetune.report.results.time_left import seconds_left

_STATES = ("running", "failed", "damaged", "unfinished", "missing")


def status_text(directory: Path) -> str:
    """The state of a study's runs in plain text, and the commands that run the rest.

    Raises:
        DataError: there is no such study.
    """
    study = scan_study(directory)
    lines = [_summary(study)]
    left = seconds_left(read_plan(directory)[0], study.of_stage("finetune"))
    if left is not None:
        lines.append(f"Left: about {seconds_text(left)} of fine-tuning in one process, by what the runs done took.")
    problems = sorted(study.problems, key=lambda problem: (_STATES.index(problem.state), problem.label))
    lines += [f"{problem.state:<10}  {problem.label}: {problem.message}" for problem in problems]
    commands = dict.fromkeys(problem.command for problem in problems if problem.command is not None)
    if commands:
        lines += ["", "To do the rest:", *(f"  {command}" for command in commands)]
    return "\n".join(lines)


def _summary(study: Study) -> str:
    """``compare: 20 of 27 runs done, 3 running, 1 failed, 3 missing; 3 stacks pretrained``."""
    done = len(study.of_stage("finetune", "baseline"))
    others = [problem for problem in study.problems if not problem.label.startswith("pretraining ")]
    states = Counter[str](problem.state for problem in others)
    counts = [f"{done} of {done + sum(states.values())} runs done"]
    counts += [f"{states[state]} {state}" for state in _STATES if states[state]]
    stacks = len(study.of_stage("pretrain"))
    pretrained = f"; {count_text(stacks, 'stack')} pretrained" if stacks else ""
    return f"{study.name}: {', '.join(counts)}{pretrained}"
