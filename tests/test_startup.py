"""What a command imports: whole processes, of which none may load what it has no use for."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

TRAINING = ["torch", "pytorch_lightning", "lightning_fabric", "torchmetrics"]
"""Packages that train: seconds to import."""
SLOW = [*TRAINING, "sklearn", "scipy", "pandas", "matplotlib", "wandb", "numpy"]

AND_THEN = """
import json, runpy, sys
module, *sys.argv = sys.argv[1:]
status = 0
try:
    __import__(module, fromlist=["main"]).main()
except SystemExit as left:
    status = left.code or 0
names = {".".join(name.split(".")[:depth]) for name in sys.modules for depth in (1, 2)}
print("\\n" + json.dumps({"status": status, "loaded": sorted(names)}))
"""
"""Runs a command's main(), and says which packages and parts of packages have been imported by then."""
SLOW_PARTS = ["scipy.stats", "scipy.optimize", "scipy.interpolate", "scipy.spatial", "numpy.f2py"]
"""What torchmetrics would import with scipy.signal, for a single old name."""

DBN_STATUS, DBN_REPORT, DBN_EXPORT = "finetune.report.status", "finetune.report.command", "finetune.export.command"
USE = ["finetune.predict", "finetune.features", "dbn.sample", "dbn.evaluate"]


def run(folder: Path, module: str, *arguments: str) -> tuple[int, set[str], str]:
    """Exit status, packages imported, and what was printed."""
    command = [sys.executable, "-c", AND_THEN, module, "command", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    *printed, said = done.stdout.splitlines()
    report = json.loads(said)
    return report["status"], set(report["loaded"]), "\n".join(printed) + done.stderr


@pytest.mark.parametrize(
    "module",
    ["finetune.train", "dbn.pretrain", "finetune.describe", *USE, DBN_REPORT, DBN_STATUS, DBN_EXPORT, "dbn.fetch_data"],
)
def test_help_imports_nothing_slow(module: str, tmp_path: Path) -> None:
    status, loaded, printed = run(tmp_path, module, "--help")
    assert (status, loaded & set(SLOW)) == (0, set())
    assert "dbn-" in printed or "usage:" in printed


@pytest.mark.parametrize(
    ("module", "argument", "words"),
    [
        ("finetune.train", "arm=nosuch", "arm=nosuch: no such choice."),
        ("finetune.train", "hydra/sweeper=optuna", "sweep=optuna searches without it"),
        ("finetune.train", "training.epochz=3", "Did you mean training.epochs"),
        ("finetune.train", "seed=[", "seed=[: this cannot be read."),
        ("dbn.pretrain", "data=nosuch", "data=nosuch: no such choice."),
        ("dbn.pretrain", "stack.layerz=[3]", "Did you mean stack.layers"),
        ("finetune.describe", "arm=nosuch", "arm=nosuch: no such choice."),
        ("finetune.predict", "rn=runs", "rn: no such setting. Did you mean run"),
        ("finetune.predict", "data=nosuch", "data=nosuch: no such choice."),
        ("finetune.predict", "split=all", "run=... or ensemble=...: neither is given."),
        ("finetune.predict", "arm=dbn", "run=... or ensemble=...: neither is given."),
        ("finetune.features", "stak=x", "Did you mean stack"),
        ("finetune.features", "layer=-1", "neither is given"),
        ("dbn.sample", "task=paint", "stack.file=null"),
        ("dbn.evaluate", "temperatures=1", "stack.file=null"),
        ("dbn.evaluate", "temperature=100", "Did you mean temperatures"),
        ("dbn.sample", "maks=[0,0,1,1]", "Did you mean mask"),
        (DBN_REPORT, "referenze=dbn", "Did you mean reference"),
        (DBN_REPORT, "output=here", "path: this needs a value."),
        (DBN_EXPORT, "format=onx", "run: this needs a value."),
        (DBN_STATUS, "paht=runs", "Did you mean path"),
        (DBN_STATUS, "nosuch", "nosuch: there is no such study."),
    ],
)
def test_what_is_refused_imports_nothing_slow(module: str, argument: str, words: str, tmp_path: Path) -> None:
    status, loaded, printed = run(tmp_path, module, argument)
    assert (status, loaded & set(SLOW)) == (2, set())
    assert words in printed


def test_a_wrong_choice_in_a_multirun_imports_nothing_slow(tmp_path: Path) -> None:
    status, loaded, printed = run(tmp_path, "finetune.train", "-m", "arm=dbn,nosuch")
    assert (status, loaded & set(SLOW)) == (2, set())
    assert "arm=nosuch: no such choice." in printed


def test_status_reads_results_without_what_made_them(tmp_path: Path) -> None:
    done, running = (tmp_path / "runs" / "mine" / "finetune" / f"dbn_seed{seed}" for seed in (0, 1))
    running.mkdir(parents=True)
    done.mkdir()
    result = {"name": "dbn", "seed": 0, "stage": "finetune", "metrics": {"test/error": 0.1}}
    (done / "result.json").write_text(json.dumps(result), encoding="utf-8")
    status, loaded, printed = run(tmp_path, DBN_STATUS, "runs/mine")
    assert (status, loaded & set(SLOW)) == (0, set())
    assert "mine: 1 of 2 runs done, 1 unfinished" in printed


def test_a_run_imports_what_it_uses(tmp_path: Path) -> None:
    """One that deforms no image, searches nothing and tracks nothing; matplotlib is imported by torchmetrics."""
    smallest = ["arm=random_relu", "stack.layers=[4]", "training.epochs=1", "progress=false"]
    status, loaded, _ = run(tmp_path, "finetune.train", *smallest)
    assert (status, loaded & {"sklearn", "pandas", "wandb", "jinja2", "py7zr", *SLOW_PARTS}) == (0, set())
    assert loaded >= set(TRAINING)
    assert (tmp_path / "runs" / "default" / "finetune" / "random_relu_seed0" / "result.json").is_file()


@pytest.mark.parametrize(
    ("code", "unwanted"),
    [
        ("import dbn", SLOW),
        ("from dbn import RBM", ["pytorch_lightning", "lightning_fabric", "hydra", "sklearn", "scipy"]),
        (
            "from dbn.data import digits, load_data; load_data(digits())",
            ["pytorch_lightning", "hydra", "sklearn", "scipy"],
        ),
        ("import finetune.report", SLOW),
    ],
)
def test_the_library_imports_what_it_uses(code: str, unwanted: list[str], tmp_path: Path) -> None:
    say = "import json, sys; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", f"{code}; {say}"], capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout)) & set(unwanted) == set()
