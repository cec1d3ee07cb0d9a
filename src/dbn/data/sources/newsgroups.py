"""The 20 newsgroups: how often each of the 2000 most frequent words occurs in each message."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dbn.data.source import Source
from dbn.data.sources.fetch import find_or_fetch, search_folders
from dbn.data.sources.message_archive import counts_of_archive
from dbn.settings import check_choice

FOLDER, COUNTS = "20newsgroups", "20news_bydate_top2000.npz"
ARCHIVE, URLS = "20news-bydate.tar.gz", ("https://ndownloader.figshare.com/files/5975967",)
COUNTS_SHA256 = "45a64b7ae4ae42c1787ce78a6e99f35dadf44d89e7f6fa966b578106a97801e2"
ARCHIVE_SHA256 = "8f1b2514ca22a5ade8fbb9cfa5727df95fa587f4c87b786e15c759fa66d95610"
N_WORDS = 2000
VALUES = ("counts", "log_counts", "presence")
GROUPS = (
    "alt.atheism",
    "comp.graphics",
    "comp.os.ms-windows.misc",
    "comp.sys.ibm.pc.hardware",
    "comp.sys.mac.hardware",
    "comp.windows.x",
    "misc.forsale",
    "rec.autos",
    "rec.motorcycles",
    "rec.sport.baseball",
    "rec.sport.hockey",
    "sci.crypt",
    "sci.electronics",
    "sci.med",
    "sci.space",
    "soc.religion.christian",
    "talk.politics.guns",
    "talk.politics.mideast",
    "talk.politics.misc",
    "talk.religion.misc",
)
"""Names of the classes."""


def newsgroups(root: str | Path | None = None, values: str = "counts") -> Source:
    """20 newsgroups, "by date": 11288 training and 7503 later test messages, 2000 words each, 20 groups.

    A message's header is left out; words are runs of three or more letters without the most common English ones; the
    vocabulary is the 2000 words that are most frequent in training messages. Messages without any of them, 26 and 29,
    are left out.

    Args:
        root: data folder; the counts, ``20news_bydate_top2000.npz``, or the archive of the messages that they are
            counted in, ``20news-bydate.tar.gz``, are in it or in its folder ``20newsgroups/``; None: see
            :func:`find_or_fetch`. The address is scikit-learn's and has not been tried.
        values: ``counts``, how often a word occurs, for replicated softmax units; ``log_counts``, log(1 + count)
            rounded to whole numbers, as Salakhutdinov & Hinton (2009) do before training, so that a few messages that
            repeat one word a thousand times do not decide; ``presence``, 1 where a word occurs and 0 where not, for
            binary units.

    Raises:
        SettingError: ``values`` is another one.
        DataError: a file has the wrong hash, or is missing and cannot be downloaded.

    References:
        Lang (1995), *NewsWeeder: learning to filter netnews*, ICML. The words are not those of Salakhutdinov & Hinton
        (2009), whose preprocessing stems them: perplexities are not comparable with theirs.
    """
    check_choice("data.values", values, VALUES)
    found = next((own / COUNTS for own in search_folders(FOLDER, root) if (own / COUNTS).is_file()), None)
    if found is not None:
        counts = read_counts(find_or_fetch(FOLDER, COUNTS, COUNTS_SHA256, URLS, root))
    else:
        counts = counts_of_archive(find_or_fetch(FOLDER, ARCHIVE, ARCHIVE_SHA256, URLS, root), N_WORDS)
    parts = [without_empty(*counts[split]) for split in ("train", "test")]
    (train, train_labels), (test, test_labels) = parts
    if values == "presence":
        train, test = (own > 0 for own in (train, test))
    elif values == "log_counts":
        train, test = (own.log1p().round() for own in (train, test))
    return Source(
        name="newsgroups",
        train_images=as_images(train, whole=values == "presence"),
        train_labels=train_labels,
        test_images=as_images(test, whole=values == "presence"),
        test_labels=test_labels,
        classes=counts["groups"],
        maximum=1.0 if values == "presence" else None,
        counts=values != "presence",
        feature_names=counts["words"],
    )


def read_counts(path: Path) -> dict[str, tuple]:
    """Counts and labels of ``train`` and ``test``, names of ``groups`` and ``words``, from the file of counts."""
    from scipy.sparse import csr_matrix  # here: a slow import that few data sets need

    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    found: dict[str, tuple] = {}
    for split in ("train", "test"):
        labels = torch.from_numpy(arrays[f"{split}_labels"].astype(np.int64))
        parts = (arrays[f"{split}_data"].astype(np.float32), arrays[f"{split}_indices"], arrays[f"{split}_indptr"])
        found[split] = torch.from_numpy(csr_matrix(parts, (len(labels), len(arrays["vocab"]))).toarray()), labels
    return {**found, "groups": tuple(map(str, arrays["groups"])), "words": tuple(map(str, arrays["vocab"]))}


def without_empty(counts: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Counts ``(n, words)`` and labels ``(n,)`` of the messages that have a word."""
    there = counts.sum(1) > 0
    return counts[there], labels[there]


def as_images(values: Tensor, *, whole: bool) -> Tensor:
    """``(n, 1, 1, words)``, uint8 where values are 0 or 1, otherwise float32."""
    return values.to(torch.uint8 if whole else torch.float32).view(len(values), 1, 1, -1)
