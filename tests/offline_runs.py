"""Offline runs of Weights & Biases, as its own inspector reads them."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any


def offline_runs(folder: Path) -> list[Path]:
    """Directories of offline runs below a run's directory."""
    return sorted(path for path in (folder / "wandb").iterdir() if path.name.startswith("offline-run-"))


def records(run: Path) -> list[dict[str, Any]]:
    """Every record of an offline run. The inspector gets a folder of settings of its own and no network."""
    (file,) = run.glob("run-*.wandb")
    with tempfile.TemporaryDirectory() as settings:
        environment = {**os.environ, "WANDB_MODE": "offline", "WANDB_CONFIG_DIR": settings}
        command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(file)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{command} ended with {done.returncode}: {done.stderr or done.stdout[-500:]}"
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
