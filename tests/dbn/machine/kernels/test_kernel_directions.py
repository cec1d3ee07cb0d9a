"""Directions of updates and limits of weights where units and the optimiser are computed by kernels."""

from typing import Any

import pytest
import torch

from dbn import RBM, Bernoulli
from dbn.machine.optimizer import SGD
from dbn.models.connections.bfloat16 import Bfloat16
from dbn.pretraining.contrastive import ContrastiveStep
from dbn.pretraining.gradients import Centered
from dbn.pretraining.hidden_dropout import HiddenDropout
from dbn.pretraining.weight_limits import WeightLimits
from dbn.random.streams import stream
from dbn.samplers import ContrastiveDivergence
from helpers import Route


def new_rbm(kernels: Route) -> RBM:
    return RBM(Bernoulli(12), Bernoulli(9), generator=stream(0, "init")).to(kernels.device)


def images(kernels: Route) -> torch.Tensor:
    return torch.rand(10, 12, generator=stream(0, "images")).round().to(kernels.device)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_the_centered_gradient_is_that_of_the_step_it_would_have_taken(precision: str, kernels: Route) -> None:
    def gradients(**options: Any) -> list[torch.Tensor]:
        rbm = new_rbm(kernels)
        step = ContrastiveStep(rbm, ContrastiveDivergence(), precision, **options)
        assert step.rbm.write_gradients_of_units is not None
        step(images(kernels), SGD(rbm.parameters(), lr=0.0), kernels.noise(0))
        found = [own.grad for own in (rbm.weight, rbm.visible.bias, rbm.hidden.bias) if own.grad is not None]
        return [own.view(-1, own.shape[-1]) for own in found]

    direction = Centered("average", rate=0.5)
    (W, b, c), found = gradients(), gradients(gradient=direction)
    assert direction.visible is not None
    assert direction.hidden is not None
    tolerance = 1e-5 if precision == "float32" else 4e-3  # means are kept with the 8 bits that products take
    dW = W - direction.visible.T @ c - b.T @ direction.hidden
    for own, wanted in zip(found, (dW, b - direction.hidden @ dW.T, c - direction.visible @ dW), strict=True):
        torch.testing.assert_close(own, wanted, rtol=0, atol=tolerance)
    assert (dW - W).norm() > 0.1 * W.norm()


def test_bfloat16_products_see_the_weights_that_were_scaled_back(kernels: Route) -> None:
    """The optimiser's kernel writes their copy, the limit comes after it."""
    rbm = new_rbm(kernels)
    step = ContrastiveStep(rbm, ContrastiveDivergence(), "bf16", limits=WeightLimits(max_norm=0.2))
    optimizer, noise = SGD(rbm.parameters(), lr=0.5), kernels.noise(0)
    for _ in range(2):
        step(images(kernels), optimizer, noise)
    connection = step.rbm.connection
    assert isinstance(connection, Bfloat16)
    connection.refresh()
    assert rbm.weight.norm(dim=0).max() < 0.2 * (1 + 1e-6)
    assert torch.equal(connection.matrix16, rbm.weight.detach().bfloat16())


def test_units_that_are_left_out_are_computed_without_kernels(kernels: Route) -> None:
    rbm, dropout = new_rbm(kernels), HiddenDropout(0.5)
    step = ContrastiveStep(rbm, ContrastiveDivergence(), dropout=dropout)
    assert step.rbm.write_gradients_of_units is None
    step(images(kernels), SGD(rbm.parameters(), lr=0.1), stream(0, "gibbs", device=kernels.device))
    assert dropout.mask is not None
    assert bool((step.phases_of(10).positive.h[dropout.mask[0] == 0] == 0).all())
