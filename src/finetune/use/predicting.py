"""Predictions for images, or rows of a table, as a CSV file."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from dbn.data.images import Images
from dbn.data.tables.parts import UNKNOWN
from dbn.errors import DataError
from dbn.use.blocks import Advance, Arrays, in_blocks, progress_bar
from dbn.use.data_to_use import DataToUse
from dbn.use.table import exact_numbers, image_table
from finetune.tasks.regression import ErrorSums, regression_errors
from finetune.use.ensemble import Ensemble


@dataclass
class Summary:
    """What predictions came to.

    Attributes:
        n: images, or rows.
        noun: which of them.
        labels: what they may have, ``labels`` or ``known values``.
        n_labelled: those with a label, or with values.
        n_wrong: labelled ones that were given another class.
        squared_error: of an autoencoder, sum over all images; None: it is none.
        errors: of predicted values, by name; empty without values to compare with.
    """

    n: int = 0
    noun: str = "images"
    labels: str = "labels"
    n_labelled: int = 0
    n_wrong: int = 0
    squared_error: float | None = None
    errors: dict[str, float] = field(default_factory=dict)

    def text(self) -> str:
        """A line for a person."""
        if self.squared_error is not None:
            return f"{self.n} {self.noun}: squared error {self.squared_error / self.n:.6g} per {self.noun[:-1]}"
        if not self.n_labelled:
            return f"{self.n} {self.noun}, without {self.labels}"
        if self.errors:
            errors = ", ".join(f"{name} {value:.6g}" for name, value in self.errors.items())
            return f"{self.n} {self.noun}, {self.n_labelled} with {self.labels}: {errors}"
        error = self.n_wrong / self.n_labelled
        return (
            f"{self.n} {self.noun}, {self.n_labelled} with labels: error {100 * error:.2f} % "
            f"({self.n_wrong} of {self.n_labelled}), accuracy {100 * (1 - error):.2f} %"
        )


def predict_to_csv(ensemble: Ensemble, data: DataToUse, path: Path, *, progress: bool = False) -> Summary:
    """Write a row for each image: its class and their probabilities, values of targets, or an autoencoder's error.

    Numbers have nine digits, which are read back as the float32 numbers of
    :meth:`finetune.Network.predict_proba` or :meth:`finetune.Network.predict`.

    Args:
        ensemble: the networks.
        data: the images. Their classes are those of the networks with the same names.
        path: of the CSV file, written whole or not at all.
        progress: show a progress bar on a terminal.

    Raises:
        DataError: images of another size or in other units, or of a class that the networks do not know.
    """
    write = {"classifier": _write_classes, "regression": _write_values, "autoencoder": _write_errors}
    for part in data.parts:
        ensemble.check(part.images)
    with progress_bar(data.noun, len(data), wanted=progress) as advance:
        return write[ensemble.meaning.task](ensemble, data, path, advance)


def class_numbers(data: DataToUse, known: Sequence[str]) -> NDArray[np.int64]:
    """The networks' number of each class of the data.

    Raises:
        DataError: images are of a class that the networks do not know.
    """
    place = {name: number for number, name in enumerate(known)}
    numbers = np.array([place.get(name, -1) for name in data.classes], dtype=np.int64)
    for part in data.parts:
        labels = part.images.labels
        if labels is None:
            continue
        used = labels[labels != UNKNOWN].unique().numpy()
        unknown = [data.classes[number] for number in used if numbers[number] < 0]
        if unknown:
            raise DataError(
                f"data={data.name}: there are images of the class {unknown[0]!r}, which the network does not know. Its "
                f"classes are {', '.join(known)}. Take those images away, or give the images without labels."
            )
    return numbers


def _write_classes(ensemble: Ensemble, data: DataToUse, path: Path, advance: Advance) -> Summary:
    names = ensemble.meaning.classes
    numbers = class_numbers(data, names)
    has_probabilities = ensemble.meaning.outputs == "logits"
    columns = ["predicted", *(f"probability_{name}" for name in names if has_probabilities)]
    summary = Summary(len(data), data.noun)

    def compute(images: Images) -> Arrays:
        predicted, probabilities = ensemble.classify(images)
        return (predicted,) if probabilities is None else (predicted, probabilities)

    with image_table(path, data, columns) as write:
        for part in data.parts:
            for positions, (predicted, *probabilities) in in_blocks(part, compute, advance):
                cells = [exact_numbers(row) for row in probabilities[0]] if probabilities else [[]] * len(predicted)
                write(part, positions, [[names[k], *own] for k, own in zip(predicted.tolist(), cells, strict=True)])
                if part.images.labels is not None:
                    labels = part.images.labels[positions].numpy()
                    known = labels != UNKNOWN
                    summary.n_labelled += int(known.sum())
                    summary.n_wrong += int((numbers[labels[known]] != predicted[known]).sum())
    return summary


def _write_values(ensemble: Ensemble, data: DataToUse, path: Path, advance: Advance) -> Summary:
    targets = ensemble.meaning.targets
    assert targets is not None  # of this task
    summary, sums = Summary(len(data), data.noun, "known values"), ErrorSums(len(targets.names))

    def compute(images: Images) -> Arrays:
        values, exact = ensemble.values(images)
        return values, exact.numpy()

    with image_table(path, data, [f"predicted_{name}" for name in targets.names]) as write:
        for part in data.parts:
            for positions, (values, exact) in in_blocks(part, compute, advance):
                write(part, positions, [exact_numbers(row) for row in values])
                if part.images.labels is not None:
                    labels = part.images.labels[positions]
                    known = labels.isfinite().all(1)
                    summary.n_labelled += int(known.sum())
                    sums.update(torch.from_numpy(exact)[known], labels[known].double(), targets.mean.double())
    if summary.n_labelled:
        summary.errors = regression_errors(sums.compute())
    return summary


def _write_errors(ensemble: Ensemble, data: DataToUse, path: Path, advance: Advance) -> Summary:
    total = 0.0
    with image_table(path, data, ["squared_error"]) as write:
        for part in data.parts:
            for positions, (errors,) in in_blocks(part, lambda images: (ensemble.squared_error(images),), advance):
                write(part, positions, [exact_numbers(errors[k : k + 1]) for k in range(len(errors))])
                total += float(errors.astype(np.float64).sum())
    return Summary(len(data), data.noun, squared_error=total)
