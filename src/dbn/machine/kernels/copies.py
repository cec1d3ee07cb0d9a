"""bfloat16 copies of parameters, which the optimiser's kernel writes with the parameters."""

from torch import Tensor, nn


def keep_copy(parameter: nn.Parameter, copy: Tensor) -> None:
    """Have the kernel :func:`dbn.machine.kernels.sgd.sgd` write ``parameter`` to ``copy`` too, which is bfloat16."""
    parameter.bfloat16_copy = copy  # type: ignore[attr-defined]  # parameters take attributes


def copy_of(parameter: nn.Parameter) -> Tensor | None:
    """The parameter's copy, see :func:`keep_copy`."""
    copy: Tensor | None = getattr(parameter, "bfloat16_copy", None)
    return copy


def mark_kept(parameter: nn.Parameter, copy: Tensor) -> None:
    """Note that ``copy`` is ``parameter`` rounded; a kernel's writes do not count as changes in torch."""
    copy.kept_at = parameter._version  # type: ignore[attr-defined]


def is_kept(parameter: nn.Parameter, copy: Tensor) -> bool:
    """Whether ``copy`` was written by the latest update of ``parameter``, and nobody changed that in place since."""
    return getattr(copy, "kept_at", None) == parameter._version
