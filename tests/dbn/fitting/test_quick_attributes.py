"""What training leaves of its shortcuts: modules as torch knows them, and tensors that autograd may use."""

import numpy as np
import pytest
import torch
from torch import nn

from dbn import RBM, Bernoulli
from dbn.fitting.quick_attributes import quick_attributes
from dbn.pretraining.fit import fit
from dbn.samplers import HiddenChains


def own_attributes(module: nn.Module) -> dict[nn.Module, set[str]]:
    return {part: set(part.__dict__) for part in module.modules()}


def test_parameters_and_submodules_are_found_without_a_search_inside_and_nothing_is_left():
    module = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    before = own_attributes(module)
    with quick_attributes(module):
        assert module[0].__dict__["weight"] is module[0].weight
        assert module[1].__dict__["running_mean"] is module[1].running_mean
        assert module.__dict__["0"] is module[0]
    assert own_attributes(module) == before


def test_an_error_inside_leaves_nothing_either():
    module = nn.Linear(3, 2)
    before = own_attributes(module)
    with pytest.raises(RuntimeError, match="shapes"), quick_attributes(module):
        module(torch.ones(1, 4))
    assert own_attributes(module) == before


def test_a_parameter_that_is_replaced_inside_counts():
    module = nn.Linear(3, 1)
    with quick_attributes(module):
        module.weight = nn.Parameter(torch.ones(1, 3))
        module.bias = nn.Parameter(torch.ones(1))
        assert module(torch.ones(1, 3)).item() == 4
    assert module(torch.ones(1, 3)).item() == 4
    assert not {"weight", "bias"} & set(module.__dict__)


def test_after_a_fit_autograd_may_add_to_gradients_and_chains_may_go_on_in_place():
    sampler = HiddenChains()
    rbm = RBM(Bernoulli(6), Bernoulli(4))
    before = own_attributes(rbm)
    fit(rbm, np.random.default_rng(0).random((40, 6)) > 0.5, epochs=1, batch_size=10, sampler=sampler)
    assert own_attributes(rbm) == before
    rbm.zero_grad(set_to_none=False)
    v = torch.rand(10, 6).round()
    rbm.free_energy(v).mean().backward()
    expected = -rbm.mean_hidden(v).mean(0)
    torch.testing.assert_close(rbm.hidden.bias.grad, expected.detach())
    sampler.chains.zero_()
    assert not rbm.weight.is_inference()
    assert not rbm.weight.grad.is_inference()
