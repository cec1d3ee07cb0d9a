"""Weights of images where units are computed by kernels: the gradient is that of plain torch on the same states."""

from functools import partial
from typing import Any

import pytest
import torch

from dbn import RBM
from dbn.machine.optimizer import SGD
from dbn.models.units import make_units
from dbn.pretraining.contrastive import ContrastiveStep
from dbn.random.streams import stream
from dbn.samplers import ContrastiveDivergence, PersistentContrastiveDivergence
from helpers import Route


@pytest.mark.parametrize("hidden", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("sampler", [ContrastiveDivergence, partial(PersistentContrastiveDivergence, chains=7)])
def test_it_is_the_gradient_of_weighted_free_energies(sampler: Any, hidden: str, kernels: Route) -> None:
    """By autograd; of real hidden units, too, whose kernel relies on weights that sum to zero."""
    rbm = RBM(make_units("bernoulli", 12), make_units(hidden, 9), generator=stream(0, "init"))
    with torch.no_grad():
        rbm.hidden.bias.copy_(torch.randn(9, generator=stream(0, "biases")))
    rbm.to(kernels.device)
    v = torch.rand(10, 12, generator=stream(0, "images")).round().to(kernels.device)
    weights = torch.rand(10, generator=stream(0, "weights")).to(kernels.device)
    step = ContrastiveStep(rbm, sampler())
    assert step.rbm.write_gradients_of_units is not None
    step(v, SGD(rbm.parameters(), lr=0.0), kernels.noise(0), None, weights)
    ends = step.phases_of(10).negative.v.clone()
    of_ends = weights / 10 if len(ends) == 10 else weights.mean() / 7
    loss = (weights * rbm.free_energy(v)).sum() / 10 - (of_ends * rbm.free_energy(ends)).sum()
    parameters = list(rbm.parameters())
    for parameter, wanted in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("sampler", [ContrastiveDivergence, PersistentContrastiveDivergence])
def test_members_have_weights_of_their_own(sampler: Any, kernels: Route) -> None:
    """Each member of a group takes the step that it takes alone, with the noise of its own seed."""
    rbms = [RBM(make_units("bernoulli", 12), make_units("bernoulli", 9), generator=stream(k, "init")) for k in range(2)]
    v = torch.rand(2, 10, 12, generator=stream(0, "images")).to(kernels.device)
    weights = torch.rand(2, 10, generator=stream(0, "weights")).to(kernels.device)
    group = RBM.group(rbms).to(kernels.device)
    ContrastiveStep(group, sampler())(v, SGD(group.parameters(), lr=0.5), kernels.noise(0, 1), None, weights)
    for seed, (rbm, member) in enumerate(zip(rbms, group.members(), strict=True)):
        rbm.to(kernels.device)
        step = ContrastiveStep(rbm, sampler())
        step(v[seed], SGD(rbm.parameters(), lr=0.5), kernels.noise(seed), None, weights[seed])
        for one, other in zip(member.parameters(), rbm.parameters(), strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-5)
