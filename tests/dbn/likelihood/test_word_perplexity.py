"""Perplexity per word against sums over all documents, and against word frequencies."""

import math
from itertools import product

import pytest
import torch

from dbn import RBM, Bernoulli
from dbn.errors import DataError, SettingError
from dbn.likelihood import unigram_perplexity, word_perplexity
from dbn.models.units import ReplicatedSoftmax


def model(words: int = 4, topics: int = 3, std: float = 0.8) -> RBM:
    """A float64 model of random weights and biases."""
    generator = torch.Generator().manual_seed(words)
    rbm = RBM(ReplicatedSoftmax(words), Bernoulli(topics)).double()
    with torch.no_grad():
        for parameter in rbm.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * std)
    return rbm


def exact_log_p(rbm: RBM, document: torch.Tensor) -> float:
    """Of the words in one order, by equation 1 of the paper and sums over all texts as long and all hidden states."""

    def log_weight(text: tuple[int, ...]) -> torch.Tensor:
        words = torch.tensor(text)
        fields = rbm.weight[words].sum(0) + len(text) * rbm.hidden.bias
        return rbm.visible.bias[words].sum() + torch.nn.functional.softplus(fields).sum()

    own = tuple(word for word, count in enumerate(document.tolist()) for _ in range(int(count)))
    texts = torch.stack([log_weight(text) for text in product(range(len(document)), repeat=len(own))])
    return float(log_weight(own) - texts.logsumexp(0))


DOCUMENTS = torch.tensor([[2.0, 0, 1, 1], [0, 1, 0, 0], [1, 3, 0, 1], [0, 0, 4, 0]], dtype=torch.float64)


@torch.no_grad()
def test_of_few_topics_it_is_exact() -> None:
    """The geometric mean over documents of the geometric mean probability of a word, turned over."""
    rbm = model()
    expected = math.exp(-sum(exact_log_p(rbm, own) / float(own.sum()) for own in DOCUMENTS) / 4)
    found = word_perplexity(rbm, DOCUMENTS)
    assert (found.value, found.standard_error, found.documents) == (pytest.approx(expected, abs=1e-10), 0, 4)


def test_of_many_topics_it_is_annealed() -> None:
    """Thirteen topics, against the same model with its topics spread over two: within four standard errors of 1 %."""
    few = model(topics=12, std=0.5)
    exact = word_perplexity(few, DOCUMENTS).value
    many = RBM(ReplicatedSoftmax(4), Bernoulli(13)).double()
    with torch.no_grad():  # a further hidden unit without weights and bias changes nothing
        for name, parameter in many.named_parameters():
            own = few.get_parameter(name)
            parameter.zero_()
            parameter[..., : own.shape[-1]] = own
    found = word_perplexity(many, DOCUMENTS, chains=200, steps=100, generator=torch.Generator().manual_seed(3))
    assert 0 < found.standard_error < 0.01 * exact
    assert abs(found.value - exact) < 4 * found.standard_error


def test_word_frequencies() -> None:
    """By hand: each word once more than it occurs in training."""
    training = torch.tensor([3.0, 0, 5, 0])
    p = [4 / 12, 1 / 12, 6 / 12, 1 / 12]
    logs = [(2 * math.log(p[0]) + math.log(p[2]) + math.log(p[3])) / 4, math.log(p[1])]
    found = unigram_perplexity(training, DOCUMENTS[:2])
    assert found.value == pytest.approx(math.exp(-sum(logs) / 2))


def test_without_weights_it_is_that_of_word_frequencies() -> None:
    rbm, training = model(), torch.tensor([3.0, 0, 5, 0], dtype=torch.float64)
    with torch.no_grad():
        rbm.weight.zero_()
    rbm.visible.initialise_bias(training + 1)
    expected = unigram_perplexity(training, DOCUMENTS).value
    assert word_perplexity(rbm, DOCUMENTS).value == pytest.approx(expected, rel=1e-10)


def test_what_has_no_perplexity_per_word_is_refused() -> None:
    with pytest.raises(SettingError, match="not 4 bernoulli"):
        word_perplexity(RBM(Bernoulli(4), Bernoulli(3)), DOCUMENTS)
    empty = torch.cat([DOCUMENTS, torch.zeros(1, 4)])
    with pytest.raises(DataError, match="1 of 5 have no words"):
        word_perplexity(model(), empty)
    with pytest.raises(SettingError, match="chains=1"):
        word_perplexity(model(), DOCUMENTS, chains=1)
