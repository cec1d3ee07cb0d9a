"""Which optimisers can be recorded in a CUDA graph."""

import torch


def make_capturable(optimizer: torch.optim.Optimizer) -> str | None:
    """Let steps of an optimiser be recorded, whose state may come from a checkpoint.

    Returns:
        None, or why its steps cannot be recorded.
    """
    if any(optimizer._optimizer_step_pre_hooks) or any(optimizer._optimizer_step_post_hooks):
        return "the optimiser has hooks"
    if isinstance(optimizer, torch.optim.SGD) and all(group["fused"] for group in optimizer.param_groups):
        return None
    if "capturable" not in optimizer.defaults:
        return f"{type(optimizer).__name__} is neither `capturable` nor the fused SGD"
    set_capturable(optimizer, True)
    for parameter, state in optimizer.state.items():
        if isinstance(state.get("step"), torch.Tensor):  # counted on the CPU where it was not recorded
            state["step"] = state["step"].to(parameter.device)
    return None


def set_capturable(optimizer: torch.optim.Optimizer, wanted: bool | None = None) -> None:
    """Set ``capturable`` in every parameter group that has it; None: as the optimiser was made."""
    for group in optimizer.param_groups:
        if "capturable" in group:
            group["capturable"] = optimizer.defaults["capturable"] if wanted is None else wanted
