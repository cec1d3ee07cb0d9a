"""What a run's file keeps of a network's trajectory in function space, see :mod:`finetune.runs.trajectory`."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from dbn.errors import DataError

TRAJECTORY_FILE = "trajectory.safetensors"


@dataclass(frozen=True, eq=False)
class RecordedTrajectory:
    """Content of ``trajectory.safetensors``.

    Attributes:
        epochs: number of epochs before each snapshot, ascending, int64 ``(snapshots,)``.
        outputs: class probabilities, float32 ``(snapshots, n, n_classes)``.
    """

    epochs: NDArray[np.int64]
    outputs: NDArray[np.float32]


def read_trajectory(directory: Path) -> RecordedTrajectory | None:
    """The trajectory in a run's directory; None if none was recorded.

    Raises:
        DataError: the file is damaged.
    """
    path = directory / TRAJECTORY_FILE
    if not path.is_file():
        return None
    try:
        tensors = load_file(path)
        epochs, outputs = tensors["epochs"].astype(np.int64), tensors["outputs"].astype(np.float32)
    except (SafetensorError, OSError, KeyError) as error:
        raise DataError(f"{path}: not readable as a trajectory ({error}). Delete it and do the run again.") from error
    if outputs.ndim != 3 or epochs.shape != outputs.shape[:1]:
        raise DataError(
            f"{path}: outputs {outputs.shape} do not fit epochs {epochs.shape}. Delete it and do the run again."
        )
    return RecordedTrajectory(epochs, outputs)
