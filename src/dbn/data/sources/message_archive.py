"""Counts of the most frequent words in an archive of messages, one folder for each group of them."""

import re
import tarfile
from collections import Counter
from pathlib import Path

import torch

from dbn.errors import DataError

TOKEN = re.compile("[a-z]{3,}")
SPLITS = ("train", "test")


def counts_of_archive(path: Path, n_words: int) -> dict[str, tuple]:
    """Word counts of messages in ``<any>-train/<group>/<message>`` and ``<any>-test/<group>/<message>``.

    Words are runs of three or more letters in lower case, after the first empty line, without scikit-learn's English
    stop words; the vocabulary is what occurs most often in training messages, of words as frequent the first by letter.

    Args:
        path: of a ``.tar.gz`` file.
        n_words: size of the vocabulary.

    Returns:
        ``train`` and ``test``: counts ``(messages, n_words)`` float32 and groups ``(messages,)`` int64, in the order of
        group and message; ``groups`` and ``words``: names, in alphabetical order.

    Raises:
        DataError: it is no such archive.
    """
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS  # here: a slow import that few data sets need

    messages: dict[str, dict[tuple[str, str], Counter[str]]] = {split: {} for split in SPLITS}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                *_, folder, group, name = ["", "", "", *member.name.split("/")]
                split = folder.rsplit("-", 1)[-1]
                if member.isfile() and split in messages:
                    file = archive.extractfile(member)
                    assert file is not None  # of a regular file
                    _, _, body = file.read().decode("latin-1").replace("\r\n", "\n").partition("\n\n")
                    tokens = TOKEN.findall(body.lower())
                    messages[split][group, name] = Counter(word for word in tokens if word not in ENGLISH_STOP_WORDS)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DataError(f"{path} is damaged or no archive ({error}). Get the file again.") from error
    if not all(messages.values()):
        raise DataError(f"{path} has no messages in folders ...-train/<group>/ and ...-test/<group>/. Get it again.")
    total: Counter[str] = sum(messages["train"].values(), Counter())
    words = sorted(sorted(total, key=lambda word: (-total[word], word))[:n_words])
    place = {word: column for column, word in enumerate(words)}
    groups = sorted({group for group, _ in messages["train"]})
    found: dict[str, tuple] = {"groups": tuple(groups), "words": tuple(words)}
    for split, own in messages.items():
        counts = torch.zeros(len(own), len(words))
        for row, key in enumerate(sorted(own)):
            for word, count in own[key].items():
                if word in place:
                    counts[row, place[word]] = count
        found[split] = counts, torch.tensor([groups.index(group) for group, _ in sorted(own)])
    return found
