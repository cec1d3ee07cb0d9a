"""How fast on a GPU: ``make bench`` measures that, too, where there is one.

First come the tests that need a GPU. Then every part works in a process of its own under a time limit, so that one that
fails or hangs costs no other. Lines are printed as they are measured; ``gpu_results.json`` and ``GPU.md`` hold a table
for each device. What is not measured again this time stays as it was.

``--tiny`` rehearses everything on small sizes, on the CPU where there is no GPU.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import torch
from gpu_parts import PARTS, Setup

from dbn.machine.processor import processor_name

HERE = Path(__file__).resolve().parent
TESTS = (
    "tests/dbn/data/test_uploads.py", "tests/dbn/machine/test_cuda_graphs.py",
    "tests/finetune/tasks/test_recorded_steps.py", "tests/test_device.py",
)  # fmt: skip
TEST_SECONDS = 150
MARK = "measured: "


def main() -> None:
    """Measure and write, or do a part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="small sizes and short timings, to see that it runs")
    parser.add_argument("--seconds", type=float, default=5.0, help="of steps in each timing (default 5)")
    parser.add_argument("--limit", type=float, default=590.0, help="seconds that all parts may take (default 590)")
    names = ["tests", *PARTS]
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="parts to do (default: all)")
    parser.add_argument("--output", type=Path, default=HERE, help="folder for gpu_results.json and GPU.md")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    options = parser.parse_args()

    setup = Setup(
        "cuda" if torch.cuda.is_available() else "cpu", 0.05 if options.tiny else options.seconds, options.tiny
    )
    if setup.device == "cpu" and not setup.tiny:
        parser.error("there is no GPU here; --tiny rehearses on the CPU")
    if options.part is not None:
        for measured in PARTS[options.part][0](setup):
            print(MARK + json.dumps(asdict(measured)), flush=True)
        return
    started = time.monotonic()
    for name in options.only:
        limit = TEST_SECONDS if name == "tests" else PARTS[name][1]
        left = options.limit - (time.monotonic() - started)
        if left < 10:
            print(f"{name}: left out, no time", flush=True)
            continue
        part = [sys.executable, str(HERE / "gpu.py"), "--part", name, "--seconds", str(options.seconds)]
        tests = [sys.executable, "-m", "pytest", "-q", "-k", "gpu", "-p", "no:cacheprovider", *TESTS]
        command = tests if name == "tests" else [*part, *(["--tiny"] if setup.tiny else [])]
        begun = time.monotonic()
        output = run(command, min(limit, left))
        print(f"{name}: {time.monotonic() - begun:.0f} s", flush=True)
        found = [json.loads(line.removeprefix(MARK)) for line in output if line.startswith(MARK)]
        if name == "tests":
            found = [{"table": "Tests on the GPU", "subject": output[-1], "value": None, "unit": ""}] if output else []
        write(options.output, found)
    print(f"written: {options.output / 'GPU.md'}")


def run(command: list[str], limit: float) -> list[str]:
    """The lines that a command printed until it ended, or its time was up; each is shown at once."""
    process = subprocess.Popen(
        command, cwd=HERE.parent, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"}, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    timer = subprocess.Popen(["sh", "-c", f"sleep {limit}; kill -KILL -{process.pid}"], start_new_session=True)
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        print(lines[-1], flush=True)
    process.wait()
    if timer.poll() is None:
        os.killpg(timer.pid, 15)
    timer.wait()
    if process.returncode:
        print(
            f"ended with {process.returncode}" + (": its time was up" if process.returncode == -9 else ""), flush=True
        )
    return lines


def write(folder: Path, found: list[dict[str, object]]) -> None:
    """Put numbers into ``gpu_results.json``, over those of the same device and subject, and write ``GPU.md``."""
    folder.mkdir(parents=True, exist_ok=True)
    store = folder / "gpu_results.json"
    rows = json.loads(store.read_text(encoding="utf-8")) if store.is_file() else []
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{processor_name()} (no GPU)"
    date = datetime.datetime.now().astimezone().strftime("%d %B %Y")
    for row in found:
        rows.append({**row, "device": device, "torch": torch.__version__, "date": date})
    known = {(row["device"], row["table"], row["subject"] if row["unit"] else ""): row for row in rows}
    store.write_text(json.dumps(list(known.values()), indent=1) + "\n", encoding="utf-8")
    lines = ["# Speed on a GPU", "", "`make bench` on a machine with one; see `gpu.py` and `gpu_parts.py`.", ""]
    for own in dict.fromkeys(row["device"] for row in known.values()):
        lines += [f"## {own}", ""]
        tables = [row for row in known.values() if row["device"] == own]
        for table in dict.fromkeys(row["table"] for row in tables):
            lines += [f"### {table}", "", "| | | | date, torch |", "|---|--:|---|---|"]
            for row in (row for row in tables if row["table"] == table):
                value = "" if row["value"] is None else f"{row['value']:.5g}"
                lines.append(f"| {row['subject']} | {value} | {row['unit']} | {row['date']}, {row['torch']} |")
            lines.append("")
    (folder / "GPU.md").write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
