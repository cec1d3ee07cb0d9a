"""Random subsets of images, stratified by class."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dbn.errors import DataError, SettingError
from dbn.random.streams import stream


def proportional(counts: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    """Distribute ``total`` in proportion to ``counts`` ``(k,)`` by the largest remainder method, at least one each.

    Ties go to the lower class number. Requires ``k <= total <= counts.sum()`` and ``counts >= 1``; then
    ``1 <= result <= counts``, and the result sums to ``total``.
    """
    n = counts.sum()
    shares: NDArray[np.int64] = np.maximum(counts * total // n, 1)
    owed = counts * total - shares * n  # n times the remainder, in whole numbers: no rounding
    missing = total - int(shares.sum())
    if missing > 0:
        shares[np.argsort(-owed, kind="stable")[:missing]] += 1
    for _ in range(-missing):  # compensate for classes raised to one, where the excess is largest
        largest = np.argmin(np.where(shares > 1, owed, np.iinfo(np.int64).max))
        shares[largest] -= 1
        owed[largest] += n
    return shares


def stratified(labels: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Sorted index ``(size,)`` of a random subset of ``labels`` ``(n,)``, stratified by class."""
    classes, counts = torch.unique(labels, return_counts=True)
    shares = proportional(counts.numpy(), size)
    chosen = []
    for label, share in zip(classes, shares.tolist(), strict=True):
        members = (labels == label).nonzero().squeeze(1)
        chosen.append(members[torch.randperm(len(members), generator=generator)[:share]])
    return torch.cat(chosen).sort().values


def distinct(n: int, size: int, generator: torch.Generator) -> Tensor:
    """Sorted index ``(size,)`` of a random subset of ``n`` images; needs memory for ``size`` numbers, not ``n``."""
    drawn = torch.empty(0, dtype=torch.int64)
    while len(drawn) < size:
        more = torch.randint(n, (2 * (size - len(drawn)) + 16,), generator=generator)
        drawn = torch.cat([drawn, more]).unique()
    return drawn[torch.randperm(len(drawn), generator=generator)[:size]].sort().values


def label_subset(labels: Tensor | None, n_labelled: int | None, seed: int, *, data_name: str = "data") -> Tensor:
    """Choose the training images that keep their label, stratified by class, at least one of each.

    Of values to predict, which have no classes, any.

    Args:
        labels: of the training images, ``(n,)`` int64, or ``(n, n_targets)`` float32.
        n_labelled: number of images that keep their label; None: all.
        seed: seed of the stream ``label subset``.
        data_name: for messages.

    Returns:
        Sorted int64 index ``(n_labelled,)`` into ``labels``.

    Raises:
        SettingError: ``n_labelled`` is below the number of classes or above the number of labels.
        DataError: there are no labels.
    """
    if labels is None:
        raise DataError(
            f"data={data_name} has no labels: nothing can be trained or tested by class on "
            "it. Use task=autoencoder, or dbn-pretrain for a stack alone."
        )
    labels = labels.cpu()
    if n_labelled is None:
        return torch.arange(len(labels))
    n_classes = 1 if labels.is_floating_point() else len(torch.unique(labels))
    if n_labelled < n_classes:
        reason = f"too few for data={data_name}: every one of its {n_classes} classes needs a label"
    elif n_labelled > len(labels):
        reason = f"too many for data={data_name}: it has {len(labels)} training images"
    elif labels.is_floating_point():
        return distinct(len(labels), n_labelled, stream(seed, "label subset"))
    else:
        return stratified(labels, n_labelled, stream(seed, "label subset"))
    raise SettingError(f"data.n_labelled={n_labelled} is {reason}. Use {n_classes} to {len(labels)}, or null for all.")
