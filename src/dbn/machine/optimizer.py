"""Stochastic gradient descent with little overhead per step."""

from collections.abc import Callable
from typing import Any

import torch

from dbn.machine.kernels import has_kernels


class SGD(torch.optim.SGD):
    """:class:`torch.optim.SGD` with one fused call for all parameters of equal settings, without torch's bookkeeping.

    Results, settings, parameter groups and checkpoints are those of ``torch.optim.SGD(fused=True)``, whose Python
    overhead takes as long as the whole minibatch of a small model. Where :mod:`dbn.machine.kernels` has a kernel, one
    launch updates up to four parameters of any groups, and results agree within rounding. Complex or sparse parameters,
    gradient scalers, step hooks and profiler ranges are not supported.

    Args:
        params: parameters, or groups of them.
        lr: learning rate.
        momentum: in [0, 1).
        dampening: of the gradient that enters the momentum.
        weight_decay: L2 penalty.
        nesterov: Nesterov's momentum, as torch defines it.
        maximize: gradient ascent.
    """

    def __init__(
        self, params: Any, lr: float = 1e-3, momentum: float = 0.0, dampening: float = 0.0, weight_decay: float = 0.0,
        *, nesterov: bool = False, maximize: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(
            params, lr, momentum, dampening, weight_decay, nesterov=nesterov, maximize=maximize, fused=True
        )

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient; returns the loss of ``closure``, if given."""
        loss = None if closure is None else closure()
        first = next(parameter for group in self.param_groups for parameter in group["params"])
        if has_kernels(first.device) and self._step_in_kernels():
            return loss
        calls: dict[tuple[Any, ...], Lists] = {}
        for group in self.param_groups:
            momentum = group["momentum"]
            settings = (
                group["lr"], group["weight_decay"], momentum, group["dampening"], group["nesterov"], group["maximize"]
            )  # fmt: skip
            running = calls.get((settings, False))
            if running is None:
                running = calls[settings, False] = ([], [], [])
            for parameter in group["params"]:
                gradient = parameter.grad
                if gradient is None:
                    continue
                lists = running
                if momentum:
                    state = self.state[parameter]
                    if state.get("momentum_buffer") is None:  # first step: momentum starts at the undampened gradient
                        state["momentum_buffer"] = torch.empty_like(gradient)
                        lists = calls.setdefault((settings, True), ([], [], []))
                    lists[2].append(state["momentum_buffer"])
                lists[0].append(parameter)
                lists[1].append(gradient)
        for (settings, is_first_step), lists in calls.items():
            if lists[0]:
                lr, weight_decay, momentum, dampening, nesterov, maximize = settings
                torch._fused_sgd_(
                    *lists, lr=lr, weight_decay=weight_decay, momentum=momentum, dampening=dampening,
                    nesterov=nesterov, maximize=maximize, is_first_step=is_first_step,
                )  # fmt: skip
        return loss

    def _step_in_kernels(self) -> bool:
        """Update all parameters in as few launches as possible; False, without an update, if the kernel cannot."""
        from dbn.machine.kernels.sgd import Update, sgd, supports  # imports Triton

        learning = [
            (parameter, group)
            for group in self.param_groups
            for parameter in group["params"]
            if parameter.grad is not None
        ]
        if not all(supports(parameter, group["lr"]) for parameter, group in learning):
            return False
        launches: dict[tuple[bool, bool, bool], list[Update]] = {}
        for parameter, group in learning:
            momentum, buffer, take = group["momentum"], None, 1.0
            if momentum:
                state = self.state[parameter]
                if state.get("momentum_buffer") is None:  # momentum starts at the undampened gradient
                    state["momentum_buffer"] = torch.zeros_like(parameter)
                else:
                    take = 1.0 - group["dampening"]
                buffer = state["momentum_buffer"]
            kind = (group["nesterov"], group["maximize"], isinstance(group["lr"], torch.Tensor))
            update = Update(parameter, parameter.grad, buffer, group["lr"], group["weight_decay"], momentum, take)
            launches.setdefault(kind, []).append(update)
        for (nesterov, maximize, _), updates in launches.items():
            sgd(updates, nesterov=nesterov, maximize=maximize)
        return True

    step.hooked = True  # type: ignore[attr-defined]  # torch then does not wrap the step in hooks


Lists = tuple[list[torch.Tensor], list[torch.Tensor], list[torch.Tensor]]
"""Parameters, gradients, momentum buffers."""
