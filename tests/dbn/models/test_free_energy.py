"""The output layer that classifies by free energy, against the class RBM and unmodified torch."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from dbn.models.free_energy import FreeEnergy
from dbn.models.linear import WeightLayer


def made(seed: int, visible: str | None = "gaussian_with_variance") -> FreeEnergy:
    """A float64 layer of 5 hidden units and 3 classes."""
    layer = FreeEnergy(5, 3, visible, None if visible is None else 4).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return layer


def plain(field: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Scores by torch alone, with all labels at once."""
    return F.softplus(field.unsqueeze(-2) + weight).sum(-1) + bias


@pytest.mark.parametrize("training", [True, False])
def test_scores_and_their_gradients_against_torch(training: bool) -> None:
    layer, field = made(0).train(training), torch.randn(7, 5).double().requires_grad_()
    others = [own.detach().clone().requires_grad_() for own in (field, layer.weight, layer.bias)]
    coefficients = torch.randn(7, 3).double()
    found, expected = layer(field), plain(*others)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    gradients = torch.autograd.grad((found * coefficients).sum(), [field, layer.weight, layer.bias])
    for own, other in zip(gradients, torch.autograd.grad((expected * coefficients).sum(), others), strict=True):
        torch.testing.assert_close(own, other, rtol=0, atol=1e-12)


def test_large_fields_neither_overflow_nor_lose_gradients() -> None:
    layer = made(0).train()
    field = torch.tensor([[1e4, -1e4, 50.0, -50.0, 0.0]], dtype=torch.float64, requires_grad=True)
    layer(field).sum().backward()
    assert bool(torch.isfinite(layer(field)).all())
    assert float(field.grad[0, 0]) == pytest.approx(3.0)
    assert float(field.grad[0, 1]) == pytest.approx(0.0)


def test_groups_compute_what_their_members_do_and_are_copied_back() -> None:
    members = [made(0), made(1)]
    group = FreeEnergy.group(members).train()
    field = torch.randn(2, 6, 5).double()
    coefficients = torch.randn(2, 6, 3).double()
    (group(field) * coefficients).sum().backward()
    for k, member in enumerate(members):
        member.train()
        torch.testing.assert_close(group(field)[k], member(field[k]), rtol=0, atol=1e-12)
        (member(field[k]) * coefficients[k]).sum().backward()
        torch.testing.assert_close(group.weight.grad[k], member.weight.grad, rtol=0, atol=1e-12)
        torch.testing.assert_close(group.bias.grad[k, 0], member.bias.grad, rtol=0, atol=1e-12)
    with torch.no_grad():
        for parameter in group.parameters():
            parameter.add_(1.0)
    group.copy_member(1, members[1])
    for own, before in zip(members[1].parameters(), made(1).parameters(), strict=True):
        torch.testing.assert_close(own, before + 1, rtol=0, atol=1e-12)


def test_a_file_s_description_makes_the_same_layer() -> None:
    for layer in (made(0), made(0, None)):
        again = WeightLayer.create(layer.spec(), "layer").double()
        again.load_state_dict(layer.state_dict())
        assert str(again) == str(layer)
        assert {*again.state_dict()} == {*layer.state_dict()}
