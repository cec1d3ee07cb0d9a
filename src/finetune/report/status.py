"""The command ``dbn-status``: how far a study is, at any moment."""

from collections import Counter
from pathlib import Path

from omegaconf import DictConfig

from dbn.command import plain, run_command
from dbn.texts import with_texts
from finetune.report.command import check_report
from finetune.report.read import Study, scan_study

ORDER = ("running", "failed", "damaged", "unfinished", "missing")


def main() -> None:
    """Console entry point."""
    run_command("status", _status, positional="path")


def _status(config: DictConfig) -> None:
    settings = with_texts(plain(config))
    check_report(settings)
    print(status_text(Path(settings["path"])))


def status_text(directory: Path) -> str:
    """What is done, running, failed, stopped and missing in a study, and the commands that do the rest.

    Plain text, which reads the same in a batch job's log.

    Raises:
        DataError: there is no such study.
    """
    study = scan_study(directory)
    lines = [headline(study)]
    problems = sorted(study.problems, key=lambda problem: (ORDER.index(problem.state), problem.label))
    lines += [f"{problem.state:<10}  {problem.label}: {problem.message}" for problem in problems]
    commands = dict.fromkeys(p.command for p in problems if p.command is not None)
    if commands:
        lines += ["", "To do the rest:", *(f"  {command}" for command in commands)]
    return "\n".join(lines)


def headline(study: Study) -> str:
    """``compare: 20 of 27 runs done, 3 running, 1 failed, 3 missing; 3 stacks pretrained``."""
    done = len(study.of_stage("finetune", "baseline"))
    others = [problem for problem in study.problems if not problem.label.startswith("pretraining ")]
    states = Counter[str](problem.state for problem in others)
    words = [f"{done} of {done + sum(states.values())} runs done"]
    words += [f"{states[state]} {state}" for state in ORDER if states[state]]
    stacks = len(study.of_stage("pretrain"))
    pretrained = f"; {stacks} {'stack' if stacks == 1 else 'stacks'} pretrained" if stacks else ""
    return f"{study.name}: {', '.join(words)}{pretrained}"


if __name__ == "__main__":
    main()
