"""A run's directory: done once, one configuration, locked, its errors kept."""

import json
import multiprocessing
import time
from pathlib import Path
from typing import Any

import hydra
import pytest
from hydra.errors import InstantiationException

from dbn.errors import RunConflictError, SettingError
from dbn.files import write_json
from dbn.runs.run import execute, read_result

CONFIG = {"seed": 0, "optimizer": {"lr": 0.1}, "paths": {"runs": "a"}, "data": {"name": "x", "root": "here"}}


def checkpointed(directory: Path) -> dict[str, Any]:
    """Work that leaves something behind."""
    write_json(directory / "checkpoints" / "last.ckpt", 1)
    return {"metrics": {"test/error": 0.5}}


def test_the_result_holds_work_configuration_versions_git_and_machine(tmp_path: Path) -> None:
    result = execute(tmp_path / "run", CONFIG, checkpointed)
    stored = json.loads((tmp_path / "run" / "result.json").read_text())
    assert stored == result
    assert stored["metrics"] == {"test/error": 0.5}
    assert stored["config"] == CONFIG
    assert {"python", "torch", "layerwise-dbn"} <= set(stored["versions"])
    assert {"cpu", "threads", "float32_products"} <= set(stored["machine"])
    assert "git" in stored


def test_a_run_that_is_done_is_not_done_again(tmp_path: Path) -> None:
    first = execute(tmp_path, CONFIG, checkpointed)
    assert execute(tmp_path, CONFIG, lambda _: pytest.fail("done again")) == first


def test_another_configuration_is_refused_with_key_and_both_values(tmp_path: Path) -> None:
    execute(tmp_path, CONFIG, checkpointed)
    with pytest.raises(RunConflictError, match=r"optimizer\.lr=0\.1, this one has optimizer\.lr=0\.2.*name="):
        execute(tmp_path, {**CONFIG, "optimizer": {"lr": 0.2}}, checkpointed)
    with pytest.raises(RunConflictError, match=r"extra=\(absent\), this one has extra=1"):
        execute(tmp_path, {**CONFIG, "extra": 1}, checkpointed)


def test_where_data_and_runs_lie_is_no_difference(tmp_path: Path) -> None:
    first = execute(tmp_path, CONFIG, checkpointed)
    moved = {**CONFIG, "paths": {"runs": "b"}, "data": {"name": "x", "root": "there"}}
    assert execute(tmp_path, moved, checkpointed) == first


def test_a_mistake_that_cost_nothing_does_not_claim_the_directory(tmp_path: Path) -> None:
    def refuse(_: Path) -> dict[str, Any]:
        raise SettingError("training.epochs=0: it must be a whole number from 1.")

    with pytest.raises(SettingError):
        execute(tmp_path, {**CONFIG, "epochs": 0}, refuse)
    assert (tmp_path / "error.txt").read_text().splitlines()[
        -1
    ] == "training.epochs=0: it must be a whole number from 1."
    assert read_result(tmp_path) is None
    execute(tmp_path, CONFIG, checkpointed)
    assert not (tmp_path / "error.txt").exists()


def test_a_mistake_that_hydra_wraps_is_said_in_its_own_words(tmp_path: Path) -> None:
    def instantiate(_: Path) -> dict[str, Any]:
        return hydra.utils.instantiate({"_target_": "dbn.data.npz", "path": "nowhere.npz"})

    with pytest.raises(InstantiationException):
        execute(tmp_path, CONFIG, instantiate)
    last = (tmp_path / "error.txt").read_text().splitlines()[-1]
    assert last.startswith("nowhere.npz")
    assert "target" not in last


def test_an_interrupted_run_keeps_its_claim(tmp_path: Path) -> None:
    def interrupted(directory: Path) -> dict[str, Any]:
        checkpointed(directory)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(tmp_path, CONFIG, interrupted)
    with pytest.raises(RunConflictError, match="seed=0, this one has seed=1"):
        execute(tmp_path, {**CONFIG, "seed": 1}, checkpointed)


def test_a_damaged_result_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text('{"metrics": ')
    with pytest.raises(RunConflictError, match="not readable as JSON"):
        execute(tmp_path, CONFIG, checkpointed)
    assert (tmp_path / "result.json").read_text() == '{"metrics": '


def slow_work(directory: Path) -> dict[str, Any]:
    """Counts how often it is done."""
    with (directory / "count").open("a") as file:
        file.write("x")
    time.sleep(0.5)
    return {}


def one_of_many(directory: Path) -> None:
    """A process that wants the run's result."""
    execute(directory, CONFIG, slow_work)


def test_of_several_processes_one_works_and_the_others_wait(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=one_of_many, args=(tmp_path,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    assert (tmp_path / "count").read_text() == "x"
