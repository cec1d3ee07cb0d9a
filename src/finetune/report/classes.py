"""Which classes a section's best arms get wrong, and what they take them for."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dbn.errors import ModelFileError
from finetune.predictions import read_predictions
from finetune.report.compare import Arm, Section
from finetune.report.read import Kind
from finetune.report.statistics import Estimate, estimate_mean

MOST_CLASSES, MOST_PAIRS = 12, 12
"""Shown at once."""
PROVINCE = "zh_"
"""Start of the names of EasyPR's classes that are provinces."""


@dataclass(frozen=True)
class Column:
    """An arm and how it did, over its seeds.

    Attributes:
        confusion: images of each class (first dimension) taken for each class (second), of each seed
            ``(n_seeds, k, k)``.
    """

    name: str
    kind: Kind
    role: str
    confusion: NDArray[np.int64]

    def error_of(self, members: Sequence[int]) -> Estimate:
        """Fraction of the images of some classes that are taken for another class."""
        own = self.confusion[:, list(members)]
        right = self.confusion[:, list(members), list(members)].sum(1)
        return estimate_mean((1 - right / own.sum((1, 2))).tolist())

    def mistakes(self, label: int) -> float:
        """Images of a class that are taken for another, mean over seeds."""
        return float((self.confusion[:, label].sum(1) - self.confusion[:, label, label]).mean())

    def taken(self, label: int, other: int) -> float:
        """Images of a class that are taken for the class ``other``, mean over seeds."""
        return float(self.confusion[:, label, other].mean())


@dataclass(frozen=True)
class Row:
    """Errors of one class, or of a group of classes, in each column.

    Attributes:
        n_images: of the test set.
    """

    name: str
    n_images: int
    errors: tuple[Estimate, ...]


@dataclass(frozen=True)
class Pair:
    """Two classes that are taken for each other: per column, images of the first taken for the second, and back."""

    first: str
    second: str
    counts: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class ClassView:
    """What the page shows of a section's classes.

    Attributes:
        columns: best pretrained, best random arm, and baselines; those that kept predictions.
        groups: rows of groups of classes, where their names tell them apart.
        worst: the classes with the most mistakes, over the columns.
        every: all classes, in their order; empty where ``worst`` has them all.
        pairs: pairs with the most mistakes, over the columns.
        complaints: predictions that could not be used.
    """

    columns: tuple[Column, ...]
    groups: tuple[Row, ...]
    worst: tuple[Row, ...]
    every: tuple[Row, ...]
    pairs: tuple[Pair, ...]
    complaints: tuple[str, ...]


def class_view(section: Section) -> ClassView | None:
    """Errors by class of the best arms of a section of classifiers; None where no run kept predictions."""
    chosen = [(section.best_pretrained, "best pretrained"), (section.best_random, "best random start")]
    chosen += [(arm, "baseline") for arm in section.of_kind("baseline")]
    names = max((run.classes for arm, _ in chosen if arm for run in arm.runs), key=len, default=())
    found: list[tuple[Arm, str, list[NDArray[np.int64]]]] = []
    complaints: list[str] = []
    for arm, role in chosen:
        pairs = _pairs_of(arm, complaints) if arm else []
        if arm and pairs:
            found.append((arm, role, pairs))
    if not found:
        return None
    k = max(len(names), 1 + max(int(pair.max()) for _, _, pairs in found for pair in pairs))
    names = names if len(names) == k else tuple(map(str, range(k)))
    columns = tuple(
        Column(arm.name, arm.kind, role, np.stack([confusion_matrix(pair[0], pair[1], k) for pair in pairs]))
        for arm, role, pairs in found
    )
    n_images = columns[0].confusion[0].sum(1)
    tested = [label for label in range(k) if all(column.confusion[:, label].sum(1).all() for column in columns)]

    def row(name: str, members: Sequence[int]) -> Row:
        errors = tuple(column.error_of(members) for column in columns)
        return Row(name, int(n_images[list(members)].sum()), errors)

    groups = {name: [label for label in members if label in tested] for name, members in class_groups(names).items()}
    worst = sorted(tested, key=lambda label: (-sum(column.mistakes(label) for column in columns), label))
    return ClassView(
        columns=columns,
        groups=tuple(row(name, members) for name, members in groups.items() if members),
        worst=tuple(row(names[label], [label]) for label in worst[:MOST_CLASSES]),
        every=tuple(row(names[label], [label]) for label in tested) if len(tested) > MOST_CLASSES else (),
        pairs=look_alikes(columns, names),
        complaints=tuple(complaints),
    )


def class_groups(names: Sequence[str]) -> dict[str, list[int]]:
    """Class numbers by group, for characters of licence plates (see :func:`dbn.data.easypr`); else empty."""
    groups: dict[str, list[int]] = {"digits": [], "letters": [], "digits and letters": [], "provinces": []}
    for label, name in enumerate(names):
        if name.startswith(PROVINCE):
            groups["provinces"].append(label)
        elif len(name) == 1 and name.isalnum():
            groups["digits" if name.isdigit() else "letters"].append(label)
            groups["digits and letters"].append(label)
        else:
            return {}
    return groups if groups["provinces"] and groups["digits and letters"] else {}


def confusion_matrix(label: NDArray[np.int64], predicted: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """Images of each class taken for each class, ``(k, k)``, of class numbers ``(n,)``."""
    return np.bincount(label * k + predicted, minlength=k * k).reshape(k, k)


def look_alikes(columns: Sequence[Column], names: Sequence[str], most: int = MOST_PAIRS) -> tuple[Pair, ...]:
    """Pairs of classes by how often they are taken for each other, both ways and over all columns."""
    mean = sum((column.confusion.mean(0) for column in columns), np.zeros((len(names), len(names))))
    both = np.triu(mean + mean.T, 1)
    order = np.argsort(-both, axis=None, kind="stable")[:most]
    places = [divmod(int(place), len(names)) for place in order if both.flat[place] > 0]
    return tuple(
        Pair(names[a], names[b], tuple((column.taken(a, b), column.taken(b, a)) for column in columns))
        for a, b in places
    )


def _pairs_of(arm: Arm, complaints: list[str]) -> list[NDArray[np.int64]]:
    """Labels and predictions ``(2, n)`` of each run that kept any."""
    pairs = []
    for run in arm.runs:
        try:
            found = read_predictions(run.directory)
        except ModelFileError as error:
            complaints.append(str(error))
            continue
        if found is not None and len(found.label):
            pairs.append(np.stack([found.label, found.predicted]))
    return pairs
