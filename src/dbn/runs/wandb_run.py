"""Opening and closing runs in Weights & Biases, whose service may be down: nothing but the upload depends on it."""

import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dbn.runs.wandb_parts import drop_unopened, is_sent, mark_sent, parts_of, send
from dbn.runs.wandb_settings import client_settings, is_online, is_silence, patience, translated_errors

log = logging.getLogger(__name__)

AGAIN = 600.0
"""Seconds before a service that did not answer is asked again: a job of many runs does not wait for it at each."""
LATER = "The run is recorded on disk; slurm/sync.sh {directory} sends it later."

_asked_again_at = 0.0
"""Of time.monotonic(): until then, the service is not asked."""


@contextmanager
def open_run(directory: Path, settings: Mapping[str, Any], **described: Any) -> Iterator[Any]:
    """A run in Weights & Biases while the block lasts; recorded offline where its service does not answer.

    Args:
        directory: of the run; what is recorded goes below its folder ``wandb``.
        settings: ``logger.wandb``: project, entity, tags, mode.
        described: further arguments of ``wandb.init``: id, group, name, tags, ...

    Yields:
        The ``wandb.Run``. Errors of the block mark it as failed.

    Raises:
        TrackingError: there is no key, or the service refuses it, or what the run is to be called.
    """
    with translated_errors(settings):
        run = _opened(directory, settings, described)
    failed = True
    try:
        yield run
        failed = False
    finally:
        _close(directory, run, int(failed))


def _opened(directory: Path, settings: Mapping[str, Any], described: Mapping[str, Any]) -> Any:
    """The run, online if that is wanted and possible."""
    import wandb
    from wandb.errors import AuthenticationError, CommError

    arguments = {
        "dir": str(directory.absolute()),  # the client's process, which may be an agent's, has a folder of its own
        "resume": "allow",
        **described,
    }
    mode = settings.get("mode")  # None leaves it to WANDB_MODE
    if is_online(settings) and not _may_go_online(directory):
        mode = "offline"
    try:
        return wandb.init(mode=mode, settings=wandb.Settings(**client_settings()), **arguments)
    except AuthenticationError:
        raise
    except CommError as error:
        if not is_silence(error):
            raise
        _note_silence()
        log.warning("Weights & Biases does not answer (%s). %s", _cause(error), _later(directory))
    wandb.teardown()  # its process goes on asking, and holds the run's identity
    drop_unopened(directory)
    return wandb.init(mode="offline", settings=wandb.Settings(**client_settings()), **arguments)


def _may_go_online(directory: Path) -> bool:
    """Whether the service may be asked, and earlier parts of the run have reached it: points must arrive in order."""
    if time.monotonic() < _asked_again_at:
        log.warning("Weights & Biases did not answer a short while ago. %s", _later(directory))
        return False
    waiting = [part for part in parts_of(directory) if not is_sent(part)]
    if waiting and not send(waiting, patience()):
        _note_silence()
        log.warning("Weights & Biases did not take an earlier part of this run. %s", _later(directory))
        return False
    return True


def _close(directory: Path, run: Any, exit_code: int) -> None:
    """End a run, and mark what has reached the service."""
    online = not run.offline and not run.disabled
    try:
        run.finish(exit_code=exit_code)
    except TimeoutError:
        _note_silence()
        log.warning("Weights & Biases did not take all points in time. %s", _later(directory))
        return
    if online:
        part = Path(run.settings.sync_file)
        mark_sent(part)
        if not is_sent(part):
            log.warning("Weights & Biases refused points. %s", _later(directory))


def _note_silence() -> None:
    global _asked_again_at
    _asked_again_at = time.monotonic() + AGAIN


def _later(directory: Path) -> str:
    return LATER.format(directory=os.path.relpath(directory))


def _cause(error: Exception) -> str:
    """What a client's error says of its cause: the line that names the last request."""
    return max(str(error).splitlines(), key=lambda line: "retrying" in line)
