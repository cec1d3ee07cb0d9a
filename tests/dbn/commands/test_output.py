"""Output that is closed, cut off, narrow, or in an encoding without our signs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SMALL = "arm=random_relu stack.layers=[4] training.epochs=1"
FINETUNE = f"{sys.executable} -m finetune.train"


def shell(command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    variables = {**os.environ, "OMP_NUM_THREADS": "1", "CI": "true", **environment}
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], cwd=folder, env=variables, capture_output=True, timeout=300
    )


def test_help_whose_reader_leaves_ends_quietly(tmp_path: Path) -> None:
    done = shell(f"{FINETUNE} --help | (read -r line; sleep 0.1; exec 0<&-; echo $line)", tmp_path)
    assert done.stdout.startswith(b"dbn-finetune trains")
    assert done.stderr == b""
    assert done.returncode in (0, 141)


def test_a_run_whose_reader_leaves_is_not_called_failed(tmp_path: Path) -> None:
    done = shell(f"{FINETUNE} {SMALL} 2>&1 | true", tmp_path)
    assert done.returncode == 141
    assert b"Traceback" not in done.stderr
    assert not list(tmp_path.rglob("error.txt"))


@pytest.mark.parametrize(
    ("redirection", "environment"),
    [
        ("", {"PYTHONIOENCODING": "ascii", "COLUMNS": "10"}),
        ("", {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "COLUMNS": "1"}),
        (">&- 2>&-", {}),
    ],
    ids=["ascii, narrow", "C, a column", "closed"],
)
def test_a_run_ends_well_on_any_output(redirection: str, environment: dict[str, str], tmp_path: Path) -> None:
    done = shell(f"{FINETUNE} {SMALL} {redirection}", tmp_path, **environment)
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert list(tmp_path.rglob("result.json"))
    assert (done.stdout + done.stderr).isascii()


def test_signs_that_an_encoding_lacks_are_written_plainly(tmp_path: Path) -> None:
    program = (
        "from dbn.commands.output import safe_output\nwith safe_output(): print('1 \u00b1 2 \u2212 3 \u00d7 \u5b57')"
    )
    done = shell(f'{sys.executable} -c "{program}"', tmp_path, PYTHONIOENCODING="ascii")
    assert done.stdout == b"1 +- 2 - 3 x ?\n", done.stderr
