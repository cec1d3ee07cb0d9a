"""What a network's inputs and outputs mean, kept in its file: without it, trained weights cannot be used."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dbn.data.scaling import Scaling
from dbn.errors import SettingError
from finetune.networks.targets import Targets

OUTPUTS = ("logits", "scores", "pixel_logits", "pixels", "standardised")
"""Kinds of outputs, see :class:`Meaning`."""


@dataclass(frozen=True)
class Meaning:
    """What a network was trained on and for.

    Attributes:
        scaling: how stored images become the network's inputs.
        task: ``classifier``, ``autoencoder`` or ``regression``.
        outputs: ``logits`` of classes; ``scores`` of classes that are no probabilities; ``pixel_logits`` or ``pixels``,
            an autoencoder's reconstructed features before a sigmoid, or themselves; ``standardised`` targets.
        classes: a name for each output of a classifier.
        targets: names, means and deviations of standardised targets; None for other outputs.

    Raises:
        SettingError: another kind of outputs, or standardised targets without their means.
    """

    scaling: Scaling
    task: str
    outputs: str
    classes: tuple[str, ...] = ()
    targets: Targets | None = None

    def __post_init__(self) -> None:
        if self.outputs not in OUTPUTS:
            raise SettingError(f"outputs={self.outputs!r}: there are {', '.join(OUTPUTS)}.")
        if (self.outputs == "standardised") != (self.targets is not None):
            raise SettingError(f"outputs={self.outputs!r}, targets={self.targets}: standardised outputs have targets.")

    def predicted(self, outputs: Tensor) -> Tensor:
        """What outputs predict.

        Args:
            outputs: of the network, ``(n, n_outputs)``.

        Returns:
            Class numbers ``(n,)`` int64, values of the targets in their own units ``(n, n_targets)``, or reconstructed
            features ``(n, n_features)``.
        """
        if self.task == "classifier":
            return outputs.argmax(1)
        return self.reconstructed(outputs) if self.targets is None else self.targets.values(outputs)

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Probabilities of classes, same shape as ``outputs`` ``(n, n_classes)``.

        Raises:
            SettingError: the outputs are no logits of classes.
        """
        if self.outputs != "logits":
            cause = "its loss was not the cross-entropy" if self.task == "classifier" else f"it is for task={self.task}"
            raise SettingError(f"This network gives no probabilities of classes: {cause}. Use predict.")
        return torch.softmax(outputs, 1)

    def reconstructed(self, outputs: Tensor) -> Tensor:
        """Reconstructed features, same shape as ``outputs`` ``(n, n_features)``.

        Raises:
            SettingError: the network is no autoencoder.
        """
        if self.outputs not in ("pixel_logits", "pixels"):
            raise SettingError(
                f"This network does not reconstruct its inputs: it is for task={self.task}. Use predict."
            )
        return torch.sigmoid(outputs) if self.outputs == "pixel_logits" else outputs

    def header(self) -> dict[str, Any]:
        """Entries in a network file's header; the scaling's tensors are tensors of the file."""
        header = {
            "task": self.task,
            "outputs": self.outputs,
            "classes": list(self.classes),
            "inputs": self.scaling.header(),
        }
        return header if self.targets is None else {**header, "targets": self.targets.header()}

    def tensors(self) -> dict[str, Tensor]:
        """Tensors of the file."""
        return self.scaling.tensors()

    @classmethod
    def from_file(cls, header: Mapping[str, Any], tensors: dict[str, Tensor]) -> "Meaning":
        """Inverse of :meth:`header` and :meth:`tensors`; removes its entries from ``tensors``.

        Files of format 1 do not name the outputs: those of a classifier are taken as logits, and those of an
        autoencoder as pixels if its inputs are standardised.
        """
        scaling = Scaling.from_file(header["inputs"], tensors)
        usual = {"classifier": "logits", "autoencoder": "pixels" if scaling.is_standardised else "pixel_logits"}
        task = header["task"]
        targets = None if header.get("targets") is None else Targets.from_header(header["targets"])
        return cls(scaling, task, header.get("outputs") or usual[task], tuple(header["classes"]), targets)
