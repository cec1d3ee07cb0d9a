"""How far a study is, as a table that fits a terminal."""

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from finetune.report.pages.study_status import facts, metric_text, summary
from finetune.report.results.formatting import seconds_text
from finetune.report.results.study_state import STATES, RunState, State, StudyState

_STYLES: dict[State, str] = {
    "running": "cyan",
    "failed": "bold red",
    "damaged": "bold red",
    "unfinished": "yellow",
    "pending": "dim",
    "missing": "dim",
}
_FRAME = 7
"""Lines of the table's head, of the bar and of the line below it."""


def status_table(state: StudyState, height: int, footer: str = "") -> Group:
    """The study's state: a summary, a bar, and its runs that are not done, as many as the terminal has lines for.

    Args:
        state: of the study.
        height: lines of the terminal.
        footer: last line, such as when it was looked at.
    """
    above = [summary(state), *facts(state)]
    rows = [run for run in state.runs if run.state != "done"]
    # Running ones leave room for those that failed: neither may hide the other.
    space = max(height - _FRAME - len(above), 3)
    shown = _choose(rows, space)
    table = Table(box=None, pad_edge=False, expand=True)
    for name, options in (
        ("state", {"no_wrap": True}),
        ("run", {"no_wrap": True, "ratio": 3}),
        ("epoch", {"no_wrap": True, "justify": "right"}),
        ("metric", {"no_wrap": True}),
        ("left", {"no_wrap": True, "justify": "right"}),
        ("job", {"no_wrap": True}),
        ("", {"no_wrap": True, "ratio": 4, "overflow": "ellipsis"}),
    ):
        table.add_column(name, **options)
    for run in shown:
        table.add_row(*_cells(run))
    hidden = len(rows) - len(shown)
    counts = state.counts
    below = [f"and {hidden} more, which dbn-status lists" if hidden else "", footer]
    bar = ProgressBar(total=max(sum(counts.values()), 1), completed=counts["done"])
    lines = [Text(line, no_wrap=True, overflow="ellipsis") for line in above]
    return Group(*lines, bar, *([table] if shown else []), *(Text(line, style="dim") for line in below if line))


def _choose(rows: list[RunState], space: int) -> list[RunState]:
    """As many rows as there is space for, shared among the states so that none hides another."""
    if len(rows) <= space:
        return rows
    own = {state: [run for run in rows if run.state == state] for state in STATES}
    taken = dict.fromkeys(STATES, 0)
    for _ in range(space):  # one after another to the state with the fewest so far
        state = min(
            (state for state in STATES if taken[state] < len(own[state])),
            key=lambda state: (taken[state], STATES.index(state)),
        )
        taken[state] += 1
    return [run for state in STATES for run in own[state][: taken[state]]]


def _cells(run: RunState) -> tuple[Text, ...]:
    epoch = "" if not run.epoch else f"{run.epoch}/{run.epochs}" if run.epochs else str(run.epoch)
    left = "" if run.seconds_left is None else seconds_text(run.seconds_left)
    words = (run.label, epoch, metric_text(run), left, run.job or "", _remark(run))
    return Text(run.state, style=_STYLES.get(run.state, "")), *map(Text, words)


def _remark(run: RunState) -> str:
    """Where a running run is, why a pending one waits, why another has no result and where to read on."""
    if run.state == "running":
        return run.host or ""
    if run.state == "pending":
        return run.reason
    return f"{run.message}; see {run.log}" if run.log is not None else run.message
