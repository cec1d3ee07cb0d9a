"""Two processes, each with its share of the weighted images, take the steps of one."""

from typing import Any, ClassVar

import torch

from dbn import RBM
from dbn.data import Images
from dbn.data.block_loader import BlockLoader
from dbn.models.phases import Phase
from dbn.pretraining import LayerSettings
from dbn.pretraining.contrastive import ContrastiveStep, RBMTraining
from dbn.random.streams import Noise, stream
from dbn.samplers import Sampler
from helpers import make_rbm
from two_processes import in_two_processes


class MeanReconstructions(Sampler):
    """CD-1 at means: it does not matter which process computes it."""

    products = 1
    chains_of_images: ClassVar[bool] = True

    def write_negative_states(self, rbm: RBM, positive: Phase, out: torch.Tensor, generator: Noise = None) -> None:
        out.copy_(rbm.mean_visible(positive.mean))


class OfNoImage(MeanReconstructions):
    """The same states, of which each counts the same."""

    chains_of_images: ClassVar[bool] = False


CASES = [(sampler, gradient) for sampler in (MeanReconstructions, OfNoImage) for gradient in ("plain", "centered")]


def train_some(rank: int, world: int, sampler: type[Sampler], gradient: str) -> list[torch.Tensor]:
    """Parameters, and offsets, after an epoch of steps on this process's share of the minibatches."""
    rbm = make_rbm()
    v = torch.rand(103, 5, generator=stream(0, "images"))
    images = Images.from_features(v, weights=torch.rand(103, generator=stream(0, "weights")))
    settings = LayerSettings(n_hidden=4, gradient=gradient, sparsity_target=0.2)
    module = RBMTraining(rbm, settings, sampler())
    optimizer = module.configure_optimizers()
    direction = settings.direction
    step = ContrastiveStep(rbm, module.sampler, sparsity=settings.sparsity, gradient=direction)
    for block in BlockLoader(images, batch_size=10, seed=0, rank=rank, world_size=world):
        for batch in block.minibatches():
            step(batch.features.double(), optimizer, None, batch.count, batch.weights)
    states = {} if direction is None else direction.state_dict()
    return [*(own.detach() for own in rbm.parameters()), *states.values()]


def trained_by_one_of_two(rank: int) -> list[list[Any]]:
    return [[own.numpy() for own in train_some(rank, 2, *case)] for case in CASES]


def test_two_processes_are_one_on_the_same_minibatches() -> None:
    """Also where the chains count as often as the images of both: their shares of the weights differ."""
    first, second = in_two_processes(trained_by_one_of_two)
    alone = [train_some(0, 1, *case) for case in CASES]
    for expected, one, other in zip(alone, first, second, strict=True):
        for own, by_first, by_second in zip(expected, one, other, strict=True):
            assert (by_first == by_second).all()
            torch.testing.assert_close(own, torch.from_numpy(by_first), rtol=0, atol=1e-12)
    assert not torch.allclose(alone[0][0], alone[2][0], atol=1e-4)
