"""Files are found, checked, downloaded if they must be, and never overwritten."""

import gzip
import hashlib
from pathlib import Path

import pooch
import pytest

from dbn.data.sources.fetch import find_or_fetch
from dbn.errors import DataError

CONTENT = b"the right content"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
URLS = ("https://first.invalid/file.bin", "https://second.invalid/file.bin")


@pytest.fixture(autouse=True)
def downloads(monkeypatch, tmp_path):
    """Nothing is on the network and the user's cache is a folder of the test; returns the addresses that were tried."""
    tried = []

    def retrieve(url, **options):
        tried.append(url)
        raise ConnectionError("no network here")

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    monkeypatch.delenv("DBN_DATA", raising=False)
    return tried


def serve(monkeypatch, tried, from_url):
    """Let one address deliver the file, as pooch would."""

    def retrieve(url, *, known_hash, fname, path):
        tried.append(url)
        if url != from_url:
            raise ConnectionError("down")
        assert known_hash == f"sha256:{SHA256}"
        path.mkdir(parents=True, exist_ok=True)
        (path / fname).write_bytes(CONTENT)
        return str(path / fname)

    monkeypatch.setattr(pooch, "retrieve", retrieve)


def fetch(root, **options):
    return find_or_fetch("things", "file.bin", SHA256, URLS, root, **options)


@pytest.mark.parametrize("place", ["root/things", "root", "cache/layerwise-dbn/things"])
def test_a_right_file_is_used_without_download(tmp_path, downloads, place):
    path = tmp_path / place / "file.bin"
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    assert fetch(tmp_path / "root") == path
    assert downloads == []


def test_without_root_the_environment_says_where_to_look(tmp_path, downloads, monkeypatch):
    monkeypatch.setenv("DBN_DATA", str(tmp_path))
    (tmp_path / "file.bin").write_bytes(CONTENT)
    assert fetch(None) == tmp_path / "file.bin"
    assert downloads == []


@pytest.mark.parametrize("place", ["root/things", "root", "cache/layerwise-dbn/things"])
def test_a_wrong_file_is_refused_and_left_byte_for_byte(tmp_path, downloads, monkeypatch, place):
    serve(monkeypatch, downloads, URLS[0])  # even though the right one could be had
    path = tmp_path / place / "file.bin"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"somebody's own work")
    before = path.stat()
    with pytest.raises(DataError) as caught:
        fetch(tmp_path / "root")
    assert path.read_bytes() == b"somebody's own work"
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert downloads == []
    found = hashlib.sha256(b"somebody's own work").hexdigest()
    for part in (str(path), SHA256, found, "Replace it"):
        assert part in str(caught.value)


def test_gzipped_will_do_where_asked_for(tmp_path, downloads):
    (tmp_path / "file.bin.gz").write_bytes(gzip.compress(CONTENT))
    assert fetch(tmp_path, or_gzipped=True) == tmp_path / "file.bin.gz"
    with pytest.raises(DataError, match="could not be downloaded"):
        fetch(tmp_path)


@pytest.mark.parametrize(
    ("packed", "message"),
    [
        (gzip.compress(b"other", mtime=0), "its decompressed content has sha256"),
        (gzip.compress(CONTENT, mtime=0)[:-9], "is damaged"),
        (b"no gzip at all", "is damaged"),
    ],
    ids=["other content", "cut off", "no gzip"],
)
def test_gzipped_but_wrong_is_refused(tmp_path, downloads, packed, message):
    (tmp_path / "file.bin.gz").write_bytes(packed)
    with pytest.raises(DataError, match=rf"file\.bin\.gz.*{message}"):
        fetch(tmp_path, or_gzipped=True)
    assert (tmp_path / "file.bin.gz").read_bytes() == packed


def test_addresses_are_tried_in_turn_and_the_file_goes_into_the_root(tmp_path, downloads, monkeypatch):
    serve(monkeypatch, downloads, URLS[1])
    assert fetch(tmp_path / "root") == tmp_path / "root/things/file.bin"
    assert downloads == list(URLS)
    assert fetch(tmp_path / "root").read_bytes() == CONTENT
    assert downloads == list(URLS)  # found the second time


@pytest.mark.parametrize("with_root", [False, True])
def test_without_a_folder_that_can_be_written_the_file_goes_into_the_cache(tmp_path, downloads, monkeypatch, with_root):
    serve(monkeypatch, downloads, URLS[0])
    (tmp_path / "a_file").touch()  # no folder can be made in it, not even by the superuser
    assert fetch(tmp_path / "a_file" if with_root else None) == tmp_path / "cache/layerwise-dbn/things/file.bin"


def test_offline_the_error_says_what_to_put_where(tmp_path, downloads):
    with pytest.raises(DataError) as caught:
        fetch(tmp_path / "root")
    assert downloads == list(URLS)
    parts = (*URLS, SHA256, str(tmp_path / "root" / "things" / "file.bin"), "data.root", "DBN_DATA", "no network here")
    for part in parts:
        assert part in str(caught.value)


def test_a_download_with_the_wrong_hash_is_an_error_of_data(tmp_path, monkeypatch):
    def retrieve(url, **options):
        raise ValueError("SHA256 hash of downloaded file does not match")

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    with pytest.raises(DataError, match="does not match"):
        fetch(tmp_path)
    assert [path for path in Path(tmp_path).rglob("*") if path.is_file()] == []


def test_another_file_of_the_same_content_will_do_where_it_is_known(tmp_path, downloads):
    (tmp_path / "file.bin").write_bytes(b"saved anew")
    anew = hashlib.sha256(b"saved anew").hexdigest()
    assert fetch(tmp_path, or_sha256=[anew]) == tmp_path / "file.bin"
    with pytest.raises(DataError, match=f"expected {SHA256}\\. "):
        fetch(tmp_path)
    (tmp_path / "file.bin").write_bytes(b"something else")
    with pytest.raises(DataError, match=f"expected {SHA256} or {anew}"):
        fetch(tmp_path, or_sha256=[anew])
    assert downloads == []
