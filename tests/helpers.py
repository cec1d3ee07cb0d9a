"""What tests of several parts share beside fixtures: small models and states."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
import torch
from torch import Tensor

from dbn import RBM
from dbn.commands.configuration import config_directory, resolve_config
from dbn.machine.kernels import kernel_streams
from dbn.models.units import Units, make_units
from dbn.pretraining.stack_run import pretraining_config, pretraining_directory
from dbn.random.streams import Source, streams

Composer = Callable[..., dict[str, Any]]
"""Composes a configuration; the fixture ``compose``."""

PAIRS = [(visible, hidden) for visible in sorted(Units.registry) for hidden in sorted(Units.registry)]
"""Every pair of unit types."""

NORMALISED = [
    (visible, hidden)
    for visible, hidden in PAIRS
    if Units.registry[visible].normalised and Units.registry[hidden].normalised
]
"""Those that have likelihoods."""


def recipe_overrides(file: Path) -> list[str]:
    """What makes a file of ``conf/recipe/`` take part: its experiment, and the arm that it is for."""
    groups = ("start", "dropout", "augment", "normalisation", "optimizer")
    chosen = [f"{group}={choice}" for group, choice in zip(groups, file.stem.split("-"), strict=True)]
    return [f"experiment={file.parent.name}", *chosen]


def stack_directory(*overrides: str) -> Path:
    """Where dbn-finetune with these overrides, called in this folder, has its stack: ``runs/<study>/pretrain/...``."""
    with hydra.initialize_config_dir(str(config_directory()), version_base="1.3"):
        return pretraining_directory(pretraining_config(resolve_config(hydra.compose("finetune", list(overrides)))))


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


def make_rbm(visible: str = "bernoulli", hidden: str = "bernoulli", n_visible: int = 5, n_hidden: int = 4) -> RBM:
    """A small float64 RBM with weights and biases away from zero.

    Weights shrink where both sides are real: the energy must be bounded below.
    """
    std = 0.8 if "bernoulli" in (visible, hidden) else 0.15
    rbm = RBM(make_units(visible, n_visible), make_units(hidden, n_hidden)).double()
    generator = torch.Generator().manual_seed(n_visible * 100 + n_hidden)
    with torch.no_grad():
        rbm.weight.copy_(torch.randn(n_visible, n_hidden, generator=generator, dtype=torch.float64) * std)
        for units in (rbm.visible, rbm.hidden):
            units.bias.copy_(torch.randn(units.size, generator=generator, dtype=torch.float64) * 0.5)
    return rbm


def random_states(kind: str, n: int, size: int) -> torch.Tensor:
    """States that units of this type can have."""
    if kind == "bernoulli":
        return torch.randint(2, (n, size)).double()
    states = torch.randn(n, size, dtype=torch.float64)
    return states.relu() if kind == "relu" else states


def exact_gaussian_log_z(rbm: RBM) -> Tensor:
    """Closed form for Gaussian units on both sides: a joint Gaussian with precision [[I, -W], [-W', I]]."""
    n, m = rbm.n_visible, rbm.n_hidden
    eye = torch.eye(n + m, dtype=torch.float64)
    precision = eye.clone()
    precision[:n, n:], precision[n:, :n] = -rbm.weight, -rbm.weight.T
    b = torch.cat([rbm.visible.bias, rbm.hidden.bias])
    return 0.5 * (
        b @ torch.linalg.solve(precision, b) - b @ b + (n + m) * math.log(2 * math.pi) - torch.logdet(precision)
    )


def log_z(rbm: RBM) -> Tensor:
    """Exact, differentiable ``log Z`` of a small RBM, by a formula of its own."""
    if rbm.hidden.kind == "bernoulli":
        return torch.logsumexp(-rbm.free_energy_hidden(rbm.hidden.states()), 0)
    if rbm.visible.kind == "bernoulli":
        return torch.logsumexp(-rbm.free_energy(rbm.visible.states()), 0)
    return exact_gaussian_log_z(rbm)
