"""Signs that a layer's training fails, from cheap statistics of the monitored images: what is wrong, why, what to do.

Limits are far outside of what healthy layers show, so that a warning means something. See Hinton (2012), *A Practical
Guide to Training Restricted Boltzmann Machines*, sections 6, 7 and 13.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dbn.models.layer import Layer
from dbn.models.unit_pair import UnitPair
from dbn.models.units import Units
from dbn.pretraining.joint import JointLayers
from dbn.pretraining.settings import LayerSettings

ALWAYS_ON = 0.95
"""Mean activation, over images and units, above which all units count as on."""
NEVER_ON = 0.01
"""Largest activation over images below which a unit counts as dead."""
DEAD_FRACTION = 0.75
"""Fraction of dead units that is reported."""
SATURATED_FIELD = 30.0
"""Standard deviation of a binary unit's field over images, median over units, from which it is a step function."""
NARROW_RANGE = 0.1
"""Part of the interval of binary visible units that images must at least use."""
STANDARD_RANGE = (0.1, 10.0)
"""Root mean square of Gaussian visible units' values; standardised images have 1."""
IGNORED_INPUT = 0.02
"""Variance of reconstructions over images, relative to that of the images, below which they ignore them."""
RISING_ERROR = 1.5
"""Reconstruction error relative to the lowest one so far that shows a learning rate too high."""


@dataclass(frozen=True)
class Sign:
    """A sign of failed training.

    Attributes:
        kind: each is reported once for a layer.
        text: what is wrong, its cause, what to do.
        is_consequence: whether any other sign explains it, and it then says nothing new.
    """

    kind: str
    text: str
    is_consequence: bool = False


@torch.no_grad()
def signs_of_inputs(layer: Layer | JointLayers, images: Tensor) -> list[Sign]:
    """Signs in the images themselves, ``(n, n_visible)`` of the first layer: values outside of the usable range."""
    pair, values = next(iter(_pairs(layer, images)), (None, images))
    if pair is None:
        return []
    low, high = pair.visible.interval
    least, most = (float(end) for end in torch.aminmax(values))
    if math.isfinite(high - low):
        if least >= 0 > low:
            return [
                Sign(
                    "range",
                    f"the images' values lie between {least:.3g} and {most:.3g}, and {pair.visible.kind} visible units "
                    f"take {low:g} to {high:g}, where 0 is as often the one as the other: black says nothing. Use "
                    "stack.visible=bernoulli, or give fit values from -1 to 1, 2 * images - 1",
                )
            ]
        if most - least >= NARROW_RANGE * (high - low):
            return []
        return [
            Sign(
                "range",
                f"the images' values lie between {least:.3g} and {most:.3g}, of which {pair.visible.kind} visible "
                f"units take {low:g} to {high:g}: there is next to nothing to learn. Give the value that stands for 1, "
                "data.maximum, or images that use the whole range",
            )
        ]
    size = float(values.square().mean().sqrt())
    if pair.visible.kind != "gaussian" or STANDARD_RANGE[0] <= size <= STANDARD_RANGE[1]:
        return []
    return [
        Sign(
            "range",
            f"the images' values are of size {size:.3g} (root mean square), and gaussian visible units of variance 1: "
            "noise drowns small values, and large ones need a tiny learning rate. Use data.standardise=true",
        )
    ]


@torch.no_grad()
def signs_of_layer(layer: Layer | JointLayers, images: Tensor, settings: LayerSettings) -> list[Sign]:
    """Signs after a layer's last epoch.

    Args:
        layer: the layer; other types than :class:`UnitPair` show no signs.
        images: training images as its inputs, ``(n, n_visible)``.
        settings: its training settings, for the advice.
    """
    signs = []
    rate = f"{settings.key('learning_rate')} (it is {settings.learning_rate:g})"
    for pair, inputs in _pairs(layer, images):
        field = pair.hidden_field(inputs)
        hidden = pair.hidden.mean(field)
        fraction_on = _fraction_on(hidden, pair.hidden)
        if fraction_on is not None and float(fraction_on.mean()) > ALWAYS_ON:
            signs.append(
                Sign(
                    "all on",
                    f"all hidden units are on: their mean activation is {float(fraction_on.mean()):.3g}, whatever the "
                    "image, so they say nothing of it. Their biases were driven up, by a learning rate too high, or by "
                    f"images that are mostly bright. Lower {rate}, invert the images, or use "
                    f"{settings.key('bias_from_data')}=true",
                )
            )
        dead = _dead(hidden, pair.hidden)
        if dead is not None and dead >= DEAD_FRACTION:
            signs.append(
                Sign(
                    "dead units",
                    f"{dead:.0%} of the hidden units are dead: off for every one of {len(inputs)} training images. "
                    "Their biases or weights were driven so low that they learn no more, mostly by the first steps of "
                    f"a learning rate too high. Lower {rate}, or use fewer units",
                )
            )
        steepness = float(field.std(0, correction=0).median())
        if _is_bounded(pair.hidden) and steepness > SATURATED_FIELD:
            signs.append(
                Sign(
                    "saturated weights",
                    f"the weights are saturated: the hidden units' fields have a standard deviation of {steepness:.3g} "
                    "over images, so that every unit is a step, which fine-tuning cannot move. Lower "
                    f"{rate} or {settings.key('weight_std')} (it is {settings.weight_std}), or raise "
                    f"{settings.key('weight_cost')} (it is {settings.weight_cost:g})",
                )
            )
        variance = float(inputs.var(0, correction=0).sum())
        kept = float(pair.visible.given(inputs).mean(pair.downward.visible_field(hidden)).var(0, correction=0).sum())
        if variance > 0 and kept < IGNORED_INPUT * variance:
            signs.append(
                Sign(
                    "input ignored",
                    f"reconstructions ignore the image: over images they vary {kept / variance:.2g} times as much as "
                    "the images do. The layer has learnt next to nothing but their mean. Train longer "
                    f"({settings.key('epochs')}, it is {settings.epochs}), or raise {rate}",
                    is_consequence=True,
                )
            )
    return signs


class RisingError:
    """Watches a layer of real-valued units for a learning rate that is too high: error rises while weights grow."""

    def __init__(self) -> None:
        self.lowest = float("inf")
        self.weight_norm = 0.0

    def sign(self, layer: Layer | JointLayers, row: Mapping[str, float], settings: LayerSettings) -> Sign | None:
        """Take an epoch's metrics of the layer; returns the sign if there is one."""
        error, norm = row.get("reconstruction_error"), row.get("weight_norm")
        if error is None or norm is None:
            return None
        if error < self.lowest:
            self.lowest, self.weight_norm = error, norm
            return None
        real = [units.kind for pair in _parts(layer) for units in (pair.visible, pair.hidden) if not _is_bounded(units)]
        if not real or error < RISING_ERROR * self.lowest or norm <= self.weight_norm:
            return None
        return Sign(
            "learning rate",
            f"the learning rate is too high for {' and '.join(dict.fromkeys(real))} units: the reconstruction error "
            f"rose from {self.lowest:.3g} to {error:.3g} while the norm of the weights grew from "
            f"{self.weight_norm:.3g} to {norm:.3g}. Nothing bounds such units. Lower {settings.key('learning_rate')} "
            f"(it is {settings.learning_rate:g}; real-valued units need about 0.001)",
        )

    def state(self) -> dict[str, float]:
        """State for a checkpoint."""
        return {"lowest": self.lowest, "weight_norm": self.weight_norm}

    def load_state(self, state: Mapping[str, float]) -> None:
        """Restore the state of a checkpoint."""
        self.lowest, self.weight_norm = state["lowest"], state["weight_norm"]


def _parts(layer: Any) -> list[UnitPair]:
    """The pairs of units in a layer, or in all layers of a joint method."""
    return [own for own in (layer.layers if isinstance(layer, JointLayers) else [layer]) if isinstance(own, UnitPair)]


def _pairs(layer: Any, images: Tensor) -> Iterator[tuple[UnitPair, Tensor]]:
    """Each pair of units with its inputs."""
    for pair in _parts(layer):
        yield pair, images
        images = pair.up(images)


def _is_bounded(units: Units) -> bool:
    """Whether the units have a smallest and a largest value."""
    low, high = units.interval
    return math.isfinite(high - low)


def _fraction_on(hidden: Tensor, units: Units) -> Tensor | None:
    """Means of bounded units as fractions of their interval; None for others."""
    low, high = units.interval
    return (hidden - low) / (high - low) if math.isfinite(high - low) else None


def _dead(hidden: Tensor, units: Units) -> float | None:
    """Fraction of units that no image turns on; None for units that have no off, such as Gaussian ones."""
    low, _ = units.interval
    if not math.isfinite(low):
        return None
    fraction = _fraction_on(hidden, units)
    on = hidden - low > 0 if fraction is None else fraction > NEVER_ON
    return 1 - float(on.any(0).float().mean())
