"""Jobs of a sweep that SLURM runs as an array: one that is cancelled or killed does not end the sweep."""

import logging
import re
import subprocess
import time

from submitit.core.utils import UncompletedJobError

log = logging.getLogger(__name__)

POLL_SECONDS = 5.0


def wait_for_array(error: UncompletedJobError) -> None:
    """Wait for the other elements of an array of which one ended without a word.

    submitit waits for the elements in their order and gives up at the first of these.
    """
    found = re.search(r"Job (\d+)_\d+ ", str(error))
    if found is None:
        return
    array = found.group(1)
    log.warning("%s\nWaiting for the other jobs of array %s.", str(error).splitlines()[0], array)
    while at_work(array):
        time.sleep(POLL_SECONDS)


def at_work(array: str) -> bool:
    """Whether SLURM still has jobs of the array, waiting or running."""
    command = ["squeue", "--noheader", f"--jobs={array}", "--format=%i"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode == 0 and bool(done.stdout.strip())
