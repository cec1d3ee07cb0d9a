"""Weights of images in the steps of each method: an image of weight two is one that is there twice.

Units are saturated, so that their states are no matter of chance, and copies of an image have the same ones.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dbn import RBM, Bernoulli
from dbn.models.autoencoder import TiedAutoencoder
from dbn.models.conditional_rbm import ConditionalRBM
from dbn.models.connections import Convolution, Dense
from dbn.models.dbm import DBM
from dbn.models.units import BernoulliWithLabel, MaxPooled, Units
from dbn.models.untied import Untied
from dbn.pretraining.class_rbm_step import ClassRBMStep, Objective
from dbn.pretraining.conditional_rbm import ConditionalStep
from dbn.pretraining.contrastive import ContrastiveStep
from dbn.pretraining.dbm_chains import ChainStates
from dbn.pretraining.dbm_step import write_gradient_of_phases
from dbn.pretraining.denoising import Corruption, DenoisingStep
from dbn.pretraining.sparsity import Sparsity
from dbn.pretraining.up_down_step import UpDownStep
from dbn.random.streams import stream
from dbn.samplers import ContrastiveDivergence

N, LABELS = 30, 3
TIMES = torch.arange(N) % 3 + (torch.arange(N) % 7 == 0).long()
"""How often each image is there, from none to three times."""
IMAGES = torch.randint(0, 9, (N, 6), generator=stream(0, "images")).double() / 8
CLASSES = torch.arange(N) % LABELS

Gradient = Callable[[Tensor, Tensor, Tensor | None], Sequence[Tensor]]
"""Of images, their labels, and weights or None."""


def saturated(module: Any, std: float = 1e5) -> Any:
    """The model in float64 with parameters from N(0, ``std``^2)."""
    generator = stream(0, "init")
    with torch.no_grad():
        for parameter in module.double().parameters():
            parameter.copy_(std * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return module


def written(module: nn.Module) -> list[Tensor]:
    """The gradients of all parameters."""
    return [own.grad.clone() for own in module.parameters() if own.grad is not None]


def of_rbm(hidden: Units, connection: Any, v: Tensor, weights: Tensor | None) -> list[Tensor]:
    rbm = saturated(RBM(Bernoulli(connection.visible_shape), hidden, connection))
    sparsity = Sparsity(0.2, 0.5)
    step = ContrastiveStep(rbm, ContrastiveDivergence(2, sample_visible=True), sparsity=sparsity)
    step(v, torch.optim.SGD(rbm.parameters(), lr=0.0), stream(0, "gibbs"), None, weights)
    return written(rbm)


def of_dense(v: Tensor, labels: Tensor, weights: Tensor | None) -> list[Tensor]:
    return of_rbm(Bernoulli(5), Dense((6,), 5), v, weights)


def of_convolution(v: Tensor, labels: Tensor, weights: Tensor | None) -> list[Tensor]:
    connection = Convolution((1, 2, 3), 4, 1, maps_first=True)
    return of_rbm(MaxPooled((2, 3, 4), pool=1), connection, v, weights)


def of_class_rbm(kind: str, v: Tensor, labels: Tensor, weights: Tensor | None) -> list[Tensor]:
    rbm = saturated(RBM(Bernoulli(6), BernoulliWithLabel(5, LABELS)), 1.0 if kind == "discriminative" else 1e5)
    step = ClassRBMStep(rbm, ContrastiveDivergence(), Objective(kind, 0.3), sparsity=Sparsity(0.2, 0.5))
    step(v, labels, torch.optim.SGD(rbm.parameters(), lr=0.0), stream(0, "gibbs"), None, weights)
    return written(rbm)


def of_conditional_rbm(v: Tensor, labels: Tensor, weights: Tensor | None) -> list[Tensor]:
    model = saturated(ConditionalRBM(Bernoulli(6), Bernoulli(5), LABELS))
    u = nn.functional.one_hot(labels, LABELS).double()
    with torch.no_grad():
        ConditionalStep(model, ContrastiveDivergence()).write_gradient(v, u, stream(0, "gibbs"), None, weights)
    return written(model)


def of_up_down(labelled: bool, v: Tensor, labels: Tensor, weights: Tensor | None) -> list[Tensor]:
    layers: list[Any] = [Untied.of(RBM(Bernoulli(n), Bernoulli(m))) for n, m in pairwise((6, 5, 4))]
    layers.append(RBM(Bernoulli(4), BernoulliWithLabel(3, LABELS) if labelled else Bernoulli(3)))
    module = saturated(nn.ModuleList(layers))
    with torch.no_grad():
        UpDownStep(layers).write_gradient(v, labels if labelled else None, stream(0, "gibbs"), None, weights)
    return written(module)


def of_denoising(v: Tensor, labels: Tensor, weights: Tensor | None) -> list[Tensor]:
    layers = [TiedAutoencoder(Bernoulli(n), Bernoulli(m), Dense((n,), m)) for n, m in ((6, 5), (5, 4))]
    module = saturated(nn.ModuleList(layers), 1.0)
    with torch.no_grad():
        DenoisingStep(layers, Corruption(level=0.0)).write_gradient(v, v, None, weights)
    return written(module)


def of_dbm(v: Tensor, labels: Tensor, weights: Tensor | None) -> list[Tensor]:
    """With chains that the images have no part in."""
    dbm = saturated(DBM([Bernoulli(n) for n in (6, 4, 3)]), 1.0)
    states = [torch.rand(8, n, generator=stream(0, "chains", n), dtype=torch.float64) for n in (6, 4, 3)]
    with torch.no_grad():
        found = dbm.mean_field(v, steps=200, tolerance=0)
        write_gradient_of_phases(dbm, v, found, ChainStates(states, states), len(v), 8, None, weights)
    return written(dbm)


GRADIENTS: dict[str, Gradient] = {
    "rbm": of_dense,
    "convolution": of_convolution,
    **{f"class_rbm_{kind}": lambda *own, kind=kind: of_class_rbm(kind, *own)
       for kind in ("generative", "discriminative", "hybrid")},
    "conditional_rbm": of_conditional_rbm,
    "up_down": lambda *own: of_up_down(False, *own),
    "up_down_labelled": lambda *own: of_up_down(True, *own),
    "denoising": of_denoising,
    "dbm": of_dbm,
}  # fmt: skip


@pytest.mark.parametrize("method", GRADIENTS)
def test_an_image_of_weight_two_is_one_that_is_there_twice(method: str) -> None:
    gradient, relative = GRADIENTS[method], TIMES / TIMES.double().mean()
    found = gradient(IMAGES, CLASSES, relative)
    expected = gradient(IMAGES.repeat_interleave(TIMES, 0), CLASSES.repeat_interleave(TIMES), None)
    plain = gradient(IMAGES, CLASSES, None)
    assert len(found) == len(expected) >= 3
    for own, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(own, wanted, rtol=0, atol=1e-12)
    differences = [float((own - other).abs().max()) for own, other in zip(found, plain, strict=True)]
    assert sum(own > 1e-6 for own in differences) > len(differences) / 2, differences
