"""One step of up-down training: its gradients, its rest at the true posterior, groups, shares of processes."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dbn import RBM, Bernoulli
from dbn.models.class_rbm import joint_free_energy
from dbn.models.layer import Layer, group_layers
from dbn.models.units import BernoulliWithLabel
from dbn.models.untied import Untied
from dbn.pretraining import up_down_step as up_down_step_module
from dbn.pretraining.up_down_step import UpDownStep
from dbn.random.streams import streams

SIZES = (6, 5, 4)
N_LABELS = 3


def made(seed: int = 0, *, labelled: bool = True, std: float = 1.0) -> list[Layer]:
    """Two untied layers of 6 x 5 and 5 x 4 units below a top RBM of 4 x 3, float64."""
    layers: list[Layer] = [Untied.of(RBM(Bernoulli(below), Bernoulli(above))) for below, above in pairwise(SIZES)]
    layers.append(RBM(Bernoulli(4), BernoulliWithLabel(3, N_LABELS) if labelled else Bernoulli(3)))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in layers:
            for parameter in layer.double().parameters():
                parameter.copy_(std * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return layers


def minus_log(x: Tensor, logits: Tensor) -> Tensor:
    """``-log p(x)`` of independent binary units, summed over all; with means for ``x`` its expectation."""
    return F.binary_cross_entropy_with_logits(logits, x, reduction="sum")


def gradients_by_autograd(
    layers: Sequence[Any], v: Tensor, labels: Tensor | None, *, steps: int, sample_visible: bool, count: int
) -> list[Tensor]:
    """The paper's pseudocode with local log-probabilities in place of its updates, and autograd.

    It draws in the order of the step, so that a generator of the same seed gives both the same states.
    """
    generator = torch.Generator().manual_seed(3)
    one, two, top = layers
    with torch.no_grad():
        first = one.hidden.sample(v @ one.connection.weight, generator)
        second = two.hidden.sample(first @ two.connection.weight, generator)
        if labels is None:
            h = top.hidden.sample(second @ top.weight, generator)
        else:
            h = (
                Bernoulli(3)
                .double()
                .sample(second @ top.weight + top.hidden.bias + top.hidden.label_weight[labels], generator)
            )
        for _ in range(steps - 1):
            x = top.visible.sample(h @ top.weight.T, generator)
            h = top.hidden.sample(x @ top.weight, generator)
        x = top.visible.sample(h @ top.weight.T, generator)
        dream = two.visible.sample(x @ two.generative.weight.T, generator)
        logits = dream @ one.generative.weight.T
        image = one.visible.sample(logits, generator) if sample_visible else one.visible.mean(logits)
    wake = minus_log(v, first @ one.generative.weight.T + one.visible.bias)
    wake = wake + minus_log(first, second @ two.generative.weight.T + two.visible.bias)
    sleep = minus_log(x, dream @ two.connection.weight + two.hidden.bias)
    sleep = sleep + minus_log(dream, image @ one.connection.weight + one.hidden.bias)
    positive = top.free_energy(second) if labels is None else joint_free_energy(top, second, labels)
    contrast = positive.sum() - top.free_energy(x).sum()
    parameters = [parameter for layer in layers for parameter in layer.parameters()]
    return list(torch.autograd.grad((wake + contrast + sleep) / count, parameters))


@pytest.mark.parametrize("sample_visible", [False, True])
@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("steps", [1, 3])
def test_every_gradient_against_autograd(steps: int, labelled: bool, sample_visible: bool) -> None:
    layers = made(labelled=labelled)
    v, labels = torch.rand(8, 6).double(), torch.arange(8) % N_LABELS if labelled else None
    expected = gradients_by_autograd(layers, v, labels, steps=steps, sample_visible=sample_visible, count=10)
    step = UpDownStep(layers, steps, sample_visible=sample_visible)
    names = [f"{k}.{name}" for k, layer in enumerate(layers) for name, _ in layer.named_parameters()]
    for _ in range(2):  # the second time into gradients and buffers that hold something
        with torch.no_grad():
            step.write_gradient(v, labels, torch.Generator().manual_seed(3), count=10)
        parameters = [parameter for layer in layers for parameter in layer.parameters()]
        for name, parameter, gradient in zip(names, parameters, expected, strict=True):
            torch.testing.assert_close(parameter.grad, gradient, rtol=0, atol=1e-12, msg=name)


def complementary() -> tuple[RBM, list[Layer]]:
    """An RBM of 3 x 2 units, and the DBN of three layers that is the same distribution (Hinton et al. 2006, section 2).

    Its layers have the RBM's weight in turn as it is and transposed: the top RBM is a complementary prior, by which the
    true posterior of each layer is that of the RBM. Of the label, which is independent, one class has a half.
    """
    rbm = RBM(Bernoulli(3), Bernoulli(2)).double()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in rbm.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    other = RBM(Bernoulli(2), Bernoulli(3)).double()
    top = RBM(Bernoulli(3), BernoulliWithLabel(2, N_LABELS)).double()
    with torch.no_grad():
        for down, up, weight in ((other.visible, other.hidden, rbm.weight.T), (top.visible, top.hidden, rbm.weight)):
            lower, upper = (rbm.hidden, rbm.visible) if down is other.visible else (rbm.visible, rbm.hidden)
            down.bias.copy_(lower.bias)
            up.bias.copy_(upper.bias)
            (other if down is other.visible else top).weight.copy_(weight)
        top.hidden.label_bias.copy_(torch.tensor([0.5, 0.3, 0.2]).log())
    return rbm, [Untied.of(rbm), Untied.of(other), top]


@pytest.mark.parametrize("steps", [1, 3])
def test_training_is_at_rest_where_weights_are_those_of_the_true_posterior(steps: int) -> None:
    """Mean gradients are zero up to 4.5 standard errors (of 33 parameters); with means as dreams they are not."""
    rbm, layers = complementary()
    probabilities = (-rbm.free_energy(rbm.visible.states())).softmax(0)
    generator = torch.Generator().manual_seed(steps)
    moved = {}
    for sample_visible in (True, False):
        step, found = UpDownStep(layers, steps, sample_visible=sample_visible), []
        for _ in range(60):
            index = probabilities.multinomial(2000, replacement=True, generator=generator)
            labels = torch.tensor([0.5, 0.3, 0.2]).multinomial(2000, replacement=True, generator=generator)
            with torch.no_grad():
                step.write_gradient(rbm.visible.states()[index], labels, generator)
            found.append(torch.cat([own.grad.flatten() for layer in layers for own in layer.parameters()]))
        gradients = torch.stack(found)
        moved[sample_visible] = (gradients.mean(0) / (gradients.std(0) / 60**0.5)).abs().max()
    assert moved[True] < 4.5
    assert moved[False] > 10


@pytest.mark.parametrize("labelled", [False, True])
def test_every_member_takes_the_steps_it_would_take_alone(labelled: bool) -> None:
    v = torch.rand(2, 9, 6).double()
    labels = torch.randint(N_LABELS, (2, 9), generator=torch.Generator().manual_seed(1)) if labelled else None

    def trained(layers: list[Layer], v: Tensor, labels: Tensor | None, seeds: list[int]) -> list[Layer]:
        optimizer = torch.optim.SGD(nn.ModuleList(layers).parameters(), lr=0.1, momentum=0.5)
        step = UpDownStep(layers, 2)
        for number in range(5):
            step(v, labels, optimizer, streams(seeds, "gibbs", number))
        return layers

    each = [made(seed, labelled=labelled) for seed in (0, 1)]
    together = [group_layers(column) for column in zip(*each, strict=True)]
    group = trained(together, v, labels, [0, 1])
    for seed in (0, 1):
        own_labels = None if labels is None else labels[seed]
        alone = trained(made(seed, labelled=labelled), v[seed], own_labels, [seed])
        for k, layer in enumerate(alone):
            member = group[k].members()[seed]
            for (name, own), (_, found) in zip(layer.named_parameters(), member.named_parameters(), strict=True):
                torch.testing.assert_close(found, own, rtol=0, atol=1e-11, msg=f"{k}.{name}")


def test_shares_of_two_processes_are_weighted_by_their_images_and_added(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each writes its share of the mean over all images, of every parameter; what is added is all of them."""
    layers, v, labels = made(), torch.rand(5, 6).double(), torch.arange(5) % N_LABELS
    step = UpDownStep(layers, 2)
    parameters = [parameter for layer in layers for parameter in layer.parameters()]
    found = []
    for count in (None, 9):
        with torch.no_grad():
            step.write_gradient(v, labels, torch.Generator().manual_seed(0), count)
        found.append([parameter.grad.clone() for parameter in parameters])
    for whole, share in zip(*found, strict=True):
        torch.testing.assert_close(share, whole * 5 / 9, rtol=0, atol=1e-12)
    added: list[nn.Module] = []
    monkeypatch.setattr(up_down_step_module, "add_gradients", added.append)
    step(v, labels, torch.optim.SGD(parameters, lr=0.1), torch.Generator().manual_seed(0), 9)
    assert {id(own) for own in added[0].parameters()} == {id(own) for own in parameters}
