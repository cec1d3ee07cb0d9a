"""What the units of every layer of a stack look for, layer above layer: as pictures and as arrays."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from dbn.errors import SettingError
from dbn.files import replacing
from dbn.models.dbn import DBN
from dbn.pretraining.pictures import projections, tiles
from dbn.use.sampling import known_scaling

WIDTH = 960
"""Pixels across the figure, at most one picture's less."""
TITLE = 18
"""Pixels for the words above a layer."""


@dataclass(frozen=True, eq=False)
class Features:
    """Pictures of what units look for.

    Attributes:
        layers: of each layer, from the data upwards, ``(k, channels, height, width)``: weights of either sign.
        n_units: units of each layer, or maps.
    """

    layers: list[NDArray]
    n_units: list[int]

    def __len__(self) -> int:
        """Number of layers."""
        return len(self.layers)

    @property
    def what(self) -> str:
        """What they are."""
        return "layers of features"

    def save(self, path: Path) -> None:
        """Write a figure (``.png``) or the arrays (``.npz``), whole or not at all."""
        with replacing(path) as temporary:
            if path.suffix == ".png":
                Image.fromarray(self._figure()).save(temporary, format="PNG")
                return
            with temporary.open("wb") as file:
                named = {f"layer{k}": own for k, own in enumerate(self.layers, start=1)}
                np.savez_compressed(file, **named)  # type: ignore[arg-type]  # numpy's stub takes **kwds for a flag

    def _figure(self) -> NDArray:
        """All layers below each other, the highest one first, as pictures ``(height, width, 3)`` of bytes."""
        panels = [_panel(f"layer {k}", *own) for k, own in enumerate(zip(self.layers, self.n_units, strict=True), 1)]
        width = max(panel.shape[1] for panel in panels)
        padded = [
            np.pad(own, ((0, 12), (0, width - own.shape[1]), (0, 0)), constant_values=255) for own in reversed(panels)
        ]
        return np.concatenate(padded)


def features_of(stack: DBN, n: int) -> Features:
    """Features of every layer of a stack of images: its units projected down by the weights.

    Args:
        stack: the stack.
        n: largest number of units of each layer.

    Raises:
        SettingError: the stack's images are not known, or have another number of channels than one or three.
    """
    shape = known_scaling(stack).shape
    channels, height, width = shape
    if channels not in (1, 3):
        raise SettingError(f"task=features: images of {channels} channels are no pictures, which have one or three.")
    found = [projections(stack, k, (channels, height, width))[:n] for k in range(1, len(stack) + 1)]
    return Features(found, [stack[k].output_shape[-1] for k in range(len(stack))])


def _panel(name: str, pictures: NDArray, n_units: int) -> NDArray:
    """A layer's pictures in rows, each scaled by its largest weight, zero grey; its name above them."""
    n, _, height, width = pictures.shape
    columns = min(n, 16)
    times = max(1, (WIDTH // columns - 1) // (width + 1))
    sheet = tiles(pictures, columns, stretch=True).repeat(times, 0).repeat(times, 1)
    shown = f"{n_units} units" if n == n_units else f"{n} of {n_units} units"
    title = Image.new("RGB", (sheet.shape[1], TITLE), "white")
    ImageDraw.Draw(title).text((2, 3), f"{name}: {shown}, {height}x{width} pixels", fill="black")
    return np.concatenate([np.asarray(title), (sheet * 255).round().astype(np.uint8)])
