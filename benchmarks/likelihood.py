"""Are estimates of log Z right on MNIST? ``python benchmarks/likelihood.py``: RBMs of 20 hidden units, exact beside.

Trains RBMs of 784 x 20 on MNIST, each pixel drawn once with its grey value as probability, one for each seed. Prints
log Z by enumeration, and the errors of annealing forward from the base rates and in reverse from exact samples. Needs
MNIST: in the folder that ``DBN_DATA`` names, or downloaded.
"""

import argparse
from copy import deepcopy

import torch

from dbn import RBM, Bernoulli
from dbn.data import load_data, mnist
from dbn.likelihood import (
    BaseRates,
    Enumeration,
    LogPartitionEstimate,
    annealed_importance_sampling,
    average_log_likelihood,
    exactly,
    reverse_annealed_importance_sampling,
)
from dbn.pretraining import fit
from dbn.random.streams import stream
from dbn.samplers import PersistentContrastiveDivergence


def measure(seed: int, hidden: int, epochs: int, temperatures: int, chains: int) -> None:
    """Train from one seed, and print a row for each estimate."""
    data = load_data(mnist(), split_seed=0)
    train = torch.bernoulli(data.train.features(), generator=stream(seed, "binarise"))
    test = torch.bernoulli(data.test.features(), generator=stream(seed, "binarise", 1)).double()
    rbm = RBM(Bernoulli(784), Bernoulli(hidden), weight_std=0.01, generator=stream(seed, "init"))
    fit(
        rbm, train, epochs=epochs, seed=seed, sampler=PersistentContrastiveDivergence(), learning_rate=0.02,
        batch_size=100, bias_from_data=True, precision="float32",
    )  # fmt: skip
    exact = Enumeration(deepcopy(rbm).double())
    log_z = float(exact.log_z)
    average = average_log_likelihood(deepcopy(rbm).double(), test, exactly(log_z))
    print(f"seed {seed}: exact log Z {log_z:.3f}, average test log-likelihood {average.value:.2f} nats", flush=True)
    base, betas = BaseRates.fitted(rbm, train), torch.linspace(0, 1, temperatures)
    draws = exact.sample(chains, stream(seed, "exact")).float()
    noise = stream(seed, "annealing")
    show("forward, base rates", annealed_importance_sampling(rbm, betas, chains, noise, base=base), log_z)
    show("reverse, base rates", reverse_annealed_importance_sampling(rbm, draws, betas, noise, base=base), log_z)


def show(name: str, found: LogPartitionEstimate, exact: float) -> None:
    """Print errors of an estimate."""
    interval = found.estimate
    print(
        f"  {name:20} log Z - exact {found.log_z - exact:+.3f} [{interval.low - exact:+.3f}, "
        f"{interval.high - exact:+.3f}]  bound - exact {found.bound - exact:+.3f}  "
        f"{found.effective_chains:.0f} of {len(found.log_weights)} chains",
        flush=True,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--hidden", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--temperatures", type=int, default=4000)
    parser.add_argument("--chains", type=int, default=1000)
    given = parser.parse_args()
    for number in range(given.seeds):
        measure(number, given.hidden, given.epochs, given.temperatures, given.chains)
