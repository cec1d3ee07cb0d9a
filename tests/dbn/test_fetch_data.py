"""dbn-data: data fetched ahead, checked, or the reason why not."""

from pathlib import Path

import pytest

from dbn import fetch_data as command


def test_what_is_there_is_checked(data_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command.main(["fetch", "mnist", "--root", str(data_root)])
    assert capsys.readouterr().out.strip() == "mnist: 60000 training and 10000 test images, as they should be"


def test_what_cannot_be_had_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr("pooch.retrieve", no_network)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(SystemExit) as left:
        command.main(["fetch", "mnist", "--root", str(tmp_path)])
    assert left.value.code == 2
    assert "run: dbn-data fetch mnist" in capsys.readouterr().err


def test_an_unknown_name_is_refused_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["fetch", "mnits"])
    assert "'fashion_mnist'" in capsys.readouterr().err
