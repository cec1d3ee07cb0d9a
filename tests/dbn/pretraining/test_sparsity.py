"""A target for the hidden units' activation: its gradient by autograd, and what it does to training."""

import pytest
import torch

from dbn.data import DataSet, digits, load_data
from dbn.errors import SettingError
from dbn.models.connections import Convolution
from dbn.models.rbm import RBM
from dbn.models.units import Bernoulli, MaxPooled, make_units
from dbn.pretraining import LayerSettings, pretrain_stack
from dbn.pretraining.contrastive import ContrastiveStep
from dbn.pretraining.sparsity import Sparsity
from dbn.random.streams import stream
from dbn.samplers import ContrastiveDivergence

FILTERS = {"kind": "convolution", "kernel": 3, "padding": 1}


@pytest.fixture(scope="module")
def data() -> DataSet:
    return load_data(digits())


def gradient(rbm: RBM, v: torch.Tensor, sparsity: Sparsity | None) -> torch.Tensor:
    optimizer = torch.optim.SGD(rbm.parameters(), lr=0.0)
    ContrastiveStep(rbm, ContrastiveDivergence(), sparsity=sparsity)(v, optimizer, stream(0, "gibbs"))
    return rbm.hidden.bias.grad.clone()


@pytest.mark.parametrize("convolutional", [False, True])
def test_what_it_adds_is_the_derivative_of_the_cross_entropy(convolutional: bool) -> None:
    """By the field's constant part: the derivative of the bias at fixed slope, cross-entropy over p(1-p) apart."""
    v = torch.rand(20, 16, generator=torch.Generator().manual_seed(1), dtype=torch.float64).round()
    if convolutional:
        connection = Convolution((1, 4, 4), 3, 3, padding=1, maps_first=True)
        connection.initialise(0.5, torch.Generator().manual_seed(2))
        rbm = RBM(Bernoulli((1, 4, 4)), make_units({"kind": "per_map", "units": "bernoulli"}, (4, 4, 3)), connection)
    else:
        rbm = RBM(Bernoulli(16), Bernoulli(3), weight_std=0.5, generator=torch.Generator().manual_seed(2))
    rbm = rbm.double()
    added = gradient(rbm, v, Sparsity(0.1, 2.0)) - gradient(rbm, v, None)
    activation = rbm.mean_hidden(v).mean(0).view(-1, 3).mean(0).detach()
    logits = torch.logit(activation).requires_grad_()
    target = torch.full_like(activation, 0.1)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="sum")
    (expected,) = torch.autograd.grad(2.0 * entropy, logits)
    torch.testing.assert_close(added, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("layer", [{"n_hidden": 30}, {"n_hidden": 12, "connection": FILTERS, "pool": 2}])
def test_units_are_on_as_often_as_wanted(data: DataSet, layer: dict) -> None:
    common = {**layer, "epochs": 8, "batch_size": 20, "learning_rate": 0.05}
    free = pretrain_stack(data, [LayerSettings(**common)], progress=False)
    sparse = pretrain_stack(data, [LayerSettings(**common, sparsity_target=0.03, sparsity_cost=10.0)], progress=False)
    images = data.test.features()
    found, before = (float(stack[0].mean_hidden(images).mean().detach()) for stack in (sparse, free))
    assert found == pytest.approx(0.03, abs=0.01)
    assert abs(before - 0.03) > 0.02


def test_units_without_a_fraction_are_refused(data: DataSet) -> None:
    with pytest.raises(SettingError, match=r"sparsity_target=0\.1: the hidden units are relu"):
        pretrain_stack(data, [LayerSettings(n_hidden=4, hidden="relu", sparsity_target=0.1)], progress=False)
    with pytest.raises(SettingError, match=r"sparsity_target"):
        LayerSettings(n_hidden=4, sparsity_target=1.5)
    assert ContrastiveStep(
        RBM(Bernoulli((1, 4, 4)), MaxPooled((4, 4, 2)), Convolution((1, 4, 4), 2, 3, padding=1, maps_first=True)),
        ContrastiveDivergence(), sparsity=Sparsity(0.1, 1.0),
    )  # fmt: skip
