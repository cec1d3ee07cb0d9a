"""Two processes, each with its share of the minibatches, for tests that what they learn is what one would."""

import socket
from collections.abc import Callable
from typing import Any

import torch
import torch.multiprocessing as mp
from torch import Tensor

from dbn import RBM
from dbn.models.phases import Phase
from dbn.random.streams import Noise
from dbn.samplers import Sampler


class NoiseOfTheImage(Sampler):
    """CD-1 whose noise is a function of the image, so that it does not matter which process draws it."""

    products = 1

    def write_negative_states(self, rbm: RBM, positive: Phase, out: Tensor, generator: Noise = None) -> None:
        noise = torch.frac(positive.v.sum(1, keepdim=True) * 997 + torch.arange(rbm.n_hidden) * 0.618034)
        out.copy_(rbm.mean_visible((noise < positive.mean).to(positive.v.dtype)))


def in_two_processes(work: Callable[[int], Any]) -> tuple[Any, Any]:
    """What ``work(rank)`` returns in each of two gloo processes; a function of a module, and its results picklable."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with mp.Manager() as manager:
        results = manager.dict()
        mp.spawn(_one_of_two, args=(port, work, results), nprocs=2)
        return results[0], results[1]


def _one_of_two(rank: int, port: int, work: Callable[[int], Any], results: Any) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    results[rank] = work(rank)
    torch.distributed.destroy_process_group()
