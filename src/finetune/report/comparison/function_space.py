"""How far apart the functions are that networks compute: distances between recorded outputs on the same images."""

from collections.abc import Sequence
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from dbn.errors import DataError
from finetune.report.results.run_result import RunResult
from finetune.report.results.study import Study
from finetune.runs.recorded_trajectory import RecordedTrajectory, read_trajectory

RecordedRun = tuple[RunResult, RecordedTrajectory]


def group_by_images(study: Study) -> tuple[list[list[RecordedRun]], list[str]]:
    """Runs with at least two recorded epochs, grouped by the images whose outputs were recorded.

    Returns:
        The groups, and a message for each file that cannot be read.
    """
    groups: dict[tuple[str, tuple[int, ...], str], list[RecordedRun]] = {}
    errors = []
    for run in study.of_stage("finetune"):
        try:
            trajectory = read_trajectory(run.directory)
        except DataError as error:
            errors.append(str(error))
            continue
        if trajectory is not None and len(trajectory.epochs) > 1:
            data = run.config.get("data", {})  # the split decides which images were recorded
            key = run.data, trajectory.outputs.shape[1:], f"{data.get('split_seed')} {data.get('validation')}"
            groups.setdefault(key, []).append((run, trajectory))
    return list(groups.values()), errors


def total_variation(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Total variation between class probabilities ``(n_images, n_classes)``, mean over images, from 0 to 1."""
    return float(0.5 * np.abs(a - b).sum(-1).mean())


def mean_distance(one: Sequence[RecordedRun], other: Sequence[RecordedRun]) -> float | None:
    """Mean total variation between the final outputs of two arms; between the seeds of an arm for an arm and itself.

    None for one run and itself.
    """
    pairs = combinations(one, 2) if one is other else product(one, other)
    values = [total_variation(a.outputs[-1], b.outputs[-1]) for (_, a), (_, b) in pairs]
    return float(np.mean(values)) if values else None
