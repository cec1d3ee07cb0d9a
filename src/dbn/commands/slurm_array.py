"""SLURM job arrays: a cancelled or killed job does not end the sweep."""

import logging
import re
import subprocess
import time

from submitit.core.utils import UncompletedJobError

log = logging.getLogger(__name__)

POLL_SECONDS = 5.0


def wait_for_array(error: UncompletedJobError) -> None:
    """Wait for the other elements of an array after one has ended without a result.

    submitit waits for the elements in order and gives up at the first such one.
    """
    found = re.search(r"Job (\d+)_\d+ ", str(error))
    if found is None:
        return
    array = found.group(1)
    log.warning("%s\nWaiting for the other jobs of array %s.", str(error).splitlines()[0], array)
    while has_unfinished_jobs(array):
        time.sleep(POLL_SECONDS)


def has_unfinished_jobs(array: str) -> bool:
    """Whether SLURM has pending or running jobs of the array."""
    command = ["squeue", "--noheader", f"--jobs={array}", "--format=%i"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode == 0 and bool(done.stdout.strip())
