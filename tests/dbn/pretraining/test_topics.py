"""Topics of documents: what a fit finds, and what a run says of it."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from dbn.data import DataSet, Source, load_data
from dbn.models.units import ReplicatedSoftmax
from dbn.pretrain import show
from dbn.pretraining import LayerSettings, pretrain_stack
from dbn.pretraining.stack_run import pretrain, pretraining_directory
from dbn.pretraining.topics import perplexities, top_words
from helpers import Composer, stop_at

WORDS = ("apple", "bread", "cheese", "dough", "engine", "fuel", "gear", "hub")
LAYERS = [
    LayerSettings(n_hidden=2, epochs=30, batch_size=20, learning_rate=0.005, weight_std=0.01, bias_from_data=True)
]
SHARES = torch.tensor([[8.0, 8, 8, 8, 1, 1, 1, 1], [1, 1, 1, 1, 8, 8, 8, 8]])
"""How often the words occur in documents of food, and of cars."""


def documents(n: int = 600) -> DataSet:
    """Of 5 to 40 words, half of them of food."""
    generator = torch.Generator().manual_seed(1)
    kinds = torch.arange(n) % 2
    lengths = torch.randint(5, 41, (n,), generator=generator)
    counts = torch.zeros(n, len(WORDS))
    for row, (kind, length) in enumerate(zip(kinds.tolist(), lengths.tolist(), strict=True)):
        drawn = torch.multinomial(SHARES[kind], length, replacement=True, generator=generator)
        counts[row] = torch.bincount(drawn, minlength=len(WORDS)).float()
    source = Source("meals", counts.view(n, 1, 1, -1), kinds, counts=True, feature_names=WORDS)
    return load_data(source, validation=100, test=100)


def test_a_fit_finds_the_topics_of_documents() -> None:
    """Perplexity of held-out documents: near that of knowing the topic, 0.9 of word frequencies' or less."""
    data = documents()
    stack = pretrain_stack(data, LAYERS, visible="replicated_softmax", progress=False)
    found = perplexities(stack, data, seed=0)
    p = SHARES / SHARES.sum(1, keepdim=True)
    known = float((-(p * p.log()).sum(1)).mean().exp())
    assert found["test/unigram_perplexity"] == pytest.approx(8, rel=0.03)
    assert known * 0.97 < found["test/perplexity"] < 0.9 * found["test/unigram_perplexity"]
    assert found["test/perplexity_error"] == 0, "two topics are summed exactly"
    sides = {frozenset(words[:4]) for words in top_words(stack[0].weight.detach(), WORDS)}
    assert sides & {frozenset(WORDS[:4]), frozenset(WORDS[4:])}


def test_top_words_by_hand() -> None:
    weight = torch.tensor([[0.1, -5.0], [0.3, 0.0], [-0.2, 2.0]])
    assert top_words(weight, ["a", "b", "c"], 2) == [["b", "a"], ["c", "b"]]


def test_it_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = documents(300)
    layers = [LayerSettings(n_hidden=3, epochs=2, batch_size=20, learning_rate=0.005) for _ in range(2)]
    whole = pretrain_stack(data, layers, visible="replicated_softmax", progress=False)
    options: dict[str, Any] = {"visible": "replicated_softmax", "progress": False, "checkpoint_seconds": 0}
    for layer in (1, 2):
        with monkeypatch.context() as patch:
            stop_at(patch, layer, epoch=1)
            with pytest.raises(KeyboardInterrupt):
                pretrain_stack(data, layers, directory=tmp_path, **options)
    resumed = pretrain_stack(data, layers, directory=tmp_path, **options)
    for (name, own), other in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(own, other), name


def test_a_run_prints_its_topics(compose: Composer, capsys: pytest.CaptureFixture[str], data_root: Path) -> None:
    """On the real messages, one epoch of a few: the words of every topic, and both perplexities, in the result."""
    small = ["stack.layers=[2]", "stack.every_layer.epochs=1", "+trainer.limit_train_batches=3"]
    config = compose("pretrain", ["experiment=newsgroups", *small])
    result = pretrain(config)
    assert len(result["topics"]) == 2
    written = json.loads((pretraining_directory(config) / "result.json").read_text())
    assert written["topics"] == result["topics"]
    assert result["metrics"]["test/unigram_perplexity"] == pytest.approx(1170, abs=1)
    assert result["metrics"]["test/perplexity"] < 1300
    show(result, Path("dbn.safetensors"))
    printed = capsys.readouterr().out
    assert f"topic 1: {' '.join(result['topics'][0])}" in printed
    assert "by word frequencies 1170" in printed


def test_the_experiment_s_units_are_those_of_the_paper(compose: Composer) -> None:
    config = compose("pretrain", ["experiment=newsgroups"])
    assert (config["stack"]["visible"], config["stack"]["layers"]) == (ReplicatedSoftmax.kind, [50])
