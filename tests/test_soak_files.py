"""What soaking compares: everything but times and what the processes leave of themselves."""

import json
from pathlib import Path

import pytest

from cluster.soak_files import differences

RUN = "s/finetune/dbn_seed0"


@pytest.fixture
def studies(tmp_path: Path) -> tuple[Path, Path]:
    """Two studies that differ in times, logs and process records alone."""
    folders = tmp_path / "one", tmp_path / "other"
    for number, folder in enumerate(folders):
        (folder / RUN / "checkpoints").mkdir(parents=True)
        (folder / RUN / "checkpoints/last.ckpt").write_text(str(number))
        (folder / RUN / "process.json").write_text(f'{{"pid": {number}}}')
        (folder / RUN / "finetune.log").write_text(str(number))
        (folder / RUN / "network.safetensors").write_bytes(b"weights")
        write(folder, 0.25, float(number))
    return folders


def write(folder: Path, error: float, seconds: float) -> None:
    content = {"metrics": {"test/error": error}, "seconds": seconds, "greedy": {"seconds": seconds, "epochs": 3}}
    (folder / RUN / "result.json").write_text(json.dumps(content))
    (folder / "s/results.csv").write_text(f"arm,test/error,seconds\ndbn,{error},{seconds}\n")


def test_times_are_no_difference(studies: tuple[Path, Path]) -> None:
    assert differences(*studies) == []


def test_numbers_bytes_and_missing_files_are(studies: tuple[Path, Path]) -> None:
    one, other = studies
    write(other, 0.5, 1.0)
    assert differences(one, other) == [f"{RUN}/result.json (metrics.test/error: 0.25, 0.5)", "s/results.csv"]
    write(other, 0.25, 1.0)
    (other / RUN / "network.safetensors").write_bytes(b"other")
    assert differences(one, other) == [f"{RUN}/network.safetensors"]
    (one / RUN / "network.safetensors").unlink()
    assert differences(one, other) == [f"{RUN}/network.safetensors (in one only)"]
