"""How often a pretrained stack with a label is wrong about the classes of images."""

from collections.abc import Mapping

import torch

from dbn.data import DataSet
from dbn.models.class_rbm import class_scores
from dbn.models.dbn import DBN
from dbn.models.rbm import RBM
from dbn.models.units import BernoulliWithLabel


def class_errors(stack: DBN, data: DataSet) -> dict[str, float]:
    """``validation/error`` and ``test/error``, fractions of wrong classes, by the free energies of the labels.

    Images pass through the layers below the top RBM at the means of their recognition weights, see
    :func:`dbn.models.class_rbm.class_scores`. Empty for a stack without label; without the splits that have no images.
    """
    top = stack[len(stack) - 1]
    if not isinstance(top, RBM) or not isinstance(top.hidden, BernoulliWithLabel):
        return {}
    errors = {}
    for split, images in (("validation", data.validation), ("test", data.test)):
        if not len(images) or images.labels is None:
            continue
        with torch.no_grad():
            predicted = [class_scores(stack, chunk.to(top.weight)).argmax(-1).cpu() for chunk in images.chunks()]
        wrong = torch.cat(predicted) != images.labels.cpu()
        errors[f"{split}/error"] = float(wrong.double().mean())
    return errors


def errors_in_words(metrics: Mapping[str, float]) -> list[str]:
    """A line for each split of :func:`class_errors`, with the error before where there is one."""
    lines = []
    for split in ("validation", "test"):
        error, before = (metrics.get(f"{split}/error{suffix}") for suffix in ("", "_before"))
        if error is not None:
            change = "" if before is None else f", before up-down training {100 * before:.2f} %"
            lines.append(f"{split} error by the free energies of the labels: {100 * error:.2f} %{change}")
    return lines
