"""Hooks of modules, which a recording would leave out."""

from torch import nn

MODULE_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
PARAMETER_HOOKS = ("_backward_hooks", "_post_accumulate_grad_hooks")


def has_hooks(module: nn.Module) -> bool:
    """Whether a hook was registered with the module, one of its submodules, or a parameter."""
    return any(getattr(own, name, None) for own in module.modules() for name in MODULE_HOOKS) or any(
        getattr(own, name, None) for own in module.parameters() for name in PARAMETER_HOOKS
    )
