"""An archive of a study: the same report from it, what it refuses, and what it never overwrites."""

import io
import tarfile

import numpy as np
import pytest

from dbn.errors import DataError
from finetune.report import write_report
from finetune.report.results.archive import unpack, write_archive
from finetune.tasks.predictions import Predictions


@pytest.fixture
def filled(study):
    study.arm("dbn", [0.1, 0.2, 0.15])
    study.arm("glorot", [0.3, 0.2, 0.25])
    for number, directory in enumerate(sorted(study.directory.glob("finetune/*"))):
        label = np.arange(50) % 10
        Predictions(label, (label + (np.arange(50) < number)) % 10).save(directory)
        (directory / "metrics.csv").write_text("epoch,train/loss\n0,1.5\n")
        (directory / "network.safetensors").write_bytes(b"weights")
    return study


def test_the_report_from_an_archive_is_the_study_s_own(filled, tmp_path):
    own = write_report(filled.directory)
    write_archive(filled.directory, tmp_path / "kept.tar.xz")
    again = write_report(unpack(tmp_path / "kept.tar.xz", tmp_path / "elsewhere"))
    for name in ("table", "csv", "html"):
        assert getattr(again, name).read_bytes() == getattr(own, name).read_bytes()
    assert not list((tmp_path / "elsewhere").rglob("network.safetensors"))


def test_the_same_results_give_the_same_bytes(filled, tmp_path):
    for name in ("one", "two"):
        write_archive(filled.directory, tmp_path / f"{name}.tar.xz")
    assert (tmp_path / "one.tar.xz").read_bytes() == (tmp_path / "two.tar.xz").read_bytes()


def test_unpacking_adds_to_a_study_and_refuses_another_result(filled, tmp_path):
    file = tmp_path / "kept.tar.xz"
    write_archive(filled.directory, file)
    lost = filled.directory / "finetune" / "dbn_seed1" / "result.json"
    before = lost.read_bytes()
    lost.unlink()
    assert unpack(file, filled.directory.parent) == filled.directory
    assert lost.read_bytes() == before
    lost.write_text("{}")
    with pytest.raises(DataError, match=r"dbn_seed1/result\.json is another result than that of"):
        unpack(file, filled.directory.parent)
    assert lost.read_text() == "{}"


def test_an_unfinished_study_is_not_archived(study, tmp_path):
    study.unfinished("dbn", 0)
    with pytest.raises(DataError, match="no run has a result yet"):
        write_archive(study.directory, tmp_path / "kept.tar.xz")
    assert not list(tmp_path.glob("*.tar.xz"))


@pytest.mark.parametrize(
    ("name", "kind", "says"),
    [
        ("study/finetune/dbn_seed0/../../../../result.json", tarfile.REGTYPE, "cannot be read"),
        ("/etc/passwd", tarfile.REGTYPE, "something else than one study"),
        ("study/finetune/dbn_seed0/result.json", tarfile.SYMTYPE, "cannot be read"),
        ("study/finetune/dbn_seed0/run.py", tarfile.REGTYPE, "something else than one study"),
        ("study/elsewhere/dbn_seed0/result.json", tarfile.REGTYPE, "something else than one study"),
    ],
)
def test_an_archive_with_other_content_writes_nothing(tmp_path, name, kind, says):
    file = tmp_path / "bad.tar.xz"
    with tarfile.open(file, "w:xz") as archive:
        member = tarfile.TarInfo(name)
        member.type, member.size, member.linkname = kind, 0 if kind == tarfile.SYMTYPE else 2, "/etc/passwd"
        archive.addfile(member, io.BytesIO(b"{}"))
    with pytest.raises(DataError, match=says):
        unpack(file, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_damaged_archive_says_so(filled, tmp_path):
    file = tmp_path / "kept.tar.xz"
    write_archive(filled.directory, file)
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(DataError, match="cannot be read as an archive of a study"):
        unpack(file, tmp_path / "runs")
    with pytest.raises(DataError, match="cannot be read as an archive of a study"):
        unpack(tmp_path / "absent.tar.xz", tmp_path / "runs")
