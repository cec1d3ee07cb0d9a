"""Our SGD takes torch's steps."""

from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import nn

from dbn.machine.optimizer import SGD


def grouped(parameters: list[nn.Parameter]) -> list[dict[str, Any]]:
    """Torch's fused step wants parameters that join late in a group of their own."""
    return [{"params": parameters[:2]}, {"params": parameters[2:]}]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"momentum": 0.9, "nesterov": True, "weight_decay": 1e-3},
        {"momentum": 0.5, "dampening": 0.3},
        {"weight_decay": 0.1, "maximize": True},
    ],
    ids=str,
)
def test_the_same_bits_as_torch_s(settings: dict[str, Any]) -> None:
    """Parameters that join late or have no gradient, settings that change, and a checkpoint on the way, too."""
    ours = [nn.Parameter(torch.randn(5, 3)) for _ in range(3)]
    theirs = [nn.Parameter(parameter.detach().clone()) for parameter in ours]
    one, other = SGD(grouped(ours), lr=0.1, **settings), torch.optim.SGD(grouped(theirs), 0.1, fused=True, **settings)
    for step in range(6):
        for mine, its in zip(ours, theirs, strict=True):
            mine.grad = torch.randn(5, 3)
            its.grad = mine.grad.clone()
        if step < 2:
            ours[2].grad = theirs[2].grad = None
        if step == 3:
            for optimizer in (one, other):
                optimizer.param_groups[0]["lr"] = 0.01
            state = deepcopy(other.state_dict())
            one = SGD(grouped(ours), lr=0.1, **settings)
            one.load_state_dict(state)
        one.step()
        other.step()
        assert all(torch.equal(mine, its) for mine, its in zip(ours, theirs, strict=True)), step


def test_the_closure_s_loss_is_returned() -> None:
    parameter = nn.Parameter(torch.ones(1))

    def closure() -> torch.Tensor:
        parameter.grad = None
        loss = parameter.square().sum()
        loss.backward()
        return loss

    assert SGD([parameter], lr=0.25).step(closure) == 1
    assert parameter.item() == 0.5


def test_a_group_without_parameters_is_passed_over():
    parameter = torch.nn.Parameter(torch.ones(3))
    parameter.grad = torch.ones(3)
    SGD([{"params": []}, {"params": [parameter], "weight_decay": 0.5}], lr=0.25).step()
    torch.testing.assert_close(parameter.detach(), torch.full((3,), 1 - 0.25 * 1.5))
