"""A sweep that waits for its jobs runs the code that was submitted, though the checkout is edited meanwhile.

That of ``submit=true`` is in test_cluster_submission.py.
"""

import json
import subprocess
import time
from pathlib import Path

from cluster.slurm import Cluster


def test_a_sweep_that_waits_for_its_jobs_is_frozen_as_well(
    cluster: Cluster, folder: Path, checkout: Path, busy: str
) -> None:
    """By Hydra's launcher, whose jobs compose their configuration when they start."""
    sweep = [
        "dbn-finetune", "-m", "study=s", "arm=random_relu", "seed=0", "stack.layers=[12]", "training.epochs=2",
        "hydra/launcher=slurm_cpu",
    ]  # fmt: skip
    with subprocess.Popen(sweep, cwd=folder, env=cluster.environment, stdout=subprocess.PIPE, text=True) as waiting:
        end = time.monotonic() + 200
        while not list(folder.glob("runs/s/slurm/*/*_submitted.pkl")):
            assert time.monotonic() < end
            assert waiting.poll() is None
            time.sleep(0.2)
        (checkout / "src/finetune/runs/network_run.py").write_text("raise RuntimeError('edited')\n")
        (checkout / "src/finetune/report/__init__.py").write_text("raise RuntimeError('edited')\n")
        (checkout / "conf/finetune.yaml").write_text("edited: true\n")
        cluster.run("scancel", busy)
        assert waiting.wait(300) == 0
    (snapshot,) = (folder / "runs/s/code").glob("*/")
    (result,) = folder.glob("runs/s/finetune/*/result.json")
    assert json.loads(result.read_text())["code"] == snapshot.name
    assert (folder / "runs/s/report.html").is_file(), "the sweep itself runs the snapshot, too"
