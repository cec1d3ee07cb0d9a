"""Word counts of the 20 newsgroups: counted by hand in a small archive, and the real file."""

import io
import math
import tarfile
from pathlib import Path

import pytest
import torch

from dbn.data import load_data, newsgroups
from dbn.data.sources.message_archive import counts_of_archive
from dbn.data.sources.newsgroups import GROUPS
from dbn.errors import DataError, SettingError

MESSAGES = {
    "news-train/sci.space/1": "From: moon\nSubject: rocket\n\nThe rocket, the ROCKET flew; an ox saw it.\n",
    "news-train/sci.space/2": "From: x\n\nmoon moon rocket\n\nmoon\n",
    "news-train/rec.autos/7": "Subject: y\r\n\r\nCar! car? rocket-car caf\xe9\r\n",
    "news-test/rec.autos/3": "z\n\nunheard car\n",
}


def archive(path: Path, messages: dict[str, str]) -> Path:
    """An archive of messages."""
    with tarfile.open(path, "w:gz") as file:
        for name, text in messages.items():
            content = text.encode("latin-1")
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return path


def test_words_are_counted_in_the_body_of_every_message() -> None:
    """Stop words, short words and headers are no words; the vocabulary is the most frequent of training."""
    found = counts_of_archive(archive(Path("news.tar.gz"), MESSAGES), 3)
    assert found["groups"] == ("rec.autos", "sci.space")
    assert found["words"] == ("car", "moon", "rocket")  # 3, 3 and 4 times, more than caf, flew and saw
    counts, labels = found["train"]
    assert labels.tolist() == [0, 1, 1]
    assert counts.tolist() == [[3, 0, 1], [0, 0, 2], [0, 3, 1]]
    counts, labels = found["test"]
    assert (counts.tolist(), labels.tolist()) == ([[1, 0, 0]], [0])


def test_other_archives_are_refused() -> None:
    with pytest.raises(DataError, match="no messages"):
        counts_of_archive(archive(Path("a.tar.gz"), {"a/b/c": "x"}), 3)
    Path("b.tar.gz").write_bytes(b"no archive")
    with pytest.raises(DataError, match="damaged"):
        counts_of_archive(Path("b.tar.gz"), 3)
    with pytest.raises(SettingError, match=r"data\.values='bits'"):
        newsgroups(values="bits")


def test_logarithms_of_counts_are_whole_numbers(data_root: Path) -> None:
    """None becomes zero that was none: log(1 + 1) is rounded up."""
    plain, found = (newsgroups(data_root, values).train_images.flatten(1) for values in ("counts", "log_counts"))
    rows, words = torch.nonzero(plain, as_tuple=True)
    for row, word in list(zip(rows.tolist(), words.tolist(), strict=True))[::5000]:
        assert float(found[row, word]) == round(math.log(1 + float(plain[row, word])))
    assert torch.equal(found == 0, plain == 0)
    assert float(plain.max()) > 100
    assert float(found.max()) < 10


def test_the_real_counts(data_root: Path) -> None:
    source = newsgroups(data_root)
    assert source.classes == GROUPS
    data = load_data(source, validation=1000)
    assert (len(data.train), len(data.validation), len(data.test), data.n_features) == (10288, 1000, 7503, 2000)
    x = data.train.features()
    assert torch.equal(x, x.round())
    assert x.max() > 255
    assert (x.sum(1) > 0).all()
    place = data.feature_names.index
    groups = data.train.labels
    assert groups is not None
    shares = [x[groups == GROUPS.index(name), place("hockey")].mean() for name in ("rec.sport.hockey", "sci.med")]
    assert shares[0] > 10 * shares[1], "or words and columns do not match"
    there = load_data(newsgroups(data_root, values="presence"), validation=1000).train.features()
    assert torch.equal(there, (x > 0).float())
