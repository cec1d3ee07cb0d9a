"""The benchmark's own machinery, on a tenth of its work: speeds themselves are nothing to assert in a test."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dbn.commands.configuration import config_directory
from dbn.machine.processor import processor_name

BENCHMARKS = config_directory().parent / "benchmarks"
SPEC = importlib.util.spec_from_file_location("benchmark_results", BENCHMARKS / "results.py")
assert SPEC is not None
assert SPEC.loader is not None
results = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(results)


def run(script: str, *arguments: str, may_fail: bool = False) -> str:
    """A script of the benchmarks in a process of its own; what it printed."""
    command = [sys.executable, str(BENCHMARKS / script), *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CI": "true"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0 or (may_fail and done.returncode == 1), done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


def test_a_contest_is_measured_and_tables_of_the_same_code_stay(tmp_path: Path) -> None:
    speeds = {"five products": [1.0, 1.0, 1.0], "our public path, auto": [2.0, 1.5, 3.0]}
    title = "16 seeds of RBM 64 x 100, batch 10, 1 thread"
    other = {"title": title, "speeds": speeds, "rounds": 5, "date": "then", "code": results.fingerprint()}
    stored = [
        {**other, "machine": "another machine"},
        {**other, "machine": "a third machine", "code": "of old"},
        {key: value for key, value in {**other, "machine": "a fourth machine"}.items() if key != "code"},
        {**other, "title": "another contest", "code": "of old", "machine": this_machine()},
    ]
    (tmp_path / "results.json").write_text(json.dumps(stored))
    printed = run(
        "run.py", "--quick", "--rounds", "2", "--threads", "1", "--only", "16 seeds", "--output", str(tmp_path)
    )
    tables = json.loads((tmp_path / "results.json").read_text())
    assert [table["title"] for table in tables].count(title) == 2
    assert {table["machine"] for table in tables} == {"another machine", this_machine()}
    assert not [table for table in tables if table["title"] == "another contest"]
    assert all(0 < low <= median <= high for median, low, high in tables[1]["speeds"].values())
    report = (tmp_path / "RESULTS.md").read_text()
    assert report.index("## another machine") < report.index("then, 5 rounds.") < report.index(f"## {processor_name()}")
    assert report.count(f"### {title}") == 2
    assert "| our public path, auto | 2 | 2 | 3 | 2.00 | 1.00 |" in report
    assert "16 RBMs at once" in printed


def test_a_contest_says_whether_the_table_chose_right(tmp_path: Path) -> None:
    printed = run(
        "run.py", "--quick", "--rounds", "1", "--threads", "1", "--only", "network 784", "--output", str(tmp_path)
    )
    words = r"our fine-tuning, best rounds: auto \d\.\d\d of float32, \d\.\d\d of bf16; (the table|THE TABLE) "
    assert len(re.findall(words, printed)) == 2
    assert len(re.findall(words, (tmp_path / "RESULTS.md").read_text())) == 2


@pytest.mark.parametrize(
    ("float32", "bf16", "auto", "words"),
    [
        (100, 150, 146, "auto 1.46 of float32, 0.97 of bf16; the table chose right."),
        (100, 60, 98, "auto 0.98 of float32, 1.63 of bf16; the table chose right."),
        (100, 150, 100, "auto 1.00 of float32, 0.67 of bf16; THE TABLE CHOSE WRONG: bf16."),
        (100, 60, 60, "auto 0.60 of float32, 1.00 of bf16; THE TABLE CHOSE WRONG: float32."),
    ],
)
def test_three_percent_decide(float32: float, bf16: float, auto: float, words: str) -> None:
    assert results.verdict("our step", float32, bf16, auto) == f"our step, best rounds: {words}"


def test_rows_of_the_precision_table_are_measured() -> None:
    printed = run("precision_rows.py", "--rounds", "1", "--threads", "1", "--seconds", "0.01", may_fail=True)
    rows = [line.split("|")[1:-1] for line in printed.splitlines() if line.startswith(("| rbm", "| network"))]
    assert [cell.strip() for cell in rows[0][:4]] == ["rbm", "784 x 500, batch 100", "39.2", "1"]
    for row in rows:
        float32, bf16 = (float(speed) for speed in row[4].split("/")[:2])
        assert float(row[5].split()[1].strip(",")) == pytest.approx(bf16 / float32, abs=0.02)
    shapes = {row[1].strip() for row in rows}
    assert {"64 x 100, batch 10", "500 x 2000, batch 100", "784-500-500-2000-10, batch 1000"} <= shapes
    assert re.search(r"^rbm, bf16 at batch 100 and more: (faster than float32 from \d+|not faster)", printed, re.M)


def this_machine() -> str:
    """As tables name it."""
    return str(results.Table.of("", {"": [1.0]}, "").machine)


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
