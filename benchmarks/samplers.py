"""Which sampler of the negative phase learns most in the same time? ``python benchmarks/samplers.py --seconds 200``.

Trains an RBM of 784 x 500 on binarised MNIST with each sampler, all with the settings of
``conf/stack/mnist_rbm500.yaml``, for as many epochs as fit into the seconds of processor time, and prints the test
log-likelihood by annealing forward and in reverse. Needs binarised MNIST: in the folder that ``DBN_DATA`` names, or
downloaded.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial

import torch

from dbn import RBM, Bernoulli
from dbn.data import binarized_mnist, load_data
from dbn.likelihood import (
    BaseRates,
    annealed_importance_sampling,
    average_log_likelihood,
    reverse_annealed_importance_sampling,
)
from dbn.machine.subnormals import flush_subnormals
from dbn.pretraining import fit
from dbn.random.streams import stream
from dbn.samplers import (
    ContrastiveDivergence,
    FastPersistentContrastiveDivergence,
    ParallelTempering,
    PersistentContrastiveDivergence,
    Sampler,
    TrajectoryTempering,
)

SAMPLERS: dict[str, Callable[[], Sampler]] = {
    "CD-1": ContrastiveDivergence,
    "CD-10": partial(ContrastiveDivergence, 10),
    "PCD-1": PersistentContrastiveDivergence,
    "PCD-5": partial(PersistentContrastiveDivergence, 5),
    "FPCD": FastPersistentContrastiveDivergence,
    "PT, 10 temperatures": ParallelTempering,
    "PTT, 4 models": partial(TrajectoryTempering, models=4),
}


def train(images: torch.Tensor, make: Callable[[], Sampler], epochs: int, seed: int, rate: float) -> RBM:
    """An RBM of 500 hidden units after ``epochs``, of which the learning rate falls to zero."""
    rbm = RBM(Bernoulli(784), Bernoulli(500), weight_std=0.01, generator=stream(seed, "init"))
    return fit(
        rbm, images, epochs=epochs, seed=seed, sampler=make(), learning_rate=rate, final_learning_rate=0, momentum=0,
        initial_momentum_epochs=0, weight_cost=0, batch_size=100, bias_from_data=True, gradient="centered",
    )  # fmt: skip


def measure(name: str, data: tuple[torch.Tensor, torch.Tensor], options: argparse.Namespace) -> None:
    """Train with one sampler, and print its row."""
    (images, test), make = data, SAMPLERS[name]
    seconds = []
    for epochs in (1, 3):  # a start, and two epochs more
        begin = time.process_time()
        train(images, make, epochs, options.seed, options.rate)
        seconds.append(time.process_time() - begin)
    epochs = max(1, round(options.seconds / ((seconds[1] - seconds[0]) / 2)))
    begin = time.process_time()
    rbm = train(images, make, epochs, options.seed, options.rate)
    taken = time.process_time() - begin
    base, betas = BaseRates.fitted(rbm, images), torch.linspace(0, 1, options.temperatures)
    forward = annealed_importance_sampling(rbm, betas, options.chains, stream(options.seed, "annealing"), base=base)
    starts = rbm.gibbs(images[:: len(images) // options.chains][: options.chains], 1000, stream(options.seed, "starts"))
    reverse = reverse_annealed_importance_sampling(rbm, starts, betas, stream(options.seed, "annealing", 1), base=base)
    found = [average_log_likelihood(rbm, test, own.estimate).value for own in (forward, reverse)]
    rbm.requires_grad_(False)
    gap = float(rbm.free_energy(test).mean() - rbm.free_energy(images[: len(test)]).mean())
    print(
        f"| {name} | {epochs} | {taken:.0f} | {found[0]:.1f} | {found[1]:.1f} | {gap:.1f} |",
        flush=True,
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=200, help="of processor time, for each sampler")
    parser.add_argument("--samplers", nargs="+", default=list(SAMPLERS), choices=list(SAMPLERS))
    parser.add_argument("--rate", type=float, default=0.05, help="learning rate at the start")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--temperatures", type=int, default=5000)
    parser.add_argument("--chains", type=int, default=100)
    options = parser.parse_args()
    flush_subnormals()
    torch.set_num_threads(1)
    data = load_data(binarized_mnist())
    print("| sampler | epochs | processor seconds | forward | reverse | free-energy gap |\n|---|---|---|---|---|---|")
    for name in options.samplers:
        measure(name, (data.train.features(), data.test.features()), options)


if __name__ == "__main__":
    main()
