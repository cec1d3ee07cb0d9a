"""What tests of several parts share beside fixtures: small models and states."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
import torch

from dbn import RBM
from dbn.commands.configuration import config_directory, resolve_config
from dbn.models.units import Units, make_units
from dbn.pretraining.stack_run import pretraining_config, pretraining_directory

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
    start, dropout, augment = file.stem.split("-")
    return [f"experiment={file.parent.name}", f"start={start}", f"dropout={dropout}", f"augment={augment}"]


def stack_directory(*overrides: str) -> Path:
    """Where dbn-finetune with these overrides, called in this folder, has its stack: ``runs/<study>/pretrain/...``."""
    with hydra.initialize_config_dir(str(config_directory()), version_base="1.3"):
        return pretraining_directory(pretraining_config(resolve_config(hydra.compose("finetune", list(overrides)))))


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
