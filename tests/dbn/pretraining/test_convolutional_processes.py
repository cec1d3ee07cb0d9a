"""Filters, maps' biases and the target of maps learn on two processes what they learn on one."""

from typing import Any

import torch
from torch import Tensor

from dbn import RBM
from dbn.data import Images
from dbn.data.block_loader import BlockLoader
from dbn.models.connections import Convolution
from dbn.models.units import Bernoulli, MaxPooled
from dbn.pretraining import LayerSettings
from dbn.pretraining.contrastive import ContrastiveStep, RBMTraining
from dbn.pretraining.sparsity import Sparsity
from dbn.random.streams import stream
from two_processes import NoiseOfTheImage, in_two_processes

SHAPE = (2, 6, 6)


def pooled_rbm() -> RBM:
    connection = Convolution(SHAPE, maps=3, kernel=3, padding=1, maps_first=True)
    connection.initialise(0.3, stream(0, "init"))
    return RBM(Bernoulli(SHAPE), MaxPooled(connection.hidden_shape, 2), connection).double()


def trained(rank: int, world: int) -> list[Tensor]:
    """Parameters after an epoch of steps on this process's share of the minibatches."""
    rbm = pooled_rbm()
    images = Images.from_features(torch.rand(43, rbm.n_visible, generator=stream(0, "images")))
    settings = LayerSettings(n_hidden=3, learning_rate=0.5)
    optimizer = RBMTraining(rbm, settings, NoiseOfTheImage()).configure_optimizers()
    step = ContrastiveStep(rbm, NoiseOfTheImage(), sparsity=Sparsity(0.05, 1.0))
    for block in BlockLoader(images, batch_size=10, seed=0, rank=rank, world_size=world):
        for batch in block.minibatches():
            step(batch.features.double(), optimizer, None, batch.count)
    return [parameter.detach() for parameter in rbm.parameters()]


def trained_by_one_of_two(rank: int) -> list[Any]:
    return [parameter.numpy() for parameter in trained(rank, 2)]


def test_two_processes_given_the_same_noise_are_one_on_the_same_minibatches() -> None:
    first, second = in_two_processes(trained_by_one_of_two)
    alone = trained(0, 1)
    for before, after, one, other in zip(pooled_rbm().parameters(), alone, first, second, strict=True):
        assert not torch.equal(before, after)
        assert (one == other).all()
        torch.testing.assert_close(after, torch.from_numpy(one), rtol=0, atol=1e-12)
