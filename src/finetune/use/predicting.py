"""Predictions for images as a CSV file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dbn.data.images import Images
from dbn.errors import DataError
from dbn.use.blocks import Advance, Arrays, in_blocks, progress_bar
from dbn.use.data_to_use import DataToUse
from dbn.use.table import exact_numbers, image_table
from finetune.use.ensemble import Ensemble


@dataclass
class Summary:
    """What predictions came to.

    Attributes:
        n: images.
        n_labelled: images with a label.
        n_wrong: labelled images that were given another class.
        squared_error: of an autoencoder, sum over all images.
    """

    n: int = 0
    n_labelled: int = 0
    n_wrong: int = 0
    squared_error: float = 0.0

    def text(self, *, is_autoencoder: bool) -> str:
        """A line for a person."""
        if is_autoencoder:
            return f"{self.n} images: squared error {self.squared_error / self.n:.6g} per image"
        if not self.n_labelled:
            return f"{self.n} images, without labels"
        error = self.n_wrong / self.n_labelled
        return (
            f"{self.n} images, {self.n_labelled} with labels: error {100 * error:.2f} % "
            f"({self.n_wrong} of {self.n_labelled}), accuracy {100 * (1 - error):.2f} %"
        )


def predict_to_csv(ensemble: Ensemble, data: DataToUse, path: Path, *, progress: bool = False) -> Summary:
    """Write a row for each image: predicted class and the probability of every class, or an autoencoder's error.

    Numbers have nine digits, which are read back as the float32 numbers of
    :meth:`finetune.Network.predict_proba`.

    Args:
        ensemble: the networks.
        data: the images. Their classes are those of the networks with the same names.
        path: of the CSV file, written whole or not at all.
        progress: show a progress bar on a terminal.

    Raises:
        DataError: images of another size or in other units, or of a class that the networks do not know.
    """
    numbers = class_numbers(data, ensemble.meaning.classes) if ensemble.meaning.task == "classifier" else np.empty(0)
    for part in data.parts:
        ensemble.check(part.images)
    write = _write_classes if ensemble.meaning.task == "classifier" else _write_errors
    with progress_bar("images", len(data), wanted=progress) as advance:
        return write(ensemble, data, path, numbers, advance)


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
        used = labels.unique().numpy()
        unknown = [data.classes[number] for number in used if numbers[number] < 0]
        if unknown:
            raise DataError(
                f"data={data.name}: there are images of the class {unknown[0]!r}, which the network does not know. Its "
                f"classes are {', '.join(known)}. Take those images away, or give the images without labels."
            )
    return numbers


def _write_classes(ensemble: Ensemble, data: DataToUse, path: Path, numbers: NDArray, advance: Advance) -> Summary:
    names = ensemble.meaning.classes
    has_probabilities = ensemble.meaning.outputs == "logits"
    columns = ["predicted", *(f"probability_{name}" for name in names if has_probabilities)]
    summary = Summary()

    def compute(images: Images) -> Arrays:
        predicted, probabilities = ensemble.classify(images)
        return (predicted,) if probabilities is None else (predicted, probabilities)

    with image_table(path, data, columns) as write:
        for part in data.parts:
            for positions, (predicted, *probabilities) in in_blocks(part, compute, advance):
                cells = [exact_numbers(row) for row in probabilities[0]] if probabilities else [[]] * len(predicted)
                write(part, positions, [[names[k], *own] for k, own in zip(predicted.tolist(), cells, strict=True)])
                summary.n += len(positions)
                if part.images.labels is not None:
                    summary.n_labelled += len(positions)
                    labels = numbers[part.images.labels[positions].numpy()]
                    summary.n_wrong += int((labels != predicted).sum())
    return summary


def _write_errors(ensemble: Ensemble, data: DataToUse, path: Path, numbers: NDArray, advance: Advance) -> Summary:
    summary = Summary()
    with image_table(path, data, ["squared_error"]) as write:
        for part in data.parts:
            for positions, (errors,) in in_blocks(part, lambda images: (ensemble.squared_error(images),), advance):
                write(part, positions, [exact_numbers(errors[k : k + 1]) for k in range(len(errors))])
                summary.n += len(positions)
                summary.squared_error += float(errors.astype(np.float64).sum())
    return summary
