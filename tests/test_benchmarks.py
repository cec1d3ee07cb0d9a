"""The benchmark's own machinery, on a tenth of its work: speeds themselves are nothing to assert in a test."""

import json
import os
import subprocess
import sys
from pathlib import Path

from dbn.commands.configuration import config_directory
from dbn.machine.processor import processor_name

BENCHMARKS = config_directory().parent / "benchmarks"


def run(script: str, *arguments: str) -> str:
    """A script of the benchmarks in a process of its own; what it printed."""
    command = [sys.executable, str(BENCHMARKS / script), *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CI": "true"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_contest_is_measured_and_tables_of_others_stay(tmp_path: Path) -> None:
    speeds = {"five products": [1.0, 1.0, 1.0], "our public path, auto": [2.0, 1.5, 3.0]}
    title = "16 seeds of RBM 64 x 100, batch 10, 1 thread"
    other = {"title": title, "speeds": speeds, "rounds": 5, "date": "then", "machine": "another machine"}
    (tmp_path / "results.json").write_text(json.dumps([other]))
    printed = run(
        "run.py", "--quick", "--rounds", "2", "--threads", "1", "--only", "16 seeds", "--output", str(tmp_path)
    )
    results = json.loads((tmp_path / "results.json").read_text())
    assert [table["title"] for table in results].count(title) == 2
    assert len({table["machine"] for table in results}) == 2
    assert all(0 < low <= median <= high for median, low, high in results[1]["speeds"].values())
    report = (tmp_path / "RESULTS.md").read_text()
    assert report.index("## another machine") < report.index("then, 5 rounds.") < report.index(f"## {processor_name()}")
    assert report.count(f"### {title}") == 2
    assert "| our public path, auto | 2 | 2 | 3 | 2.00 | 1.00 |" in report
    assert "16 RBMs at once" in printed


def test_precision_is_compared_seed_by_seed(tmp_path: Path, data_root: Path) -> None:
    run("precision_study.py", "--quick", "--seeds", "2", "--output", str(tmp_path))
    report = (tmp_path / "PRECISION.md").read_text()
    assert "seeds 0 to 1" in report
    rows = [line.split("|")[1:-1] for line in report.splitlines() if line.startswith("| ")]
    assert [row[0].strip() for row in rows[1:3]] == [
        "test error, %",
        "test negative log-likelihood of the labels, nats",
    ]
    assert not any(row[0].strip().startswith("free energy of") for row in rows), "known up to each model's own log Z"
    error = float(rows[1][1].split("±")[0])
    assert 2 < error < 10, "one epoch of each"


def test_a_rehearsal_of_the_gpu_s_benchmark_writes_its_tables(tmp_path: Path) -> None:
    """Numbers of another device stay."""
    other = {"table": "RBM 20 x 10, batch 5", "subject": "five products, bf16", "value": 12345.0, "unit": "images/s"}
    (tmp_path / "gpu_results.json").write_text(json.dumps([{**other, "device": "H9", "torch": "9", "date": "then"}]))
    printed = run("gpu.py", "--tiny", "--only", "products", "fine_tuning", "--output", str(tmp_path))
    assert "ended with" not in printed
    rows = json.loads((tmp_path / "gpu_results.json").read_text())
    assert len({(row["device"], row["table"], row["subject"]) for row in rows}) == len(rows) == 1 + 6 + 5
    assert all(row["value"] > 0 for row in rows)
    report = (tmp_path / "GPU.md").read_text()
    assert "| five products, bf16 | 12345 | images/s | then, 9 |" in report
    assert "### Fine-tuning 20-8-10 with dropout, batch 5" in report


def test_a_part_of_the_gpu_s_benchmark_ends_in_time_and_keeps_what_it_has() -> None:
    code = (
        "import sys, time; sys.path.insert(0, 'benchmarks'); import gpu; start = time.monotonic();"
        "lines = gpu.run([sys.executable, '-c', 'print(1, flush=True); import time; time.sleep(100)'], 3.0);"
        "assert time.monotonic() - start < 60; print(lines)"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, cwd=BENCHMARKS.parent)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["1", "ended with -9: its time was up", "['1']"]
