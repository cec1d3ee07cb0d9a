"""The optimiser's kernel takes torch's steps."""

from typing import Any

import pytest
import torch
from torch import nn

from dbn.machine.kernels.copies import is_kept, keep_copy
from dbn.machine.optimizer import SGD
from helpers import Route

SIZES = [(40, 31), (31,), (1, 40), (3000,), (2, 1), (7,)]
SETTINGS: list[dict[str, Any]] = [
    {},
    {"momentum": 0.9, "nesterov": True},
    {"momentum": 0.5, "dampening": 0.3},
    {"maximize": True, "momentum": 0.9},
]


def parameters_on(device: torch.device) -> list[nn.Parameter]:
    torch.manual_seed(1)
    return [nn.Parameter(torch.randn(size).to(device)) for size in SIZES]


def groups(parameters: list[nn.Parameter], lr: Any) -> list[dict[str, Any]]:
    """Three groups with settings of their own."""
    return [
        {"params": parameters[:2], "weight_decay": 0.1, "lr": lr(0.1)},
        {"params": parameters[2:5], "weight_decay": 0.0, "lr": lr(0.02)},
        {"params": parameters[5:], "weight_decay": 0.01, "lr": lr(0.3)},
    ]


@pytest.mark.parametrize("in_memory", [False, True])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_steps_are_those_of_torch(settings: dict[str, Any], in_memory: bool, kernels: Route) -> None:
    """Six parameters in three groups; one without a gradient at first; rates and momentum change; a state is loaded."""

    def rate(number: float) -> Any:
        return torch.tensor(number, device=kernels.device) if in_memory else number

    ours, theirs = parameters_on(kernels.device), parameters_on(torch.device("cpu"))
    mine, its = SGD(groups(ours, rate), **settings), torch.optim.SGD(groups(theirs, float), **settings)
    for step in range(6):
        for one, other in zip(ours, theirs, strict=True):
            other.grad = torch.randn_like(other)
            one.grad = other.grad.to(kernels.device)
        if step < 2:
            ours[1].grad = theirs[1].grad = None
        if step == 3:
            for own, other_group in zip(mine.param_groups, its.param_groups, strict=True):
                other_group["lr"] = float(other_group["lr"]) / 2
                if in_memory:
                    own["lr"].copy_(other_group["lr"])
                else:
                    own["lr"] = other_group["lr"]
                for group in (own, other_group):
                    group["momentum"] = group["momentum"] * 0.7
        if step == 4:
            state = its.state_dict()
            its.load_state_dict(state)
            lrs = [group["lr"] for group in mine.param_groups]
            mine.load_state_dict(mine.state_dict())
            for group, lr in zip(mine.param_groups, lrs, strict=True):
                group["lr"] = lr
        mine.step()
        its.step()
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one.detach().cpu(), other.detach(), rtol=1e-5, atol=1e-6)


def test_a_copy_follows_its_parameter(kernels: Route) -> None:
    """It is the rounded parameter after each step, and known not to be once somebody else changed the parameter."""
    first, second = parameters_on(kernels.device)[:2]
    copy = first.detach().bfloat16()
    keep_copy(first, copy)
    assert not is_kept(first, copy)
    optimizer = SGD([first, second], lr=0.1, momentum=0.5)
    for _ in range(2):
        first.grad, second.grad = torch.randn_like(first), torch.randn_like(second)
        before = first.detach().clone()
        optimizer.step()
        assert not torch.equal(before, first)
        assert is_kept(first, copy)
        torch.testing.assert_close(copy.float(), first.detach(), rtol=2**-7, atol=0)
    with torch.no_grad():
        first.mul_(2)
    assert not is_kept(first, copy)


def test_what_the_kernel_cannot_update_is_left_to_torch(kernels: Route) -> None:
    """Parameters of another type: the same bits as torch's own optimiser."""
    ours, theirs = (nn.Parameter(torch.arange(5.0, device=kernels.device).double()) for _ in range(2))
    mine, its = SGD([ours], lr=0.1, momentum=0.5), torch.optim.SGD([theirs], lr=0.1, momentum=0.5, fused=True)
    for _ in range(3):
        ours.grad = torch.ones_like(ours)
        theirs.grad = torch.ones_like(theirs)
        mine.step()
        its.step()
    assert torch.equal(ours, theirs)
