"""Holding out whole groups of images, such as all images of a person or all copies of a picture."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dbn.data.split.hold_out import check_one_each, split_size, stratified_split
from dbn.errors import DataError


@dataclass(frozen=True, eq=False)
class GroupedLabels:
    """Groups and labels of the images to split.

    Attributes:
        name: of the data, for messages.
        groups: ``(n,)`` int64, the group of each image.
        labels: ``(n,)`` int64, or None.
        classes: names of the classes.
    """

    name: str
    groups: Tensor
    labels: Tensor | None
    classes: tuple[str, ...]

    def pictures(self) -> Tensor:
        """If groups are copies of pictures: index ``(p,)`` of the first copy of each picture with a single label."""
        group = torch.unique(self.groups, return_inverse=True)[1]
        first = first_in_groups(group)
        return first if self.labels is None else first[~_contradictory(group, self.labels)]


def hold_out_groups(
    split: str, images: GroupedLabels, wanted: int | float | None, generator: torch.Generator
) -> Tensor:
    """Choose whole groups to hold out, stratified by class as far as whole groups allow.

    Coordinate descent: groups are visited repeatedly in random order, and one is moved in or out if that lowers the sum
    over classes of ``(held out - target)^2 / images of the class``, until no move does. The target of a class is at
    least the size of its smallest part in a group.

    Args:
        split: "test" or "validation".
        images: labels and groups.
        wanted: number or fraction of images to hold out; the result may differ from it.
        generator: draws the order.

    Returns:
        Mask ``(n,)`` of the images to hold out.

    Raises:
        SettingError: ``wanted`` is invalid, or less than one image for each class.
        DataError: a class, or all of the data, is in too few groups to be in both parts.
    """
    size = split_size(split, wanted, len(images.groups), images.name)
    if size == 0:
        return torch.zeros(len(images.groups), dtype=torch.bool)
    check_one_each(split, size, images.name, len(images.classes))
    group = torch.unique(images.groups, return_inverse=True)[1]
    labels = torch.zeros_like(group) if images.labels is None else images.labels
    counts = _count(group, labels)
    order = torch.randperm(len(counts), generator=generator).numpy()
    out = _choose(counts, size, order)
    _check_both_sides(split, counts, out, images)
    return torch.from_numpy(out)[group]


def hold_out_copies(
    split: str, images: GroupedLabels, wanted: int | float | None, generator: torch.Generator, *, whole: GroupedLabels
) -> tuple[Tensor, Tensor]:
    """Choose pictures to hold out, if the images of a group are copies of one picture.

    The first copy of such a picture is held out; its other copies are in no split. A picture whose copies have
    different labels is never held out.

    Args:
        split: "test" or "validation".
        images: labels and groups.
        wanted: number or fraction of pictures to hold out.
        generator: draws the pictures.
        whole: all images, before any were held out, for messages.

    Returns:
        Two masks ``(n,)``: images to hold out, and remaining images.

    Raises:
        SettingError: ``wanted`` is invalid, or less than one picture for each class.
        DataError: a class has too few pictures to be in both parts.
    """
    pictures = images.pictures()
    size = split_size(split, wanted, len(pictures), images.name)
    if size == 0:
        chosen = pictures[:0]
    elif images.labels is None or whole.labels is None:
        chosen = pictures[torch.randperm(len(pictures), generator=generator)[:size]]
    else:
        index = stratified_split(
            split, images.labels[pictures], size, generator, name=images.name, classes=images.classes,
            all_labels=whole.labels[whole.pictures()],
        )  # fmt: skip
        chosen = pictures[index]
    out = torch.zeros(len(images.groups), dtype=torch.bool)
    out[chosen] = True
    return out, ~torch.isin(images.groups, images.groups[chosen])


def contradictory_images(groups: Tensor, labels: Tensor) -> Tensor:
    """Mask ``(n,)`` of the images whose group has images with another label; both arguments ``(n,)`` int64."""
    group = torch.unique(groups, return_inverse=True)[1]
    return _contradictory(group, labels)[group]


def first_in_groups(group: Tensor) -> Tensor:
    """Index of the first image of each group, ``(g,)``; ``group`` ``(n,)`` holds group numbers 0 to g - 1."""
    first = torch.full((int(group.max()) + 1,), len(group))
    return first.scatter_reduce(0, group, torch.arange(len(group)), "amin")


def _contradictory(group: Tensor, labels: Tensor) -> Tensor:
    """Mask ``(g,)`` of the groups with different labels."""
    n_groups = int(group.max()) + 1
    lowest = torch.full((n_groups,), torch.iinfo(torch.int64).max).scatter_reduce(0, group, labels, "amin")
    highest = torch.full((n_groups,), torch.iinfo(torch.int64).min).scatter_reduce(0, group, labels, "amax")
    return lowest != highest


def _count(group: Tensor, labels: Tensor) -> NDArray[np.float64]:
    """Images of each class in each group, ``(g, k)``."""
    counts = torch.zeros(int(group.max()) + 1, int(labels.max()) + 1, dtype=torch.float64)
    return counts.index_put_((group, labels), torch.ones(len(group), dtype=torch.float64), accumulate=True).numpy()


def _choose(counts: NDArray[np.float64], size: int, order: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mask ``(g,)`` of the groups to hold out, of ``counts`` ``(g, k)``; see :func:`hold_out_groups`."""
    totals = counts.sum(0)
    weight = 1 / np.maximum(totals, 1)
    smallest_part = np.where(counts > 0, counts, np.inf).min(0)
    missing = np.maximum(totals * size / totals.sum(), np.where(np.isfinite(smallest_part), smallest_part, 0))
    out = np.zeros(len(counts), bool)
    changed = True
    while changed:
        changed = False
        for group in order:
            step = -counts[group] if out[group] else counts[group]
            if (weight * step * (step - 2 * missing)).sum() < -1e-9:  # change of the objective; ignore rounding
                out[group] = not out[group]
                missing = missing - step
                changed = True
    return out


def _check_both_sides(split: str, counts: NDArray[np.float64], out: NDArray[np.bool_], images: GroupedLabels) -> None:
    for label in range(counts.shape[1]):
        there = counts[:, label] > 0
        if (there & out).any() and (there & ~out).any():
            continue
        whose = "" if images.labels is None else f"class {images.classes[label]!r} of "
        raise DataError(
            f"{whose}data={images.name} is in {int(there.sum())} of the groups that are left to take {split} images "
            f"out of, and groups stay whole: none could be taken with some left to train on. Add groups, or change "
            f"data.{split}."
        )
