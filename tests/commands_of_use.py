"""Calls of dbn-finetune and of what uses its networks, several in one process: importing torch takes the longest."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CALL_ALL = """
import contextlib, io, json, os, sys
from importlib import import_module
answers = []
for module, *arguments in json.loads(sys.argv[1]):
    sys.argv[:] = ["command", *arguments]
    os.environ.pop("HYDRA_FULL_ERROR", None)  # which a command sets for its own process
    out, error, status = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        try:
            import_module(module).main()
        except SystemExit as left:
            status = left.code or 0
    answers.append([status, out.getvalue(), error.getvalue()])
print("\\n" + json.dumps(answers))
"""
TRAIN, PREDICT, FEATURES = "finetune.train", "finetune.predict", "finetune.features"
SAMPLE, EXPORT = "dbn.sample", "finetune.export.command"


@dataclass(frozen=True)
class Answer:
    """Exit status of a command, and what it printed."""

    status: int
    out: str
    error: str


def call_all(folder: Path, calls: Sequence[Sequence[str]]) -> list[Answer]:
    """Call commands in a folder, each given by its module and arguments."""
    variables = {**os.environ, "OMP_NUM_THREADS": "1", "CI": "true"}
    words = [sys.executable, "-c", CALL_ALL, json.dumps([list(call) for call in calls])]
    done = subprocess.run(words, cwd=folder, env=variables, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return [Answer(*answer) for answer in json.loads(done.stdout.splitlines()[-1])]


def call(folder: Path, *words: str) -> str:
    """Call one command, which must succeed; what it printed."""
    (answer,) = call_all(folder, [words])
    assert answer.status == 0, answer.error
    return answer.out
