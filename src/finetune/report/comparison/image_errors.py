"""Which test images each run of an arm misclassifies."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dbn.errors import ModelFileError
from finetune.report.results.run_result import RunResult
from finetune.tasks.predictions import Predictions, read_predictions

METRIC = "test/error"
"""The metric that predictions of test images explain image by image."""
ReadPredictions = Callable[[RunResult], Predictions | None]


def predictions_of_run(run: RunResult) -> Predictions | None:
    """The predictions that a run kept; None where there are none that can be read."""
    try:
        return read_predictions(run.directory)
    except ModelFileError:  # the page names the file: see class_errors
        return None


@dataclass(frozen=True, eq=False)
class ImageErrors:
    """True classes of the test images, ``(n_test,)``, and which of them each run misclassifies, by seed."""

    labels: Mapping[int, NDArray[np.int64]]
    wrong: Mapping[int, NDArray[np.bool_]]

    def covers(self, seeds: Iterable[int]) -> bool:
        """Whether the errors of all these seeds are known."""
        return all(seed in self.wrong for seed in seeds)


def read_image_errors(runs: Sequence[RunResult], read: ReadPredictions) -> ImageErrors:
    """Errors of the runs that kept predictions, as far as these agree with the run's test error."""
    labels, wrong = {}, {}
    for run in runs:
        found = read(run) if METRIC in run.metrics else None
        if found is None or len(found.label) < 2:
            continue
        misclassified = found.predicted != found.label
        if abs(float(misclassified.mean()) - run.metrics[METRIC]) < 0.5 / len(misclassified):
            labels[run.seed], wrong[run.seed] = found.label, misclassified
    return ImageErrors(labels, wrong)


def same_images(errors: Sequence[ImageErrors], seeds: Sequence[int]) -> bool:
    """Whether all seeds of all arms were tested on images of the same classes in the same order.

    Where each seed draws test images of its own, the spread over seeds holds that over images already.
    """
    if not seeds or not all(own.covers(seeds) for own in errors):
        return False
    first = errors[0].labels[seeds[0]]
    return all(_equal(own.labels[seed], first) for own in errors for seed in seeds)


def _equal(labels: NDArray[np.int64], others: NDArray[np.int64]) -> bool:
    return labels is others or np.array_equal(labels, others)
