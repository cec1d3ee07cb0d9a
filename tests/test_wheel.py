"""The wheel brings its configuration tree along and works without the checkout."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from dbn.runs.code import running_code

CHECKOUT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's content, as an installation would lay it out."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir"]
    subprocess.run([*command, str(folder), str(CHECKOUT)], check=True)
    (wheel,) = folder.glob("layerwise_dbn-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "installed")
    return folder / "installed"


def run(installed: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command out of the wheel, called in ``folder``."""
    environment = {**os.environ, "PYTHONPATH": str(installed), "CI": "true", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "finetune.train", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_every_configuration_file_is_in_it(installed: Path) -> None:
    def names(folder: Path) -> set[Path]:
        return {path.relative_to(folder) for path in folder.rglob("*.yaml")}

    assert names(installed / "dbn" / "conf") == names(CHECKOUT / "conf")


def test_it_runs_away_from_the_checkout_with_one_s_own_choices(installed: Path, tmp_path: Path) -> None:
    own = tmp_path / "mine" / "stack" / "tiny.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("defaults: [base, _self_]\nlayers: [7]\nevery_layer: {epochs: 1}\n")
    small = ["--config-dir", str(tmp_path / "mine"), "stack=tiny", "training.epochs=1", "arm=dbn", "snapshot=true"]
    done = run(installed, tmp_path, *small)
    assert done.returncode == 0, done.stderr
    result = tmp_path / "runs" / "default" / "finetune" / "dbn_seed0" / "result.json"
    assert '"git": null' in result.read_text()  # it came from the wheel, not from the checkout
    code = json.loads(result.read_text())["code"]
    assert (tmp_path / "runs/default/code" / code / "finetune/train.py").is_file(), "it ran a copy of that"
    assert code.partition("_")[0] == running_code().name, "which is the checkout's code"
    assert len(list(tmp_path.glob("runs/default/pretrain/digits_7_*_seed0/dbn.safetensors"))) == 1
