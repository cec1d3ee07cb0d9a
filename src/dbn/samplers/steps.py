"""Numbers of Gibbs steps that change over the epochs."""

from collections.abc import Mapping
from typing import Any

from dbn.errors import SettingError
from dbn.samplers.base import Sampler
from dbn.settings import check_number, format_value

Steps = int | Mapping[Any, Any]
"""``k``, or a mapping from epochs to ``k``, see :class:`GibbsSampler`."""


class GibbsSampler(Sampler):
    """A sampler of ``k`` steps of Gibbs sampling, in all epochs the same number or by a schedule.

    Args:
        steps: ``k``, from 1; or a mapping ``{0: 1, 20: 5}``: 1 in the first 20 epochs, then 5. Epochs are counted from
            0, as in ``metrics.csv``. They may be texts of digits, which keys become in JSON.

    Attributes:
        steps: ``k`` of the current epoch.

    Raises:
        SettingError: ``steps`` is not a whole number from 1, or a mapping without epoch 0 or of anything else.
    """

    def __init__(self, steps: Steps = 1) -> None:
        self.schedule = checked_schedule(steps)
        self.steps = self.schedule[0]

    def begin_epoch(self, epoch: int) -> bool:
        """See :meth:`Sampler.begin_epoch`."""
        before = self.steps
        self.steps = self.schedule[max(start for start in self.schedule if start <= epoch)]
        return before != self.steps


def checked_schedule(steps: Any, key: str = "sampler.steps") -> dict[int, int]:
    """Steps by the epoch, from 0, in which they begin; ``key`` is that of the setting, for messages.

    Raises:
        SettingError: as :class:`GibbsSampler`.
    """
    if not isinstance(steps, Mapping):
        check_number(key, steps, low=1, whole=True)
        return {0: steps}
    schedule = {}
    for epoch, number in steps.items():
        if not str(epoch).isdecimal() or isinstance(epoch, bool):
            raise SettingError(
                f"{key}={format_value(dict(steps))}: {epoch!r} is no epoch. Give a number of steps, or epochs "
                f"with numbers of steps, such as {key}={{0:1,20:5}}."
            )
        check_number(f"{key}.{epoch}", number, low=1, whole=True)
        schedule[int(epoch)] = number
    if 0 not in schedule:
        raise SettingError(
            f"{key}={format_value(dict(steps))}: it says nothing of the first epochs. Epochs are counted from "
            f"0: {key}={{0:1,20:5}}."
        )
    return schedule
