"""The schedule of the learning rate in fine-tuning: any of torch's, told how long training is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import OneCycleLR

from dbn.settings import call_factory, check_choice


@dataclass(frozen=True)
class Schedule:
    """A learning-rate schedule: any scheduler of torch, with the length of training.

    Attributes:
        factory: makes the scheduler from an optimiser.
        interval: ``step`` or ``epoch``: when the scheduler steps.
        length: name of the factory's argument for the total number of steps or epochs; None if it has none.
    """

    factory: Callable[..., Any]
    interval: str = "step"
    length: str | None = None

    def __post_init__(self) -> None:
        """Check every value."""
        check_choice("schedule.interval", self.interval, ("step", "epoch"))

    def scheduler(self, optimizer: Optimizer, epochs: int, steps_per_epoch: int) -> Any:
        """A scheduler of torch's for training of ``epochs`` epochs."""
        n = epochs * (steps_per_epoch if self.interval == "step" else 1)
        return call_factory("schedule", self.factory, optimizer, **arguments_of_length(self.factory, self.length, n))


def arguments_of_length(factory: Callable[..., Any], name: str | None, n: int) -> dict[str, Any]:
    """What tells a scheduler's factory that training has ``n`` steps or epochs.

    A rise of exactly one step is made a little longer, because torch's one cycle divides by the steps between its first
    and its last, which are none (torch 2.13).

    Args:
        factory: of the scheduler.
        name: of the factory's argument for the length; None if it has none.
        n: steps or epochs.
    """
    length = {} if name is None else {name: n}
    if getattr(factory, "func", None) is not OneCycleLR:
        return length
    share = factory.keywords.get("pct_start", 0.3)  # type: ignore[attr-defined]
    return {**length, "pct_start": share * (1 + 1e-9)} if share * n == 1 else length


def start(scheduler: Any) -> None:
    """Let a scheduler that begins now set the rate of the first step, whatever rate the optimiser came with."""
    if scheduler.last_epoch == 0:
        for group, rate in zip(scheduler.optimizer.param_groups, scheduler.get_last_lr(), strict=True):
            group["lr"] = rate
