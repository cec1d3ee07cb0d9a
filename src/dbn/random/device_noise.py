"""Noise whose seeds are in a device's memory, so that a recorded CUDA graph draws fresh numbers from new seeds."""

from abc import ABC, abstractmethod

from torch import Tensor


class DeviceNoise(ABC):
    """Source of random numbers that kernels draw while they use them.

    A number is a function of a member's seed, the number of the call since the source was seeded, and the position of
    the number within the member. So a member of a group draws what it would draw alone. A recorded CUDA graph keeps the
    numbers of its calls, and reads the seeds anew in each replay.

    Args:
        seeds: one for each member, ``(members,)`` int64, on the device; a single model is one member.

    Attributes:
        calls: calls so far; restored after a replay by whoever replays.
    """

    def __init__(self, seeds: Tensor) -> None:
        self.seeds = seeds
        self.calls = 0

    def next_call(self) -> int:
        """The number of the next call; each kernel that draws takes one."""
        call = self.calls
        self.calls += 1
        return call

    def reseed(self, other: "DeviceNoise") -> None:
        """Continue as ``other`` would, from its start, with the seeds at their address."""
        self.seeds.copy_(other.seeds)
        self.calls = 0

    @abstractmethod
    def fill(self, out: Tensor, *, normal: bool) -> Tensor:
        """Overwrite ``out`` with uniform numbers in [0, 1), multiples of 2^-24, or standard normal ones.

        Args:
            out: contiguous; the members are the first dimension, if there are several.
            normal: draw normal numbers.
        """
