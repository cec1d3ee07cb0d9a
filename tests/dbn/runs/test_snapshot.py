"""Snapshots are written once, whole, and found again."""

from pathlib import Path

import pytest

from dbn.runs import snapshot
from dbn.runs.snapshot import record_packages, take_snapshot


def test_the_same_code_is_kept_once_and_other_code_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = take_snapshot(tmp_path / "s")
    written = {path: path.stat().st_mtime_ns for path in first.rglob("*")}
    assert take_snapshot(tmp_path / "s") == first
    assert {path: path.stat().st_mtime_ns for path in first.rglob("*")} == written
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/a.yaml").write_text("a: 1\n")
    (tmp_path / "mine/images.npy").write_text("data, which stay where they are")
    second = take_snapshot(tmp_path / "s", configurations=[tmp_path / "mine"])
    assert second.name.startswith(f"{first.name}_")
    assert [path.name for path in (second / "configurations/0").iterdir()] == ["a.yaml"]


def test_runs_below_the_user_s_folder_are_no_configurations(tmp_path: Path) -> None:
    """With --config-dir=. and runs/ there."""
    (tmp_path / "runs/s/finetune").mkdir(parents=True)
    (tmp_path / "runs/s/finetune/config.yaml").write_text("a: 1\n")
    assert "_" not in take_snapshot(tmp_path / "runs/s", configurations=[tmp_path]).name


def test_a_file_that_is_edited_while_it_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept is what its name says."""
    source, files = tmp_path / "a.py", {"dbn/a.py": tmp_path / "a.py"}
    source.write_text("first\n")
    copy, edits = snapshot.shutil.copyfile, iter(["second\n"])

    def copying(file: Path, target: Path) -> None:
        source.write_text(next(edits, "second\n"))
        copy(file, target)

    monkeypatch.setattr(snapshot, "package_files", lambda: dict(files))
    before = snapshot.snapshot_name(files)
    monkeypatch.setattr(snapshot.shutil, "copyfile", copying)
    kept = take_snapshot(tmp_path / "s")
    assert (kept / "dbn/a.py").read_text() == "second\n"
    assert kept.name == snapshot.snapshot_name(files) != before
    assert [path.name for path in kept.parent.iterdir() if path.is_dir()] == [kept.name]


def test_another_process_was_faster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def late(self: Path, target: Path) -> None:
        Path(target).mkdir()
        (Path(target) / "there.py").touch()
        rename(self, target)  # refused: it is not empty

    monkeypatch.setattr(Path, "rename", late)
    kept = take_snapshot(tmp_path / "s")
    assert [path.name for path in kept.iterdir()] == ["there.py"]
    assert not list(kept.parent.glob(".unfinished*"))


def test_what_is_installed_as_pip_reads_it(tmp_path: Path) -> None:
    name = record_packages(tmp_path)
    lines = (tmp_path / name).read_text().splitlines()
    assert any(line.startswith("torch==") for line in lines)
    assert not any(line.startswith("layerwise-dbn==") for line in lines), "the code itself is kept"
    assert record_packages(tmp_path) == name
