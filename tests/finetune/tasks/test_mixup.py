"""Mixup: shares from a beta distribution, partners from the same minibatch, and the mixture of the losses."""

import pytest
import torch
from scipy import stats
from torch.nn import functional as F

from dbn.data.blocks import Block
from dbn.errors import SettingError
from dbn.random.streams import stream, streams
from finetune.networks.network import Network
from finetune.runs.fitting import check_task
from finetune.tasks import Classifier
from finetune.tasks.mixup import draw_shares, mix
from finetune.tasks.settings import TrainingSettings

LENGTHS = (7, 7, 5)
N = sum(LENGTHS)


def block_of(features: torch.Tensor, labels: torch.Tensor, number: int = 0) -> Block:
    return Block(number, features, labels, LENGTHS, LENGTHS)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_shares_are_beta_distributed(alpha: float) -> None:
    """Kolmogorov and Smirnov's statistic of 4000 draws is below its 99.9 % quantile."""
    shares = draw_shares(alpha, 4000, stream(0, "mixup")).numpy()
    assert stats.kstest(shares, stats.beta(alpha, alpha).cdf).statistic < 1.95 / 4000**0.5


def test_each_image_is_mixed_with_one_of_its_minibatch_and_each_is_a_partner_once() -> None:
    """Images are unit vectors: a mixed image shows what it is made of."""
    labels = torch.arange(N) % 3
    mixed = mix(block_of(torch.eye(N), labels), 1.0, 3, stream(3, "mixup"))
    made_of = mixed.features
    own = made_of.diagonal()
    partners = made_of - torch.diag(own)
    starts, shares = [0, 7, 14], []
    for start, length in zip(starts, LENGTHS, strict=True):
        inside = slice(start, start + length)
        assert partners[inside].sum() == partners[inside, inside].sum(), "a partner from another minibatch"
        by_partner = partners[inside, inside]
        moved = own[inside] < 1  # the others are their own partners
        assert moved.any()
        (share,) = {round(float(value), 6) for value in own[inside][moved]}
        shares.append(share)
        torch.testing.assert_close(by_partner.sum(1)[moved], 1 - own[inside][moved])
        torch.testing.assert_close(by_partner.sum(0)[moved], 1 - own[inside][moved])
    assert len(set(shares)) == 3
    torch.testing.assert_close(mixed.labels, made_of @ F.one_hot(labels, 3).float())
    minibatches = list(mixed.minibatches())
    assert [len(batch.features) for batch in minibatches] == [*LENGTHS]
    assert [tuple(batch.labels.shape) for batch in minibatches if batch.labels is not None] == [(n, 3) for n in LENGTHS]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("seeds", [[0], [0, 1, 2]])
def test_the_loss_is_the_mixture_of_the_losses(smoothing: float, seeds: list[int]) -> None:
    settings = TrainingSettings(epochs=1, label_smoothing=smoothing, mixup=0.5)
    module = Classifier(Network.dense([N, 3]), settings, optimizer=None, steps_per_epoch=1, seeds=seeds)
    shape = (len(seeds),) if len(seeds) > 1 else ()
    labels = torch.randint(3, (*shape, N), generator=stream(1, "labels"))
    features = torch.eye(N).expand(*shape, N, N)
    generators = streams(seeds, "mixup")
    mixed = mix(block_of(features, labels), 0.5, 3, generators)
    outputs = torch.randn(*shape, N, 3, generator=stream(2, "outputs"))
    found = torch.cat(
        [module.losses(own, batch) for own, batch in zip(outputs.split(LENGTHS, -2), mixed.minibatches(), strict=True)],
        dim=-1,
    )
    made_of = mixed.features.reshape(-1, N, N)
    for member, (own, classes) in enumerate(zip(outputs.reshape(-1, N, 3), labels.reshape(-1, N), strict=True)):
        for image in range(N):
            losses = F.cross_entropy(own[image].expand(N, 3), classes, reduction="none", label_smoothing=smoothing)
            expected = float(made_of[member, image] @ losses)
            assert float(found.reshape(-1, N)[member, image]) == pytest.approx(expected, rel=1e-5)


def test_members_of_a_group_are_mixed_as_they_would_be_alone() -> None:
    features, labels = torch.rand(3, N, 4), torch.arange(3 * N).reshape(3, N) % 5
    together = mix(block_of(features, labels), 0.4, 5, streams([4, 5, 6], "mixup", 1, 2))
    assert together.labels is not None
    for number, seed in enumerate((4, 5, 6)):
        alone = mix(block_of(features[number], labels[number]), 0.4, 5, stream(seed, "mixup", 1, 2))
        assert alone.labels is not None
        assert torch.equal(together.features[number], alone.features)
        assert torch.equal(together.labels[number], alone.labels)


def test_it_is_for_cross_entropy_of_a_classifier() -> None:
    for loss in ("squared", "perceptron"):
        with pytest.raises(SettingError, match=r"training\.mixup=0\.2"):
            TrainingSettings(epochs=1, loss=loss, mixup=0.2)
    with pytest.raises(SettingError, match=r"training\.mixup=0: "):
        TrainingSettings(epochs=1, mixup=0)
    with pytest.raises(SettingError, match=r"training\.mixup=0\.2: an autoencoder"):
        check_task(TrainingSettings(epochs=1, mixup=0.2), "autoencoder")
