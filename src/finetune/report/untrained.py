"""Which runs did not train at all: the deep sigmoid network before it was known how to start it."""

from collections.abc import Sequence

from finetune.report.axes import Axis, Line
from finetune.report.quantities import counted
from finetune.report.read import Run

METRIC = "train/error"


def is_untrained(run: Run) -> bool | None:
    """Whether a classifier's training error stayed above half of what guessing gets; None where it is not known.

    Guessing one of c classes at random is wrong with probability 1 - 1/c.
    """
    if METRIC not in run.metrics or len(run.sizes) < 2 or run.task != "classifier":
        return None
    return run.metrics[METRIC] > 0.5 * (1 - 1 / run.sizes[-1])


def untrained_counts(line: Line, place: int) -> tuple[int, int] | None:
    """How many runs of a line did not train in a section, and of how many that is known; None where of none."""
    known = [found for run in line.arms[place].runs if (found := is_untrained(run)) is not None]
    return (sum(known), len(known)) if known else None


def untrained_sentences(axis: Axis) -> list[str]:
    """For every arm that stops training somewhere along the axis: where, and how many of its seeds."""
    sentences = []
    for line in axis.lines:
        counts = {place: found for place in sorted(line.arms) if (found := untrained_counts(line, place))}
        stopped = [
            f"{untrained} of {counted(n, 'seed')} at {axis.ticks[place]}"
            for place, (untrained, n) in counts.items()
            if untrained
        ]
        if stopped:
            sentences.append(f"{line.name} does not train: {_listed(stopped)} {axis.quantity}.")
    return sentences


def _listed(parts: Sequence[str]) -> str:
    return ", ".join(parts[:-1]) + " and " + parts[-1] if len(parts) > 1 else parts[0]
