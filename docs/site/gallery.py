"""The gallery: ``gallery.md`` with the pictures that its commands draw, from stacks trained on the embedded digits.

The commands take about a minute of one core, and give the same pictures on the same machine each time.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

PAGE = Path(__file__).resolve().with_name("gallery.md")
COMMANDS = re.compile(r"```bash\n(.*?)```", re.DOTALL)
PICTURE = re.compile(r"!\[[^]]*\]\(([^)]+)\)")
PRINTED = "<!-- what it prints -->"
"""Stands for what the commands above it have printed."""


def run(commands: str, folder: Path) -> str:
    """Run commands by bash in a folder, on one thread, so that the bits are those of the next time.

    Args:
        commands: of a block of the page.
        folder: the working directory, shared by all blocks.

    Returns:
        What they print.

    Raises:
        RuntimeError: one failed, with what was printed.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    quiet = {"CI": "true", "COLUMNS": "100", "NO_COLOR": "1", "OMP_NUM_THREADS": "1", "PATH": path}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=folder,
        env={**os.environ, **quiet},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"the gallery's commands\n\n{commands}\nfailed:\n\n{done.stdout}")
    return done.stdout


def write_gallery(folder: Path, run: Callable[[str, Path], str] = run) -> None:
    """Run the commands of every block, and write the page and its pictures.

    Args:
        folder: where they go; it is made.
        run: what runs a block's commands in a folder, and returns what they print.

    Raises:
        RuntimeError: a command failed.
        FileNotFoundError: no command has drawn a picture that the page shows.
    """
    text = PAGE.read_text(encoding="utf-8")
    first, *parts = re.split(r"^(?=## )", text, flags=re.MULTILINE)
    folder.mkdir(parents=True, exist_ok=True)
    written = [first]
    with tempfile.TemporaryDirectory() as place:
        for number, part in enumerate(parts, start=1):
            print(f"gallery {number} of {len(parts)}: {part.splitlines()[0].lstrip('# ')}", flush=True)
            printed = "".join(run(commands, Path(place)) for commands in COMMANDS.findall(part))
            written.append(part.replace(PRINTED, f"```text\n{printed.rstrip()}\n```"))
        for picture in PICTURE.findall(text):
            shutil.copy(Path(place) / picture, folder)
    (folder / "index.md").write_text("".join(written), encoding="utf-8")
