"""A study's state on the terminal, looked at again and again."""

from pathlib import Path
from time import sleep, strftime

from rich.console import Console, Group
from rich.live import Live

from dbn.fitting.preemption import PreemptedError
from finetune.report.pages.status_table import status_table
from finetune.report.pages.study_status import facts, summary
from finetune.report.results.study_state import Known, StudyState, read_study_state


def watch(directory: Path, every: float, console: Console | None = None) -> None:
    """Show the study's state until nothing is at work on it and no job of it waits, or until Ctrl-C.

    On a terminal a table is refreshed in place; elsewhere each look that finds a change adds its lines.

    Args:
        directory: of the study.
        every: seconds between two looks.
        console: to show it on; None: standard output.

    Raises:
        DataError: there is no such study.
    """
    console = console or Console()
    try:
        if console.is_terminal:
            _refresh(directory, every, console)
        else:
            _say_changes(directory, every, console)
    except PreemptedError:  # Ctrl-C: there is nothing to save, and nothing to go on with
        return


def _refresh(directory: Path, every: float, console: Console) -> None:
    known: Known = {}
    state = read_study_state(directory, known)
    with Live(_table(state, console), console=console, auto_refresh=False, vertical_overflow="crop") as live:
        while not state.is_over:
            sleep(every)
            state = read_study_state(directory, known)
            live.update(_table(state, console), refresh=True)


def _table(state: StudyState, console: Console) -> Group:
    return status_table(state, console.size.height, f"{strftime('%H:%M:%S')}; Ctrl-C ends this view, not the runs")


def _say_changes(directory: Path, every: float, console: Console) -> None:
    known: Known = {}
    said = ""
    while True:
        state = read_study_state(directory, known)
        text = "\n".join([summary(state), *facts(state)])
        if text != said:
            console.print(f"{strftime('%H:%M:%S')}  {text}", highlight=False, markup=False, soft_wrap=True)
            said = text
        if state.is_over:
            return
        sleep(every)
