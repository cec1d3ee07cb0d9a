"""How long ``dbn-status`` takes on a study of a thousand runs: ``python benchmarks/status_of_many.py``.

Makes the study in a temporary folder: result files of the size of real ones, and a plan of which a tenth of the runs is
missing and a twentieth half done. Prints seconds of the processor, which other work on the machine changes little: of
the whole command, of its start alone (a study of three runs), and of a second look, as ``watch=true`` takes it.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from finetune.report.results.study_state import Known, read_study_state

EPOCHS = 100
MISTAKES = [{"index": number, "label": 3, "predicted": 5, "probability": 0.987654321} for number in range(24)]


def make_study(directory: Path, n_runs: int) -> None:
    """Write the study: of ten runs one is missing, of twenty one is half done."""
    jobs = []
    history = "epoch,train/loss,validation/error,validation/nll\n" + "".join(
        f"{epoch},{1 / (epoch + 1)!r},{0.1 / (epoch + 1)!r},{0.4 / (epoch + 1)!r}\n" for epoch in range(EPOCHS // 2)
    )
    for number in range(n_runs):
        name, seed = f"arm{number % 10}", number // 10
        command = f"dbn-finetune arm={name} seed={seed} study=many training.epochs={EPOCHS}"
        jobs.append(
            {"arm": name, "name": name, "seed": seed, "overrides": command.split()[1:], "command": command,
             "epochs": EPOCHS, "labels": "1000"}
        )  # fmt: skip
        run = directory / "finetune" / f"{name}_seed{seed}"
        if number % 20 == 1:
            run.mkdir(parents=True)
            (run / ".lock").touch()
            (run / "metrics.csv").write_text(history, encoding="utf-8")
        elif number % 10:
            run.mkdir(parents=True)
            (run / "result.json").write_text(json.dumps(result(name, seed), indent=2), encoding="utf-8")
    (directory / "sweep.json").write_text(json.dumps({"jobs": jobs}, indent=2), encoding="utf-8")


def result(name: str, seed: int) -> dict[str, Any]:
    """A result of about ten kilobytes, as those of real runs."""
    settings = {f"group{k}": {f"setting{m}": m / 7 for m in range(12)} for k in range(12)}
    return {
        "study": "many", "stage": "finetune", "task": "classifier", "name": name, "arm": name, "seed": seed,
        "data": "mnist", "n_labelled": 1000, "metrics": {"validation/error": 0.03, "test/error": 0.031},
        "epochs": EPOCHS, "seconds": 50.0, "mistakes": MISTAKES, "config": settings, "versions": {"python": "3.11"},
        "git": {"commit": "0" * 40, "dirty": False}, "machine": {"cpu": "a processor"},
    }  # fmt: skip


def processor_seconds(study: Path) -> float:
    """Seconds of the processor that the command takes, its children's included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "finetune.report.status", str(study)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> None:
    """Make the studies and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    n_runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        many, one = Path(folder, "many"), Path(folder, "one")
        make_study(many, n_runs)
        make_study(one, 3)
        print(f"dbn-status, {n_runs} runs: {processor_seconds(many):.2f} s of the processor")
        print(f"dbn-status, 3 runs: {processor_seconds(one):.2f} s")
        known: Known = {}
        for look in ("first", "second"):
            start = time.process_time()
            read_study_state(many, known)
            print(f"{look} look: {time.process_time() - start:.2f} s")


if __name__ == "__main__":
    main()
