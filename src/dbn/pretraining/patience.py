"""When to stop pretraining a layer: a metric of validation images that has not improved for some epochs."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

HIGHER_IS_BETTER = frozenset({"pseudo_likelihood"})
"""Watched metrics that rise while a layer learns; the others fall."""


class Patience:
    """Decides for each member of a fit when it has stopped, and keeps its parameters from then on.

    Members that have stopped are computed along with the others; :meth:`restore` undoes what that did to them.

    Args:
        epochs: number of epochs without improvement after which a member stops.
        metric: what is watched.
        n_members: number of models that train together.

    Attributes:
        trained: number of epochs that each member trained; None while it trains.
        best_epochs: epoch of each member's best value, from 0.
    """

    def __init__(self, epochs: int, metric: str, n_members: int) -> None:
        self.epochs = epochs
        self.metric = metric
        self.best: list[float] = [float("inf")] * n_members
        self.best_epochs: list[int] = [0] * n_members
        self.trained: list[int | None] = [None] * n_members
        self.kept: dict[int, dict[str, Tensor]] = {}

    @property
    def all_stopped(self) -> bool:
        """Whether no member trains any longer."""
        return None not in self.trained

    def exhausted(self, values: Sequence[float], epoch: int) -> list[int]:
        """Take the members' values after ``epoch``, counted from 0; returns the numbers of those that should stop."""
        sign = -1.0 if self.metric in HIGHER_IS_BETTER else 1.0
        for number, value in enumerate(values):
            if self.trained[number] is None and sign * value < self.best[number]:
                self.best[number], self.best_epochs[number] = sign * value, epoch
        return [
            number
            for number, trained in enumerate(self.trained)
            if trained is None and epoch - self.best_epochs[number] >= self.epochs
        ]

    def stop(self, number: int, epoch: int, group: nn.Module) -> None:
        """Stop a member after ``epoch``, counted from 0, and keep its parameters in the ``group``."""
        self.trained[number] = epoch + 1
        if len(self.trained) > 1:
            self.kept[number] = {name: own.detach()[number].clone() for name, own in group.named_parameters()}

    @torch.no_grad()
    def restore(self, group: nn.Module) -> None:
        """Set the parameters of members that have stopped to those that they stopped with."""
        parameters = dict(group.named_parameters())
        for number, kept in self.kept.items():
            for name, own in kept.items():
                parameters[name][number] = own.to(parameters[name].device)

    def reason(self, number: int) -> str:
        """Why a member that has stopped did, for results."""
        return (
            f"{self.metric} has not improved on validation images since epoch {self.best_epochs[number] + 1} "
            f"(patience={self.epochs})"
        )

    def state(self) -> dict[str, Any]:
        """State for a checkpoint."""
        return {"best": self.best, "best_epochs": self.best_epochs, "trained": self.trained, "kept": self.kept}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore the state of a checkpoint."""
        self.best, self.best_epochs = state["best"], state["best_epochs"]
        self.trained, self.kept = state["trained"], state["kept"]
