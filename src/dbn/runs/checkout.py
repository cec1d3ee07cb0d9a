"""The state of the source code that runs are made by."""

import subprocess
from pathlib import Path
from typing import Any


def checkout_state() -> dict[str, Any] | None:
    """``commit`` of the package's source checkout, and whether it is ``dirty``, i.e. has uncommitted changes.

    Returns:
        The state; None for an installed package or without git.
    """
    here = Path(__file__).resolve().parent

    def git(*arguments: str) -> str:
        command = ["git", "--no-optional-locks", "-C", str(here), *arguments]  # a killed git would leave a lock
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout.strip()

    try:
        tracked = git("ls-files", "--", Path(__file__).name)
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))} if tracked else None
    except (OSError, subprocess.SubprocessError):
        return None
