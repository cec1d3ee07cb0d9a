"""Multiruns as people launch them: every run is found, whatever was swept and wherever Hydra was sent."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

MODULES = {
    "dbn-finetune": "finetune.train",
    "dbn-report": "finetune.report.command",
    "dbn-status": "finetune.report.status",
}
SMALL = ["stack.layers=[8]", "stack.every_layer.epochs=1", "training.epochs=1", "progress=false"]


def call(command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command in this folder, in a process of its own."""
    words = [sys.executable, "-m", MODULES[command], *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CI": "true"}
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300)


def status(study: str) -> str:
    """The first line of dbn-status."""
    done = call("dbn-status", study)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[0]


def test_every_study_of_a_multirun_has_its_runs_and_its_report() -> None:
    """Several studies, arms by a pattern, Hydra's own files elsewhere, jobs in folders of their own."""
    done = call(
        "dbn-finetune", "-m", *SMALL, "study=a,b/c", "arm=glob(random_relu_dropout*)", "hydra.sweep.dir=elsewhere",
        "hydra.job.chdir=true",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    reports = re.findall(r"^report: (.*)$", done.stdout, re.MULTILINE)
    assert len(reports) == 2
    studies = sorted(path.name for path in Path("runs").iterdir())
    assert studies[0] == "a"
    assert re.fullmatch("b-c-[0-9a-f]{8}", studies[1])
    for study in studies:
        assert f"runs/{study}/report.html" in reports
        assert status(f"runs/{study}") == f"{study}: 2 of 2 runs done"
    overview = call("dbn-report", "runs", "output=pages")
    assert overview.returncode == 0, overview.stderr
    assert {path.parent.name for path in Path("pages").glob("*/report.html")} == set(studies)


def test_settings_of_pretraining_and_paths_are_swept() -> None:
    """Each job is done, finds its own stack, and shares it with those that train the same one."""
    images = np.random.default_rng(0).random((200, 4, 4), dtype=np.float32)
    Path("sub").mkdir()
    np.savez("sub/a.npz", images=images, labels=np.arange(200) % 4)
    shutil.copy("sub/a.npz", "b.npz")
    swept = ["-m", *SMALL, "study=s", "data=npz", "data.path=sub/a.npz,b.npz"]
    swept += ["stack.every_layer.learning_rate=0.05,0.1"]
    done = call("dbn-finetune", *swept)
    assert done.returncode == 0, done.stderr
    assert status("runs/s") == "s: 4 of 4 runs done; 2 stacks pretrained"
    before = {path: path.stat().st_mtime_ns for path in Path("runs").rglob("result.json")}
    assert call("dbn-finetune", *swept).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in Path("runs").rglob("result.json")} == before
    gone = next(path for path in before if path.parent.parent.name == "finetune")
    shutil.rmtree(gone.parent)
    found = call("dbn-status", "runs/s").stdout
    assert "3 of 4 runs done, 1 missing" in found
    (command,) = [line.strip() for line in found.splitlines() if line.startswith("  dbn-finetune")]
    assert call(*shlex.split(command)).returncode == 0
    assert set(Path("runs").rglob("result.json")) == set(before)


def test_a_job_without_a_name_does_not_keep_the_others_from_starting() -> None:
    """He's initialisation has no gain that a name could say."""
    done = call(
        "dbn-finetune", "-m", *SMALL, "study=s", "arm=random_relu,random_tanh", "name='${arm.name}_${init.gain}'"
    )
    assert done.returncode == 2
    assert "init.gain" in done.stderr
    assert "Traceback" not in done.stderr
    assert Path("runs/s/finetune/random_tanh_1.0_seed0/result.json").is_file()
    assert "1 of 2 runs done, 1 missing" in status("runs/s")


def test_jobs_that_would_share_a_directory_are_refused_before_any_starts() -> None:
    done = call("dbn-finetune", "-m", *SMALL, "study=s", "arm=random_relu", "training.learning_rate=0.1,0.2", "name=x")
    assert done.returncode == 2
    assert "would share a directory" in done.stderr
    assert "base_name=x" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(Path().rglob("result.json"))


def test_the_launcher_of_joblib_runs_jobs_side_by_side() -> None:
    """With the report at the end, and an error of one job that does not keep the other from its result."""
    swept = ["-m", *SMALL, "study=s", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    done = call("dbn-finetune", *swept, "arm=random_relu,random_sigmoid")
    assert done.returncode == 0, done.stderr
    assert status("runs/s") == "s: 2 of 2 runs done"
    assert "report: runs/s/report.html" in done.stdout
    done = call("dbn-finetune", *swept, "study=t", "arm=random_relu", "training.max_norm=1,-1")
    assert done.returncode == 2
    assert "training.max_norm=-1" in done.stderr
    assert "1 of 2 runs done" in status("runs/t")


def test_a_study_that_is_only_readable(tmp_path: Path) -> None:
    """A supervisor looks at a student's."""
    study = tmp_path / "disk"
    study.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(study)], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("only root may mount a disk that is then made read-only")
    try:
        assert call("dbn-finetune", *SMALL, "arm=random_relu", "study=s", f"paths.runs={study}").returncode == 0
        subprocess.run(["mount", "-o", "remount,ro", str(study)], check=True)
        assert status(f"{study}/s") == "s: 1 of 1 runs done"
        refused = call("dbn-report", f"{study}/s")
        assert refused.returncode == 2
        assert "Traceback" not in refused.stderr
        advice = re.search(r"dbn-report .* output=report", refused.stderr)
        assert advice is not None
        done = call(*shlex.split(advice.group()))
        assert done.returncode == 0, done.stderr
        page = Path("report/report.html").read_text()
        links = set(re.findall(r'href="([^"#:]+)"', page))
        assert any("random_relu_seed0" in link for link in links)
        assert all((Path("report") / link).exists() for link in links)
        assert Path("report/table.md").is_file()
    finally:
        subprocess.run(["umount", str(study)], check=True)
