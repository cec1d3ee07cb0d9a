"""Pooling of feature maps: one output for each block of units of a map."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from dbn.errors import SettingError
from dbn.models.maps import as_pictures, checked_maps, flattened
from dbn.models.registry import Registered
from dbn.settings import check_number


class Pooling(Registered):
    """Makes one field of the fields of each block of units, before a network's activation.

    A user-defined type sets ``kind``, see :class:`dbn.models.registry.Registered`.

    Args:
        shape: of the units, (height, width, maps).
        size: side of a block.

    Attributes:
        output_shape: (height, width, maps) of the outputs.

    Raises:
        SettingError: ``size`` is invalid.
    """

    registry: ClassVar[dict[str, type[Any]]] = {}
    options: ClassVar[tuple[str, ...]] = ("size",)

    output_shape: tuple[int, int, int]

    def __init__(self, shape: Sequence[int], size: int = 2) -> None:
        check_number("pool", size, low=1, whole=True)
        self.shape = checked_maps(f"pool={size}", shape, maps_first=False)
        self.size = size
        if min(self.shape[:2]) < size:
            raise SettingError(
                f"pool={size}: blocks of {size}x{size} are larger than the maps, {self._maps()}. Use less pooling here "
                "or below, more padding, or larger images."
            )
        self.output_shape = (self.shape[0] // size, self.shape[1] // size, self.shape[2])

    def _maps(self) -> str:
        return f"{self.shape[0]}x{self.shape[1]}"

    @abstractmethod
    def __call__(self, field: Tensor) -> Tensor:
        """Fields ``(batch, n)`` with biases -> ``(batch, n_outputs)``."""


class MaxPooling(Pooling):
    """The largest field of each block; for an increasing activation the same as the largest mean.

    Args:
        shape: of the units, (height, width, maps).
        size: side of a block.
        stride: distance of neighbouring blocks, which may overlap; None: ``size``. Rows and columns that do not fill
            a block are left out.

    Raises:
        SettingError: ``size`` or ``stride`` is invalid.

    References:
        Krizhevsky, Sutskever & Hinton (2012), section 3.4, for blocks that overlap.
    """

    kind: ClassVar[str] = "max"
    options: ClassVar[tuple[str, ...]] = ("size", "stride")

    def __init__(self, shape: Sequence[int], size: int = 2, stride: int | None = None) -> None:
        super().__init__(shape, size)
        if stride is not None:
            check_number("pool.stride", stride, low=1, whole=True)
        self.stride = stride
        step = size if stride is None else stride
        height, width, maps = self.shape
        self.output_shape = ((height - size) // step + 1, (width - size) // step + 1, maps)

    def __call__(self, field: Tensor) -> Tensor:
        """The largest field of each block; ``field`` may have further dimensions before the batch."""
        pictures = as_pictures(field.flatten(0, -2), self.shape)
        largest: Tensor = flattened(F.max_pool2d(pictures, self.size, self.stride)).unflatten(0, field.shape[:-1])
        return largest


class ProbabilisticMaxPooling(Pooling):
    r"""Log of the summed exponentials of each block's fields, of which the logistic function is what is asked for.

    Of the binary units of a block at most one is on, and the pooling unit is on if one of them is: it is on with
    probability :math:`1 - 1 / (1 + \sum_i e^{f_i}) = \sigma(\log \sum_i e^{f_i})`.

    Args:
        shape: of the units, (height, width, maps).
        size: side of a block.

    Raises:
        SettingError: ``size`` is invalid, or does not divide height and width.

    References:
        Lee, Grosse, Ranganath & Ng (2009), *Convolutional deep belief networks for scalable unsupervised learning of
        hierarchical representations*, ICML, section 3.3.
    """

    kind: ClassVar[str] = "probabilistic"

    def __init__(self, shape: Sequence[int], size: int = 2) -> None:
        super().__init__(shape, size)
        check_blocks(self.shape, size)

    def __call__(self, field: Tensor) -> Tensor:
        """``log sum exp`` of each block's fields."""
        by_block, places = blocks(field, self.shape, self.size), range(self.size)
        return log_sum_exp([by_block[..., row, :, column, :] for row in places for column in places]).flatten(-3)


def blocks(x: Tensor, shape: Sequence[int], size: int) -> Tensor:
    """States ``(..., n)`` by block, a view: ``(..., height / size, size, width / size, size, maps)``."""
    height, width, maps = shape
    by_block: Tensor = x.unflatten(-1, (height // size, size, width // size, size, maps))
    return by_block


def log_sum_exp(fields: Sequence[Tensor]) -> Tensor:
    """Log of the summed exponentials of tensors of one shape, element by element.

    In pairs: torch's ``logsumexp`` over the few places of a block takes ten times as long on a CPU.
    """
    while len(fields) > 1:
        odd = fields[len(fields) // 2 * 2 :]
        fields = [*map(torch.logaddexp, fields[::2], fields[1::2]), *odd]
    return fields[0]


def check_blocks(shape: Sequence[int], size: int) -> None:
    """Check that blocks of ``size`` fill the maps.

    Raises:
        SettingError: they do not.
    """
    height, width, _ = shape
    if height % size or width % size:
        raise SettingError(
            f"pool={size}: blocks of {size}x{size} do not fill maps of {height}x{width}. Choose a kernel, padding or "
            "pool so that they do: a kernel of k makes maps of side n + 2 * padding - k + 1."
        )
