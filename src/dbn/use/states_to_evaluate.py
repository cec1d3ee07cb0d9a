"""The visible states that a stack is evaluated on: features of images, grey pixels made zeros and ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dbn.models.dbm_layer import DBMLayer
from dbn.models.dbn import DBN
from dbn.models.rbm import RBM
from dbn.models.units import Bernoulli, PerMap, Units
from dbn.random.streams import stream
from dbn.use.data_to_use import DataToUse, data_to_use
from dbn.use.sampling import first_images, known_scaling, visible_states_of
from dbn.use.trained_run import TrainedRun


@dataclass(frozen=True, eq=False)
class StatesToEvaluate:
    """Visible states, and where they come from.

    Attributes:
        v: ``(n, n_visible)`` on the stack's device.
        train: states of as many training images at most; None: there is no such split, or it is ``v`` itself.
        words: what they are, for a person.
    """

    v: Tensor
    train: Tensor | None
    words: str


def states_to_evaluate(
    stack: DBN,
    run: TrainedRun,
    given: Mapping[str, Any] | None,
    split: str,
    n: int,
    binarise: str,
    seed: int,
    *,
    with_training: bool,
) -> StatesToEvaluate:
    """Read images, or rows of a table, as states of a stack's visible units.

    Args:
        stack: the stack, whose scaling reads the images.
        run: where it comes from.
        given: the group ``data`` of the command; None: that of the run.
        split: see :func:`dbn.data.parts.parts_of`.
        n: the first so many images at most.
        binarise: for binary units and images that are not, ``sample``: each pixel is drawn once with its value as
            probability; ``threshold``: at one half.
        seed: of the draws.
        with_training: read training images as well, where ``split`` is one that was held out.

    Raises:
        SettingError: no data are known, or the stack does not say how stored images become features.
        DataError: images that cannot be read, or of another size or in other units.
    """
    scaling = known_scaling(stack)
    data = data_to_use(given, split, [run], scaling.columns)
    v, binarised = _states(stack, data, n, binarise, seed)
    train = None
    if with_training and split in ("validation", "test"):
        train, _ = _states(stack, data_to_use(given, "train", [run], scaling.columns), n, binarise, seed)
    how = {"sample": "each pixel drawn once", "threshold": "grey pixels at one half"}[binarise] if binarised else ""
    words = f"{len(v)} {data.noun} of {data.name}, {split}{f', {how}' if how else ''}"
    return StatesToEvaluate(v, train, words)


@torch.no_grad()
def states_at_top(stack: DBN, v: Tensor, seed: int) -> Tensor:
    """States of the top RBM's visible units, sampled layer by layer from ``v`` ``(n, n_visible)``."""
    noise = stream(seed, "states at the top", device=v.device)
    for k in range(len(stack) - 1):
        v = stack[k].hidden.states_above(stack[k].sample_hidden(v, noise))
    return v


def _states(stack: DBN, data: DataToUse, n: int, binarise: str, seed: int) -> tuple[Tensor, bool]:
    """States of the first images, and whether they were made binary."""
    like = next(stack.parameters())
    features = visible_states_of(stack, first_images(data, n).pixels).float().cpu()
    binary = bool(((features == 0) | (features == 1)).all())
    if binary or not _are_binary(stack[0].visible if isinstance(stack[0], RBM | DBMLayer) else None):
        return features.to(like), False
    if binarise == "sample":
        features = torch.bernoulli(features.clamp(0, 1), generator=stream(seed, "binarise"))
    else:
        features = (features > 0.5).float()
    return features.to(like), True


def _are_binary(units: Units | None) -> bool:
    own = units.own if isinstance(units, PerMap) else units
    return isinstance(own, Bernoulli)
