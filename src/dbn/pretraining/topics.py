"""What a stack of word counts has found: words of its topics, perplexity of test documents beside single words'."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dbn.data import DataSet
from dbn.likelihood.word_perplexity import unigram_perplexity, word_perplexity
from dbn.models.dbn import DBN
from dbn.models.rbm import RBM
from dbn.models.units import ReplicatedSoftmax
from dbn.random.streams import stream

TEST_DOCUMENTS = 50
"""As many held-out documents as Salakhutdinov & Hinton (2009) average."""
TOPIC_WORDS = 8


def is_of_documents(stack: DBN) -> bool:
    """Whether its visible units are word counts, which have no pictures."""
    return isinstance(stack[0], RBM) and isinstance(stack[0].visible, ReplicatedSoftmax)


def top_words(weight: Tensor, words: Sequence[str], count: int = TOPIC_WORDS) -> list[list[str]]:
    """For every hidden unit the words of the largest weights, the largest first.

    Args:
        weight: ``(n_words, n_hidden)``.
        words: the vocabulary.
        count: of words.
    """
    places = weight.topk(min(count, len(words)), dim=0).indices.T
    return [[words[place] for place in row] for row in places.tolist()]


def perplexities(stack: DBN, data: DataSet, seed: int) -> dict[str, float]:
    """Perplexities per word of the first layer, and of word frequencies, over test documents (validation if none).

    Returns:
        ``<split>/perplexity``, ``<split>/perplexity_error`` of its annealing, ``<split>/unigram_perplexity``; nothing
        where there are no held-out documents.
    """
    split, held_out = ("test", data.test) if len(data.test) else ("validation", data.validation)
    if not len(held_out):
        return {}
    order = torch.randperm(len(held_out), generator=stream(0, "perplexity_documents"))  # the same for every stack
    documents = held_out.features(order[:TEST_DOCUMENTS].sort().values)
    documents = documents[documents.sum(1) > 0]
    total = torch.stack([chunk.double().sum(0) for chunk in data.train.chunks()]).sum(0)
    device = stack[0].weight.device
    noise = stream(seed, "perplexity", device=device)
    found = word_perplexity(stack[0], documents.to(device), generator=noise)
    return {
        f"{split}/perplexity": found.value,
        f"{split}/perplexity_error": found.standard_error,
        f"{split}/unigram_perplexity": unigram_perplexity(total.cpu(), documents.cpu()).value,
    }


def topic_facts(stack: DBN, data: DataSet) -> dict[str, Any]:
    """Entry ``topics`` of a result: words of each topic, where the words of the data have names."""
    if not (is_of_documents(stack) and data.feature_names):
        return {}
    return {"topics": top_words(stack[0].weight.detach().cpu(), data.feature_names)}
