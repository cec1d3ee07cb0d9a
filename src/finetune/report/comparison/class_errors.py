"""Errors by class of a section's best arms, and the pairs of classes that are confused most often."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dbn.errors import ModelFileError
from finetune.report.comparison.arm import Arm
from finetune.report.comparison.sections import Section
from finetune.report.comparison.statistics.intervals import Estimate, estimate_mean
from finetune.report.results.run_result import Kind
from finetune.tasks.predictions import read_predictions

MAX_CLASSES, MAX_PAIRS = 12, 12
"""Numbers of classes and pairs that are shown at once."""
PROVINCE = "zh_"
"""Prefix of the names of EasyPR's province classes."""


@dataclass(frozen=True)
class ArmConfusion:
    """Confusion matrices of an arm.

    Attributes:
        role: why the arm is shown.
        confusion: test images by seed, true class and predicted class, ``(n_seeds, k, k)``.
    """

    name: str
    kind: Kind
    role: str
    confusion: NDArray[np.int64]

    def error_of(self, members: Sequence[int]) -> Estimate:
        """Error rate on the images of some classes."""
        own = self.confusion[:, list(members)]
        right = self.confusion[:, list(members), list(members)].sum(1)
        return estimate_mean((1 - right / own.sum((1, 2))).tolist())

    def mistakes(self, label: int) -> float:
        """Number of misclassified images of a class, mean over seeds."""
        return float((self.confusion[:, label].sum(1) - self.confusion[:, label, label]).mean())

    def predicted_as(self, label: int, other: int) -> float:
        """Number of images of the class ``label`` that are classified as ``other``, mean over seeds."""
        return float(self.confusion[:, label, other].mean())


@dataclass(frozen=True)
class ErrorRow:
    """Error rates of all arms on one class or group of classes; ``n_images`` counts its test images."""

    name: str
    n_images: int
    errors: tuple[Estimate, ...]


@dataclass(frozen=True)
class ConfusedPair:
    """Two classes; for each arm the images of the first classified as the second, and of the second as the first."""

    first: str
    second: str
    counts: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class SectionClassErrors:
    """Errors by class of a section.

    Attributes:
        columns: best pretrained arm, best random arm and baselines, of those that kept predictions.
        groups: errors by group of classes, where names of classes define groups.
        worst: the classes with the most misclassified images.
        every: all classes, in their order; empty where ``worst`` holds them all.
        pairs: the pairs of classes that are confused most often.
        read_errors: messages on predictions that cannot be read.
    """

    columns: tuple[ArmConfusion, ...]
    groups: tuple[ErrorRow, ...]
    worst: tuple[ErrorRow, ...]
    every: tuple[ErrorRow, ...]
    pairs: tuple[ConfusedPair, ...]
    read_errors: tuple[str, ...]


def class_errors(section: Section) -> SectionClassErrors | None:
    """Errors by class of a section's best arms; None where none of their runs kept predictions."""
    chosen = [(section.best_pretrained, "best pretrained"), (section.best_random, "best random start")]
    chosen += [(arm, "baseline") for arm in section.of_kind("baseline")]
    names = max((run.classes for arm, _ in chosen if arm for run in arm.runs), key=len, default=())
    found: list[tuple[Arm, str, list[NDArray[np.int64]]]] = []
    read_errors: list[str] = []
    for arm, role in chosen:
        pairs = _labels_and_predictions(arm, read_errors) if arm else []
        if arm and pairs:
            found.append((arm, role, pairs))
    if not found:
        return None
    k = max(len(names), 1 + max(int(pair.max()) for _, _, pairs in found for pair in pairs))
    names = names if len(names) == k else tuple(map(str, range(k)))
    columns = tuple(
        ArmConfusion(arm.name, arm.kind, role, np.stack([confusion_matrix(pair[0], pair[1], k) for pair in pairs]))
        for arm, role, pairs in found
    )
    n_images = columns[0].confusion[0].sum(1)
    tested = [label for label in range(k) if all(column.confusion[:, label].sum(1).all() for column in columns)]

    def row(name: str, members: Sequence[int]) -> ErrorRow:
        errors = tuple(column.error_of(members) for column in columns)
        return ErrorRow(name, int(n_images[list(members)].sum()), errors)

    groups = {name: [label for label in members if label in tested] for name, members in class_groups(names).items()}
    worst = sorted(tested, key=lambda label: (-sum(column.mistakes(label) for column in columns), label))
    return SectionClassErrors(
        columns=columns,
        groups=tuple(row(name, members) for name, members in groups.items() if members),
        worst=tuple(row(names[label], [label]) for label in worst[:MAX_CLASSES]),
        every=tuple(row(names[label], [label]) for label in tested) if len(tested) > MAX_CLASSES else (),
        pairs=confused_pairs(columns, names),
        read_errors=tuple(read_errors),
    )


def class_groups(names: Sequence[str]) -> dict[str, list[int]]:
    """Class numbers by group for characters of licence plates, see :func:`dbn.data.easypr`; else empty."""
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
    """Images by true and predicted class, ``(k, k)``, from class numbers ``(n,)``."""
    return np.bincount(label * k + predicted, minlength=k * k).reshape(k, k)


def confused_pairs(columns: Sequence[ArmConfusion], names: Sequence[str]) -> tuple[ConfusedPair, ...]:
    """The pairs of classes confused most often, summed over both directions and all arms."""
    mean = sum((column.confusion.mean(0) for column in columns), np.zeros((len(names), len(names))))
    both = np.triu(mean + mean.T, 1)
    order = np.argsort(-both, axis=None, kind="stable")[:MAX_PAIRS]
    indices = [divmod(int(index), len(names)) for index in order if both.flat[index] > 0]
    return tuple(
        ConfusedPair(
            names[a], names[b], tuple((column.predicted_as(a, b), column.predicted_as(b, a)) for column in columns)
        )
        for a, b in indices
    )


def _labels_and_predictions(arm: Arm, read_errors: list[str]) -> list[NDArray[np.int64]]:
    """Labels and predictions ``(2, n)`` of each run that kept any; messages are appended to ``read_errors``."""
    pairs = []
    for run in arm.runs:
        try:
            found = read_predictions(run.directory)
        except ModelFileError as error:
            read_errors.append(str(error))
            continue
        if found is not None and len(found.label):
            pairs.append(np.stack([found.label, found.predicted]))
    return pairs
