"""The sweep of docs/wandb_sweep.yaml: the command as an agent of Weights & Biases makes it, offline."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import wandb
import yaml
from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args, load_sweep_config

from dbn.errors import SettingError
from dbn.runs.tracking import Tracking
from helpers import Composer
from offline_runs import offline_runs, records

FILE = Path(__file__).parents[3] / "docs" / "wandb_sweep.yaml"
VALUES = {"training.learning_rate": 0.0312345678, "optimizer.weight_decay": 1e-05, "training.label_smoothing": 0.0}


def agent_command(values: dict[str, Any]) -> list[str]:
    """What an agent calls for values that the service has chosen, as wandb/wandb_agent.py puts it together."""
    sweep = load_sweep_config(str(FILE))
    assert sweep is not None
    given = create_sweep_command_args({"args": {key: {"value": value} for key, value in values.items()}})
    given["env"] = ["/usr/bin/env"]
    words: list[str] = []
    for word in create_sweep_command(list(sweep["command"])):
        words += given[word[2:-1]] if word.startswith("${") and word.endswith("}") else [word]
    return words


def run_agent(folder: Path, run: str, values: dict[str, Any], *more: str) -> None:
    """Call it in a process as an agent does."""
    environment = {**os.environ, "WANDB_MODE": "offline", "OMP_NUM_THREADS": "1", "CI": "true"}
    environment |= {"WANDB_SWEEP_ID": "mysweep", "WANDB_RUN_ID": run, "WANDB_SWEEP_PARAM_PATH": str(folder / "p.yaml")}
    (folder / "p.yaml").write_text(yaml.safe_dump({"wandb_version": 1, **{k: {"value": v} for k, v in values.items()}}))
    env, command, *arguments = agent_command(values)
    assert (env, command) == ("/usr/bin/env", "dbn-finetune")
    words = [sys.executable, "-m", "finetune.train", *arguments, *more, "progress=false"]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr


def identity(directory: Path) -> dict[str, Any]:
    """Of the offline run of a directory, as Weights & Biases' own inspector reads it."""
    (run,) = offline_runs(directory)
    (found,) = (record["run"] for record in records(run) if record["type"] == "run")
    return dict(found)


def test_an_agents_run_is_the_sweeps_and_its_stack_is_not(tmp_path: Path) -> None:
    small = ["arm=dbn", "stack.layers=[8]", "stack.every_layer.epochs=1", "training.epochs=2"]
    run_agent(tmp_path, "first123", VALUES, *small)
    (directory,) = (tmp_path / "runs/wandb_sweep/finetune").iterdir()
    result = json.loads((directory / "result.json").read_text())
    assert result["config"]["training"]["learning_rate"] == VALUES["training.learning_rate"]
    assert result["config"]["optimizer"]["weight_decay"] == 1e-5
    assert "training.learning_rate=0.03123" in directory.name
    own = identity(directory)
    assert (own["run_id"], own["sweep_id"]) == ("first123", "mysweep")
    assert (directory / "wandb_id").read_text() == "first123"
    (stack,) = (tmp_path / "runs/wandb_sweep/pretrain").iterdir()
    other = identity(stack)
    assert other["run_id"] == (stack / "wandb_id").read_text() != "first123"
    assert not other.get("sweep_id")


def test_records_are_in_the_runs_folder_although_the_agents_own_client_writes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that has begun a run passes its process on to children; that process has a folder of its own."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with wandb.init(mode="offline", dir=tmp_path / "elsewhere"):
        assert "WANDB_SERVICE" in os.environ
        run_agent(tmp_path, "second12", VALUES, "arm=random_relu", "stack.layers=[8]", "training.epochs=1")
    (directory,) = (tmp_path / "runs/wandb_sweep/finetune").iterdir()
    assert identity(directory)["run_id"] == "second12"


def test_every_choice_of_the_service_has_a_directory_of_its_own(compose: Composer) -> None:
    names = set()
    for rate, decay in ((0.031234567, 0.0), (0.031234568, 0.0), (0.1, 0.0), (0.1, 1e-5)):
        words = agent_command({**VALUES, "training.learning_rate": rate, "optimizer.weight_decay": decay})
        names.add(compose("finetune", words[2:])["name"])
    assert len(names) == 4


def test_the_metric_is_one_that_runs_have_and_parameters_are_those_that_names_tell() -> None:
    sweep = load_sweep_config(str(FILE))
    assert sweep is not None
    assert sweep["metric"] == {"name": "validation/error", "goal": "minimize"}
    assert f"swept=[{','.join(sweep['parameters'])}]" in sweep["command"]


def test_several_seeds_in_one_run_of_a_sweep_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_SWEEP_ID", "mysweep")
    settings = {"project": "dbn", "mode": "offline"}
    with pytest.raises(SettingError, match="n_parallel_seeds=2"), Tracking([lambda: None] * 2, [Path()] * 2, settings):
        pass
