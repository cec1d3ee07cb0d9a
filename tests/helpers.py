"""What tests of several parts share beside fixtures: small models and states."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
import pytest
import torch
from torch import Tensor

from dbn import RBM
from dbn.commands.configuration import config_directory, resolve_config
from dbn.machine.kernels import kernel_streams
from dbn.models.units import Binomial, GaussianWithVariance, Mixed, Units, make_units
from dbn.pretraining.contrastive import RBMTraining
from dbn.pretraining.stack_run import pretraining_config, pretraining_directory
from dbn.random.streams import Source, streams

Composer = Callable[..., dict[str, Any]]
"""Composes a configuration; the fixture ``compose``."""

OF_MAPS = ("max_pooled", "per_map")
"""Unit types of feature maps, which have tests of their own, see test_convolution.py and test_map_units.py."""
WITH_LABEL = "bernoulli_with_label"
"""Likewise, see test_bernoulli_with_label.py: its units depend on each other."""
OF_THEIR_OWN = ("drelu", "replicated_softmax")
"""Unit types of which not every pair has a closed form, or can be: they have a file of tests each."""
KINDS = sorted(set(Units.registry) - {*OF_MAPS, WITH_LABEL, *OF_THEIR_OWN})
"""All others."""

ENUMERABLE = ("bernoulli", "binomial", "softmax", "spin")
"""Types of finitely many states."""

PAIRS = [(visible, hidden) for visible in KINDS for hidden in KINDS]
"""Every pair of them."""

NORMALISED = [
    (visible, hidden)
    for visible, hidden in PAIRS
    if Units.registry[visible].normalised and Units.registry[hidden].normalised
]
"""Those that have likelihoods."""

SLOPED = [pair for pair in PAIRS if all(Units.registry[kind].mean_slope is not Units.mean_slope for kind in pair)]
"""Those that autoencoders can be made of."""


def recipe_overrides(file: Path) -> list[str]:
    """What makes a file of ``conf/recipe/`` take part: its experiment, and the arm that it is for."""
    groups = ("start", "dropout", "augment", "normalisation", "optimizer")
    chosen = [f"{group}={choice}" for group, choice in zip(groups, file.stem.split("-"), strict=True)]
    return [f"experiment={file.parent.name}", *chosen]


def stack_directory(*overrides: str) -> Path:
    """Where dbn-finetune with these overrides, called in this folder, has its stack: ``runs/<study>/pretrain/...``."""
    with hydra.initialize_config_dir(str(config_directory()), version_base="1.3"):
        return pretraining_directory(pretraining_config(resolve_config(hydra.compose("finetune", list(overrides)))))


def stop_at(patch: pytest.MonkeyPatch, layer: int, epoch: int) -> None:
    """Interrupt pretraining of layer ``layer`` (from 1) at the start of ``epoch`` (from 0), as Ctrl-C does."""

    def stop(self: RBMTraining) -> None:
        RBMTraining.__mro__[1].on_train_epoch_start(self)  # type: ignore[attr-defined]
        if (self.number, self.current_epoch) == (layer, epoch):
            raise KeyboardInterrupt

    patch.setattr(RBMTraining, "on_train_epoch_start", stop)


@dataclass
class Route:
    """One of the two ways on which a step may be computed; a fixture."""

    device: torch.device
    in_kernels: bool

    def of(self, rbm: RBM) -> RBM:
        """The RBM, or one with its parameters that is computed by kernels."""
        return rbm.in_kernels() if self.in_kernels else rbm

    @property
    def draws(self) -> int:
        """Draws of a statistical test: the interpreter is slow."""
        return 40_000 if self.in_kernels and self.device.type == "cpu" else 200_000

    def noise(self, *seeds: int) -> Source:
        """Noise of each member's seed."""
        streams_of = kernel_streams if self.in_kernels else streams
        return streams_of(seeds, "route", device=self.device)


def spec_of(kind: str, size: int) -> str | dict[str, Any]:
    """Kind, or kind and options, of ``size`` units: groups of categories of different size, parts of every type."""
    if kind == "softmax":
        return {"kind": kind, "categories": [size] if size < 4 else [2, size - 2]}
    if kind == "binomial":
        return {"kind": kind, "trials": 2}
    if kind != "mixed":
        return kind
    parts: list[dict[str, Any]] = [
        {"kind": "gaussian_with_variance", "n": max(1, size - 3)},
        {"kind": "bernoulli", "n": 1},
    ]
    if size == 3:
        parts.append({"kind": "bernoulli", "n": 1})
    elif size > 3:
        parts.append({"kind": "softmax", "n": 2})
    return {"kind": kind, "parts": parts}


def units_of(kind: str, size: int) -> Units:
    """Units of a type, see :func:`spec_of`."""
    return make_units(spec_of(kind, size), size)


def randomise(units: Units, generator: torch.Generator, std: float = 0.5) -> None:
    """Biases from N(0, ``std``^2), variances round two thirds."""
    with torch.no_grad():
        for name, parameter in units.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(0.3 * noise - 0.4 if name.endswith("log_variance") else std * noise)


def make_rbm(visible: str = "bernoulli", hidden: str = "bernoulli", n_visible: int = 5, n_hidden: int = 4) -> RBM:
    """A small float64 RBM with weights and biases away from zero.

    Weights shrink where both sides are real: the energy must be bounded below. Spins and counts of two trials have
    twice the range of binary units.
    """
    std = 0.8 if set(ENUMERABLE) & {visible, hidden} else 0.15
    std /= 2 if {"binomial", "spin"} & {visible, hidden} else 1
    rbm = RBM(units_of(visible, n_visible), units_of(hidden, n_hidden)).double()
    generator = torch.Generator().manual_seed(n_visible * 100 + n_hidden)
    with torch.no_grad():
        rbm.weight.copy_(torch.randn(n_visible, n_hidden, generator=generator, dtype=torch.float64) * std)
    for units in (rbm.visible, rbm.hidden):
        randomise(units, generator)
    return rbm


def rbm_of_modes() -> RBM:
    """Four random patterns of 64 units, each held by four hidden units that only turn on together.

    Modes that open up suddenly, at a temperature where they are a small part of the model: annealing misses them.
    """
    generator = torch.Generator().manual_seed(0)
    rbm = RBM(units_of("bernoulli", 64), units_of("bernoulli", 16)).double()
    patterns = torch.rand(4, 64, generator=generator).lt(0.5).double()
    with torch.no_grad():
        rbm.weight.copy_((2 * patterns - 1).T.repeat_interleave(4, 1) * 1.5)
        rbm.hidden.bias.copy_((-0.72 * 1.5 * patterns.sum(1)).repeat_interleave(4))
    return rbm


def random_states(kind: str, n: int, size: int) -> torch.Tensor:
    """States that units of this type can have."""
    if kind == "bernoulli":
        return torch.randint(2, (n, size)).double()
    if kind in (*ENUMERABLE, "mixed"):
        return units_of(kind, size).double().sample(torch.randn(n, size, dtype=torch.float64)).detach()
    states = torch.randn(n, size, dtype=torch.float64)
    return states.relu() if kind == "relu" else states


@dataclass
class Law:
    """What a layer's units are without a field, written in another way than the units are.

    Attributes:
        states: of the units of finitely many states, here called binary, ``(states, n_binary)``; one empty state where
            there are none.
        log_choices: log of the number of ways to each of them, ``(states,)``: of counts those to choose the trials.
        binary: their places.
        real: the places of the real units.
        precision: of the real units.
    """

    states: Tensor
    log_choices: Tensor
    binary: list[int]
    real: list[int]
    precision: Tensor

    @classmethod
    def of(cls, units: Units) -> "Law":
        """The law of units of any type; rectified units are taken as real ones."""
        states, binary, real, precision, start = torch.zeros(1, 0), [], [], [torch.zeros(0)], 0
        choices = torch.zeros(1).double()
        for part in units.units if isinstance(units, Mixed) else [units]:
            places = range(start, start + part.size)
            start += part.size
            if part.kind in ENUMERABLE:
                own = part.states().float()
                ways = torch.zeros(len(own)).double()
                if isinstance(part, Binomial):
                    ways = torch.tensor([[math.comb(part.trials, int(x)) for x in state] for state in own])
                    ways = ways.double().log().sum(1)
                choices = (choices[:, None] + ways).flatten()
                states = torch.cat([states.repeat_interleave(len(own), 0), own.repeat(len(states), 1)], 1)
                binary += places
            else:
                real += places
                known = isinstance(part, GaussianWithVariance)
                precision.append(1 / part.variance if known else torch.ones(part.size))
        return cls(states.double(), choices, binary, real, torch.cat([own.double() for own in precision]))


def given_binary_units(rbm: RBM) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The law of the real units of both sides for each combination of the binary ones: a joint Gaussian.

    Returns:
        The combinations' binary visible units ``(combinations, n_binary)``; their log weights, which add up to ``Z``;
        means of the real units ``(combinations, n_real)``, those of the visible side first; their precision
        ``[[P_v, -W], [-W', P_h]]``.
    """
    v, h, weight = Law.of(rbm.visible), Law.of(rbm.hidden), rbm.weight
    b, c = rbm.visible.bias, rbm.hidden.bias
    n, m = len(v.real), len(h.real)
    own, other = v.states.repeat_interleave(len(h.states), 0), h.states.repeat(len(v.states), 1)
    constant = own @ b[v.binary] + other @ c[h.binary] + ((own @ weight[v.binary][:, h.binary]) * other).sum(1)
    constant = constant + (v.log_choices[:, None] + h.log_choices).flatten()
    constant = constant - 0.5 * (v.precision @ b[v.real].square() + h.precision @ c[h.real].square())
    linear = torch.cat(
        [
            v.precision * b[v.real] + other @ weight[v.real][:, h.binary].T,
            h.precision * c[h.real] + own @ weight[v.binary][:, h.real],
        ],
        1,
    )
    between = -weight[v.real][:, h.real]
    upper, lower = torch.cat([torch.zeros(n, n), between], 1), torch.cat([between.T, torch.zeros(m, m)], 1)
    precision = torch.diag(torch.cat([v.precision, h.precision])) + torch.cat([upper, lower])
    mean = torch.linalg.solve(precision, linear.T).T
    weights = constant + 0.5 * (linear * mean).sum(1) - 0.5 * torch.logdet(precision)
    return own, weights + 0.5 * (n + m) * math.log(2 * math.pi), mean, precision


def log_z(rbm: RBM) -> Tensor:
    """Exact, differentiable ``log Z`` of a small RBM, by a formula of its own."""
    return torch.logsumexp(given_binary_units(rbm)[1], 0)


@torch.no_grad()
def exact_draws(rbm: RBM, n: int, generator: torch.Generator) -> Tensor:
    """Visible states from the exact distribution, ``(n, n_visible)``."""
    law = Law.of(rbm.visible)
    binary, log_weights, mean, precision = given_binary_units(rbm)
    chosen = torch.multinomial(torch.softmax(log_weights, 0), n, replacement=True, generator=generator)
    noise = torch.randn(n, len(precision), generator=generator, dtype=torch.float64)
    real = mean[chosen] + noise @ torch.linalg.cholesky(torch.linalg.inv(precision)).T
    v = torch.empty(n, rbm.n_visible, dtype=torch.float64)
    v[:, law.binary], v[:, law.real] = binary[chosen], real[:, : len(law.real)]
    return v
