"""Classification by free energy and images of a class, against sums over all states of images, labels, hidden units."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from dbn import DBN, RBM, Bernoulli
from dbn.errors import DataError, SettingError
from dbn.models.class_rbm import (
    class_log_probabilities,
    given_label,
    joint_free_energy,
    stack_given_label,
)
from dbn.models.units import BernoulliWithLabel

LABELS, HIDDEN, VISIBLE = 3, 4, 5


def made(n_visible: int = VISIBLE) -> RBM:
    """A small float64 class RBM with large weights."""
    rbm = RBM(Bernoulli(n_visible), BernoulliWithLabel(HIDDEN, LABELS)).double()
    generator = torch.Generator().manual_seed(n_visible)
    with torch.no_grad():
        for parameter in rbm.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return rbm


def log_joint(rbm: RBM) -> Tensor:
    """``log p(v, y, h)`` of every state, ``(2^n_visible, n_labels, 2^n_hidden)``, term by term from the parameters."""
    v, h, hidden = Bernoulli(rbm.n_visible).double().states(), Bernoulli(HIDDEN).double().states(), rbm.hidden
    W, U = rbm.weight.detach(), hidden.label_weight.detach()
    minus_energy = (
        (v @ rbm.visible.bias.detach())[:, None, None]
        + hidden.label_bias.detach()[None, :, None]
        + (h @ hidden.bias.detach())[None, None, :]
        + (v @ W @ h.T)[:, None, :]
        + (U @ h.T)[None, :, :]
    )
    return minus_energy - minus_energy.logsumexp((0, 1, 2))


def test_class_probabilities_are_those_of_the_enumerated_joint_distribution() -> None:
    rbm = made()
    expected = log_joint(rbm).logsumexp(2).log_softmax(1)
    found = class_log_probabilities(rbm, Bernoulli(VISIBLE).states())
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_joint_free_energies_differ_as_enumerated_probabilities_do() -> None:
    rbm = made()
    log_p, v = log_joint(rbm).logsumexp(2), Bernoulli(VISIBLE).states().double()
    for label in range(LABELS):
        found = -joint_free_energy(rbm, v, torch.full((len(v),), label))
        constant = found - log_p[:, label]
        torch.testing.assert_close(constant, constant[:1].expand(len(v)), rtol=0, atol=1e-12)


def test_the_rbm_of_a_class_is_the_enumerated_conditional_distribution() -> None:
    rbm = made()
    v = Bernoulli(VISIBLE).states().double()
    for label in range(LABELS):
        of_class = given_label(rbm, label)
        expected = log_joint(rbm)[:, label].logsumexp(1).log_softmax(0)
        torch.testing.assert_close((-of_class.free_energy(v)).log_softmax(0), expected, rtol=0, atol=1e-12)


def test_the_discriminative_gradient_against_central_differences() -> None:
    """Of -log p(y | v), from the enumerated joint distribution, by every parameter."""
    rbm = made()
    v, labels = Bernoulli(VISIBLE).states()[[3, 17, 30]].double(), torch.tensor([0, 2, 1])
    rows = [3, 17, 30]
    loss = -class_log_probabilities(rbm, v).gather(1, labels[:, None]).sum()
    loss.backward()
    step = 1e-6

    def enumerated() -> float:
        of_rows = log_joint(rbm).logsumexp(2).log_softmax(1)[rows]
        return -float(of_rows.gather(1, labels[:, None]).sum())

    for name, parameter in rbm.named_parameters():
        if name == "visible.bias":  # p(y | v) does not depend on it
            assert parameter.grad is None
            continue
        flat, gradient = parameter.data.view(-1), parameter.grad.view(-1)
        for place in range(0, len(flat), 3):
            flat[place] += step
            above = enumerated()
            flat[place] -= 2 * step
            below = enumerated()
            flat[place] += step
            assert float(gradient[place]) == pytest.approx((above - below) / (2 * step), abs=1e-7), name


def test_a_file_keeps_it_and_its_classes(tmp_path: Path) -> None:
    stack = DBN([RBM(Bernoulli(6), Bernoulli(VISIBLE)), made().float()])
    stack.save(tmp_path / "dbn.safetensors")
    loaded = DBN.load(tmp_path / "dbn.safetensors")
    x = torch.rand(7, 6)
    assert torch.equal(class_log_probabilities(loaded, x), class_log_probabilities(stack, x))
    assert loaded[1].hidden.n_labels == LABELS
    with pytest.raises(SettingError, match="neighbours must match"):
        DBN([made(), RBM(Bernoulli(HIDDEN), Bernoulli(2))])


def test_samples_of_a_class_from_a_stack_have_its_conditional_distribution() -> None:
    """Of the top units, drawn by Gibbs sampling, seen through a layer that copies them."""
    top, n = made(), 40_000
    copying = RBM(Bernoulli(VISIBLE), Bernoulli(VISIBLE)).double()
    with torch.no_grad():
        copying.weight.copy_(60 * torch.eye(VISIBLE))
        copying.visible.bias.fill_(-30.0)
    stack = stack_given_label(DBN([copying, top]), 1)
    drawn = stack.sample(n, steps=60, generator=torch.Generator().manual_seed(0), means=False)
    p = log_joint(top)[:, 1].logsumexp(1).softmax(0)
    q = torch.bincount((drawn @ (2.0 ** torch.arange(VISIBLE - 1, -1, -1).double())).long(), minlength=32) / n
    floor = (p * (1 - p) / n).sqrt().sum() / 2
    assert (p - q).abs().sum() / 2 < 4 * floor


def test_other_models_other_classes_and_labels_that_are_none_are_refused() -> None:
    with pytest.raises(SettingError, match="knows no labels"):
        class_log_probabilities(RBM(Bernoulli(4), Bernoulli(3)), torch.zeros(1, 4))
    with pytest.raises(SettingError, match="label=3"):
        given_label(made(), LABELS)
    with pytest.raises(DataError, match="from 0 to 2"):
        joint_free_energy(made(), torch.zeros(2, VISIBLE), torch.tensor([0, 3]))
