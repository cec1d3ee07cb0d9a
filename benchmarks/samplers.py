"""Which sampler of the negative phase learns most in the same time? ``python benchmarks/samplers.py --seconds 200``.

Trains the RBM of ``conf/stack/mnist_rbm500.yaml`` on binarised MNIST with each sampler, composed from ``conf/`` as
``dbn-pretrain stack=mnist_rbm500 sampler=pcd`` does, for as many epochs as fit into the seconds of processor time, and
prints the test log-likelihood by annealing forward and in reverse. Needs binarised MNIST: in the folder that
``DBN_DATA`` names, or downloaded.
"""

import argparse
import time
from typing import Any

import hydra
import torch

from dbn import RBM, Bernoulli
from dbn.commands.configuration import config_directory, resolve_config
from dbn.data import binarized_mnist, load_data
from dbn.likelihood import (
    BaseRates,
    annealed_importance_sampling,
    average_log_likelihood,
    reverse_annealed_importance_sampling,
)
from dbn.machine.subnormals import flush_subnormals
from dbn.pretraining import fit
from dbn.pretraining.from_config import layers_of
from dbn.random.streams import stream

SAMPLERS: dict[str, list[str]] = {
    "CD-1": ["sampler=cd"],
    "CD-10": ["sampler=cd", "sampler.steps=10"],
    "PCD-1": ["sampler=pcd"],
    "PCD-5": ["sampler=pcd", "sampler.steps=5"],
    "FPCD": ["sampler=fpcd"],
    "PT, 10 temperatures": ["sampler=pt", "sampler.temperatures=10"],
    "PTT, 4 models": ["sampler=ptt", "sampler.models=4"],
}
"""Overrides of dbn-pretrain."""
STACK = "mnist_rbm500"
OF_THE_RBM = ("n_hidden", "hidden", "connection", "pool", "weight_std")
OF_A_STACK = ("patience", "watch", "epochs")
"""Settings of a layer that ``fit`` does not take with the others."""


def composed(sampler: str) -> dict[str, Any]:
    """The configuration of dbn-pretrain with a sampler."""
    with hydra.initialize_config_dir(str(config_directory()), version_base="1.3"):
        config = resolve_config(
            hydra.compose("pretrain", ["data=binarized_mnist", f"stack={STACK}", *SAMPLERS[sampler]])
        )
    return dict(config)


def train(images: torch.Tensor, config: dict[str, Any], epochs: int, seed: int, rate: float | None) -> RBM:
    """An RBM after ``epochs``, over which the learning rate falls to zero; ``rate``: another one to start with."""
    (layer,) = layers_of(config["stack"])
    settings = {name: value for name, value in layer.values().items() if name not in (*OF_THE_RBM, *OF_A_STACK)}
    if rate is not None:
        settings["learning_rate"] = rate
    units = Bernoulli(images.shape[1]), Bernoulli(layer.n_hidden)
    rbm = RBM(*units, weight_std=layer.weight_std, generator=stream(seed, "init"))
    return fit(rbm, images, epochs=epochs, seed=seed, sampler=hydra.utils.instantiate(config["sampler"])(), **settings)


def measure(name: str, data: tuple[torch.Tensor, torch.Tensor], options: argparse.Namespace) -> None:
    """Train with one sampler, and print its row."""
    (images, test), config = data, composed(name)
    seconds = []
    for epochs in (1, 3):  # a start, and two epochs more
        begin = time.process_time()
        train(images, config, epochs, options.seed, options.rate)
        seconds.append(time.process_time() - begin)
    epochs = max(1, round(options.seconds / ((seconds[1] - seconds[0]) / 2)))
    begin = time.process_time()
    rbm = train(images, config, epochs, options.seed, options.rate)
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
    parser.add_argument(
        "--rate", type=float, help=f"learning rate at the start; that of conf/stack/{STACK}.yaml if left out"
    )
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
