"""An environment of its own for every peer, with the versions this benchmark was written for."""

import shutil
import subprocess
import sys
from pathlib import Path

ENVIRONMENTS = Path(__file__).resolve().parent / ".environments"
TORCH = "torch==2.13.0"
PEERS = {"rbms": "rbms==0.6.0", "learnergy": "learnergy==2.0.2"}
NEEDS = {"rbms": (3, 12), "learnergy": (3, 11)}


def interpreter_for(peer: str) -> Path | None:
    """The interpreter of the peer's environment, made now if need be; None, with a word, where that cannot be."""
    python = ENVIRONMENTS / peer / "bin" / "python"
    if python.is_file():
        return python
    base = base_interpreter(NEEDS[peer])
    if base is None:
        print(f"{peer}: left out, it needs Python {'.'.join(map(str, NEEDS[peer]))} and none is at hand.")
        return None
    print(f"{peer}: making its environment ...", flush=True)
    try:
        subprocess.run([base, "-m", "venv", str(ENVIRONMENTS / peer)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, TORCH, PEERS[peer]], check=True)
    except subprocess.CalledProcessError as error:
        shutil.rmtree(ENVIRONMENTS / peer, ignore_errors=True)
        print(f"{peer}: left out, its environment could not be made ({error}).")
        return None
    return python


def base_interpreter(minimum: tuple[int, int]) -> str | None:
    """A Python of that version or newer: this one, or the lowest that is on the path."""
    if sys.version_info >= minimum:
        return sys.executable
    for minor in range(minimum[1], minimum[1] + 4):
        found = shutil.which(f"python{minimum[0]}.{minor}")
        if found and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0:
            return found
    return None
