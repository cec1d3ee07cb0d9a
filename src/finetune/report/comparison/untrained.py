"""Which runs did not train at all, as deep sigmoid networks from standard random weights do not."""

from finetune.report.comparison.axes import AxisLine
from finetune.report.results.run_result import RunResult

_TRAINING_ERROR = "train/error"


def is_untrained(run: RunResult) -> bool | None:
    """Whether a classifier's training error is above half of that of random guessing, 1 - 1/c for c classes.

    None for other tasks, and where the training error is not known.
    """
    if _TRAINING_ERROR not in run.metrics or len(run.sizes) < 2 or run.task != "classifier":
        return None
    return run.metrics[_TRAINING_ERROR] > 0.5 * (1 - 1 / run.sizes[-1])


def untrained_counts(line: AxisLine, index: int) -> tuple[int, int] | None:
    """Number of untrained runs of an arm in the section ``index`` of its axis, and of all runs where that is known.

    None where it is known of no run.
    """
    known = [found for run in line.arms[index].runs if (found := is_untrained(run)) is not None]
    return (sum(known), len(known)) if known else None
