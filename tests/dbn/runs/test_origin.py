"""What a run says of the code that made it, when it is gone on with by other code."""

import json
from pathlib import Path
from typing import Any

import pytest

from dbn.errors import SettingError
from dbn.runs import run
from dbn.runs.code import RunningCode
from dbn.runs.run import execute

CONFIG = {"seed": 0, "paths": {"runs": "a"}, "data": {"name": "x", "root": "here"}}


def by(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "running_code", lambda: RunningCode(code, None, None))


def interrupted(directory: Path) -> dict[str, Any]:
    (directory / "checkpoints").mkdir(exist_ok=True)
    (directory / "checkpoints/last.ckpt").touch()
    raise SettingError("stands for a kill")


def test_a_run_that_other_code_has_begun_says_so_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    directory = tmp_path / "finetune/dbn_seed0"
    for code in ("aaa", "aaa", "bbb"):
        by(code, monkeypatch)
        with pytest.raises(SettingError, match="kill"):
            execute(directory, CONFIG, interrupted)
    assert "begun by code aaa, goes on by code bbb" in caplog.text
    by("ccc", monkeypatch)
    execute(directory, CONFIG, lambda _: {"metrics": {}}, ["arm=dbn", "name=my run"])
    result = json.loads((directory / "result.json").read_text())
    assert (result["code"], result["code_before"]) == ("ccc", ["aaa", "bbb"])
    assert result["command"] == "dbn-finetune arm=dbn 'name=my run'"
    assert "packages" not in result, "the code is not kept"


def test_without_work_of_the_earlier_code_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_: Path) -> dict[str, Any]:
        raise SettingError("before the first checkpoint")

    by("aaa", monkeypatch)
    with pytest.raises(SettingError):
        execute(tmp_path, CONFIG, failing)
    by("bbb", monkeypatch)
    result = execute(tmp_path, CONFIG, lambda _: {"metrics": {}}, ["sweep=compare", "arm=dbn"])
    assert result["code"] == "bbb"
    assert "code_before" not in result
    assert result["command"].endswith("sweep=compare arm=dbn hydra.mode=RUN")
