"""Hashes of the code: of content and names alone, the same for a checkout and for its snapshot."""

from pathlib import Path

import pytest

from dbn.runs import code
from dbn.runs.code import digest_of, package_files, snapshot_name


def write(folder: Path, files: dict[str, str]) -> dict[str, Path]:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return {name: folder / name for name in files}


def test_the_hash_is_of_names_and_contents_alone(tmp_path: Path) -> None:
    files = {"dbn/a.py": "a = 1\n", "dbn/b.py": ""}
    first = digest_of(write(tmp_path / "here", files))
    assert digest_of(write(tmp_path / "there", dict(reversed(files.items())))) == first
    others = [
        {"dbn/a.py": "a = 2\n", "dbn/b.py": ""},
        {"dbn/a.py": "", "dbn/b.py": "a = 1\n"},
        {"dbn/a.py": "a = 1\n"},
        {"dbn/a.py": "a = 1\n", "dbn/b.py": "", "dbn/c.py": ""},
    ]
    digests = {digest_of(write(tmp_path / str(k), other)) for k, other in enumerate(others)}
    assert len(digests | {first}) == 5


def test_the_package_s_files_are_all_that_it_runs_by(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    files = package_files()
    needed = [
        "dbn/__init__.py", "dbn/conf/finetune.yaml", "finetune/train.py", "finetune/submission.sh",
        "hydra_plugins/layerwise_dbn/local_launcher.py",
    ]  # fmt: skip
    assert set(needed) <= set(files)
    assert not [name for name in files if "__pycache__" in name or name.startswith("tests")]
    assert all(file.is_file() for file in files.values())
    assert "_" not in snapshot_name(files)
    mine = write(tmp_path, {"mine.py": "x = 1\n"})
    assert snapshot_name(files | mine) == f"{snapshot_name(files)}_{digest_of(mine)}"


def test_a_snapshot_that_was_edited_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    root = tmp_path / "0123456789"
    write(root, {"dbn/runs/code.py": "edited\n", "snapshot.json": '{"git": {"commit": "abc", "dirty": true}}'})
    monkeypatch.setattr(code, "source_root", lambda: root)
    found = code.current_code()
    assert "this snapshot of the code was edited" in caplog.text
    assert found.name != root.name
    assert found.git == {"commit": "abc", "dirty": True}
