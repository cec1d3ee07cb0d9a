"""One run's ``pictures.npz``: filters, samples, reconstructions and features as arrays."""

import zipfile

import numpy as np
from numpy.typing import NDArray

from dbn.errors import DataError
from finetune.report.results.run_result import RunResult


def read_pictures(run: RunResult) -> dict[str, NDArray[np.float64]]:
    """Arrays by name; none where the run kept no pictures.

    Raises:
        DataError: the file is damaged.
    """
    path = run.directory / "pictures.npz"
    if not path.is_file():
        return {}
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {key: np.asarray(archive[key], dtype=np.float64) for key in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{run.path}/pictures.npz cannot be read: {error}") from error
