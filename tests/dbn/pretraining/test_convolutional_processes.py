"""Filters, maps' biases and the target of maps learn on two processes what they learn on one."""

import socket
from typing import Any

import torch
import torch.multiprocessing as mp
from torch import Tensor

from dbn import RBM
from dbn.data import Images
from dbn.data.block_loader import BlockLoader
from dbn.models.connections import Convolution
from dbn.models.phases import Phase
from dbn.models.units import Bernoulli, MaxPooled
from dbn.pretraining import LayerSettings
from dbn.pretraining.contrastive import ContrastiveStep, RBMTraining
from dbn.pretraining.sparsity import Sparsity
from dbn.random.streams import stream
from dbn.samplers import Sampler

SHAPE = (2, 6, 6)


def pooled_rbm() -> RBM:
    connection = Convolution(SHAPE, maps=3, kernel=3, padding=1, maps_first=True)
    connection.initialise(0.3, stream(0, "init"))
    return RBM(Bernoulli(SHAPE), MaxPooled(connection.hidden_shape, 2), connection).double()


class NoiseOfTheImage(Sampler):
    """CD-1 whose noise is a function of the image, so that it does not matter which process draws it."""

    products = 1

    def write_negative_states(self, rbm: RBM, positive: Phase, out: Tensor, generator: Any = None) -> None:
        noise = torch.frac(positive.v.sum(1, keepdim=True) * 997 + torch.arange(rbm.n_hidden) * 0.618034)
        out.copy_(rbm.mean_visible((noise < positive.mean).to(positive.v.dtype)))


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


def one_of_two(rank: int, port: int, results: Any) -> None:
    """One of two gloo processes."""
    torch.distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    results[rank] = [parameter.numpy() for parameter in trained(rank, 2)]
    torch.distributed.destroy_process_group()


def test_two_processes_given_the_same_noise_are_one_on_the_same_minibatches() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with mp.Manager() as manager:
        results = manager.dict()
        mp.spawn(one_of_two, args=(port, results), nprocs=2)
        first, second = results[0], results[1]
    alone = trained(0, 1)
    for before, after, one, other in zip(pooled_rbm().parameters(), alone, first, second, strict=True):
        assert not torch.equal(before, after)
        assert (one == other).all()
        torch.testing.assert_close(after, torch.from_numpy(one), rtol=0, atol=1e-12)
