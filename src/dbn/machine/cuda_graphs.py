"""A block's steps as one CUDA graph: small steps take less time on a GPU than launching their kernels."""

import logging
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import torch
from torch import Tensor

from dbn.data.block_reader import Decoder, Stored
from dbn.data.blocks import Block, Destination, Minibatch
from dbn.data.uploads import pinned
from dbn.random.device_noise import DeviceNoise
from dbn.random.streams import Source

log = logging.getLogger(__name__)

Settings = list[dict[str, Any]]
"""Settings of an optimiser's parameter groups."""
OTHER_SETTINGS = "a schedule changes more than learning rates within a block"


class Recorder(Protocol):
    """Records work for a device, which then replays it."""

    def warm_up(self, work: Callable[[], None]) -> bool:
        """Do ``work``, which allocates what recordings use; returns whether the host waited for the device in it."""

    def record(self, work: Callable[[], None], generators: Sequence[torch.Generator]) -> Callable[[], None]:
        """Record ``work``, which draws from ``generators``, without doing it; returns a callable that replays it.

        Each replay uses and advances the current state of ``generators``, so that it draws the numbers that ``work``
        would.

        Raises:
            RuntimeError: ``work`` cannot be recorded.
        """


class CudaGraphs:
    """Records work as CUDA graphs.

    References:
        https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
    """

    def __init__(self) -> None:
        self.side = torch.cuda.Stream()

    def warm_up(self, work: Callable[[], None]) -> bool:
        """See :class:`Recorder`; on a side stream, as torch asks for: autograd remembers the stream it first ran on."""
        side, mode = self.side, torch.cuda.get_sync_debug_mode()
        side.wait_stream(torch.cuda.current_stream())
        try:
            with torch.cuda.stream(side), warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                torch.cuda.set_sync_debug_mode("warn")
                work()
        finally:
            torch.cuda.set_sync_debug_mode(mode)
        torch.cuda.current_stream().wait_stream(side)
        waited = False
        for own in caught:
            if "synchronizing CUDA operation" in str(own.message):
                waited = True
            elif "Synchronization debug mode" not in str(own.message):  # which says of itself that it is a prototype
                warnings.warn_explicit(own.message, own.category, own.filename, own.lineno)
        return waited

    def record(self, work: Callable[[], None], generators: Sequence[torch.Generator]) -> Callable[[], None]:
        """See :class:`Recorder`."""
        graph = torch.cuda.CUDAGraph()
        if hasattr(graph, "register_generator_state"):  # other versions of torch register it themselves
            for generator in generators:
                graph.register_generator_state(generator)
        try:
            with torch.cuda.graph(graph):
                work()
        except RuntimeError:
            # torch leaves generators that a failed recording used unusable ("Offset increment outside graph capture").
            for generator in (*generators, torch.cuda.default_generators[torch.cuda.current_device()]):
                generator.graphsafe_set_state(generator.clone_state())
            raise
        replay: Callable[[], None] = graph.replay
        return replay


def recorder_for(device: torch.device) -> Recorder | None:
    """How steps on a device are recorded; None: they are not."""
    return CudaGraphs() if device.type == "cuda" else None


@cache
def say_once(reason: str) -> None:
    """Log why steps are launched one by one, once in a process."""
    log.warning("Steps are launched one by one, which takes longer than one CUDA graph for a block: %s.", reason)


@dataclass
class Recording:
    """The recorded steps of a block.

    Attributes:
        replay: takes them.
        rates: the learning rates that they read, ``(steps, parameter groups)``.
        calls: calls of the noise that they take, see :class:`dbn.random.device_noise.DeviceNoise`.
    """

    replay: Callable[[], None]
    rates: Tensor
    calls: int


class BlockGraphs:
    """Takes all steps of a block but the last by replaying a recording.

    The caller takes the last step with Lightning's optimiser wrapper, which counts it. Images, labels and weights of
    each block are copied into fixed buffers that the recorded steps read. Learning rates that a schedule changes are
    numbers on the device, computed ahead by the schedule itself: one recording serves all of them. Other settings, and
    which parameters learn, are part of a recording; the first block under new ones is not recorded, since it may
    allocate what the optimiser keeps.

    What a step does on the host happens when it is recorded, not when it is replayed.

    Args:
        recorder: records work.
        scheduled: a schedule changes learning rates.
    """

    def __init__(self, recorder: Recorder, *, scheduled: bool = False) -> None:
        self.recorder = recorder
        self.scheduled = scheduled
        self.recordings: dict[Any, Recording] = {}
        self.images: Tensor | None = None
        self.labels: Tensor | None = None
        self.weights: Tensor | None = None
        self.decode: Decoder | None = None
        self.own_decode: Decoder | None = None
        self.generators: list[torch.Generator] = []
        self.noise: DeviceNoise | None = None
        self.warm: set[Any] = set()
        self.stopped = False

    def reseeded(self, generators: Source) -> Source:
        """The generators, or the device noise, that recordings use for every block, reset to the given one's seeds."""
        if isinstance(generators, DeviceNoise):
            if self.noise is None:
                self.noise = generators
            else:
                self.noise.reseed(generators)
            return self.noise
        given = [generators] if isinstance(generators, torch.Generator) else list(generators)
        if not self.generators:
            self.generators = [torch.Generator(generator.device) for generator in given]
        for own, generator in zip(self.generators, given, strict=True):
            own.manual_seed(generator.initial_seed())
        return self.generators[0] if isinstance(generators, torch.Generator) else self.generators

    def all_but_last(
        self,
        block: Block,
        optimizer: torch.optim.Optimizer,
        take_step: Callable[[Minibatch, Any], None],
        advance: Callable[[], None] = lambda: None,
        destination: Destination | None = None,
    ) -> None:
        """Take every step of the block but the last.

        Args:
            block: the block.
            optimizer: the optimiser.
            take_step: takes a step from a minibatch with the optimiser, drawing from :meth:`reseeded` generators.
            advance: advances the schedule, after every step.
            destination: see :meth:`Block.minibatches`.
        """
        n = len(block.lengths) - 1
        if n == 0:
            return

        def steps(block: Block, settings: Iterable[Settings]) -> Iterator[None]:
            batches = block.minibatches(destination, stop=n)
            for own, batch in zip(settings, batches, strict=True):
                yield
                set_settings(optimizer, own)
                take_step(batch, optimizer)

        def one_by_one() -> Iterator[Settings]:
            for _ in range(n):
                now = settings_of(optimizer)
                if self._recorded(now) != self._recorded(before):
                    self._stop(OTHER_SETTINGS)
                yield self._on_device(now, block.device)
                set_settings(optimizer, now)
                advance()

        before = settings_of(optimizer)
        learning = tuple(own.requires_grad for group in optimizer.param_groups for own in group["params"])
        kind = (self._recorded(before), learning)
        if self.stopped:
            do_all(steps(block, one_by_one()))
        elif kind not in self.warm:
            self.warm.add(kind)
            self._warm_up(steps(block, one_by_one()))
        else:
            planned = []
            for _ in range(n):
                planned.append(settings_of(optimizer))
                advance()
            after = settings_of(optimizer)
            if any(self._recorded(own) != kind[0] for own in planned):
                self._stop(OTHER_SETTINGS)
            recording = None if self.stopped else self._recording(block, planned, kind, steps)
            if recording is None:
                do_all(steps(block, [self._on_device(own, block.device) for own in planned]))
            else:
                recording.replay()
                if self.noise is not None:
                    self.noise.calls = recording.calls  # the last step must not draw the first one's numbers
            set_settings(optimizer, after)

    def _warm_up(self, steps: Iterator[None]) -> None:
        """Take the steps on their way to a recording; the first one may wait for the device where it sets things up."""
        next(steps)
        self.recorder.warm_up(lambda: next(steps, None))
        if self.recorder.warm_up(lambda: do_all(steps)):
            self._stop("a step makes the host wait for the device")

    def _recording(
        self,
        block: Block,
        planned: list[Settings],
        kind: Any,
        steps: Callable[[Block, Iterable[Settings]], Iterator[None]],
    ) -> Recording | None:
        """The recording for such a block, with its data and rates in place; None if there cannot be one."""
        fixed = self.in_fixed_memory(block)
        rates = torch.tensor([[float(group["lr"]) for group in own] for own in planned])
        key = (block.lengths, block.counts, kind)
        if key not in self.recordings:
            self.recordings = {known: kept for known, kept in self.recordings.items() if known[-1] == kind}
            own_rates = rates.to(block.device)
            settings = [self._reading(own, row) for own, row in zip(planned, own_rates, strict=True)]
            before = self.calls
            try:
                replay = self.recorder.record(lambda: do_all(steps(fixed, settings)), self.generators)
            except RuntimeError as error:
                if self.noise is not None:
                    self.noise.calls = before
                self._stop(f"recording them failed ({str(error).splitlines()[0]})")
                return None
            self.recordings[key] = Recording(replay, own_rates, self.calls)
        elif self.scheduled:
            self.recordings[key].rates.copy_(pinned(rates, block.device), non_blocking=True)
        return self.recordings[key]

    def forget(self) -> None:
        """Record anew: steps are other ones from now on than those recorded."""
        self.recordings = {}

    @property
    def calls(self) -> int:
        """Calls of the noise so far in this block; 0 where generators draw."""
        return 0 if self.noise is None else self.noise.calls

    def _stop(self, reason: str) -> None:
        """Record nothing from now on."""
        self.stopped = True
        self.recordings = {}
        say_once(reason)

    def _recorded(self, settings: Settings) -> tuple[Any, ...]:
        """The settings that are part of a recording."""
        return tuple(
            (name, value) for group in settings for name, value in group.items() if name != "lr" or not self.scheduled
        )

    def _reading(self, settings: Settings, rates: Iterable[Tensor]) -> Settings:
        """The settings, with learning rates on the device if a schedule changes them."""
        if not self.scheduled:
            return settings
        return [{**group, "lr": rate} for group, rate in zip(settings, rates, strict=True)]

    def _on_device(self, settings: Settings, device: torch.device) -> Settings:
        """:meth:`_reading`, for one step: whether it is recorded or not, a step has the same learning rates."""
        return self._reading(settings, (torch.full((), float(group["lr"]), device=device) for group in settings))

    def in_fixed_memory(self, block: Block) -> Block:
        """The block with images, as they are stored, labels and weights copied into the fixed buffers."""
        stored = block.images if isinstance(block.images, Stored) else None
        images = block.features if stored is None else stored.pixels
        decode = None if stored is None else stored.decode
        n = images.shape[-2]
        fits = self.images is not None and self.images[..., :n, :].shape == images.shape
        if self.images is None or not fits or self.images.dtype != images.dtype or self.decode is not decode:
            self.images, self.recordings = torch.empty_like(images), {}
            self.labels = None if block.labels is None else torch.empty_like(block.labels)
            self.weights = None if block.weights is None else torch.empty_like(block.weights)
            self.decode, self.own_decode = decode, None if decode is None else decode.with_own_buffer()
        own = self.images[..., :n, :].copy_(images)
        labels = weights = None
        if self.labels is not None and block.labels is not None:
            labels = self.labels.narrow(block.label_images, 0, n).copy_(block.labels)
        if self.weights is not None and block.weights is not None:
            weights = self.weights[..., :n].copy_(block.weights)
        stored_own = own if self.own_decode is None else Stored(own, self.own_decode, self.own_decode)
        return block.holding(stored_own, labels, weights)


def settings_of(optimizer: torch.optim.Optimizer) -> Settings:
    """The current settings of every parameter group."""
    return [{name: own for name, own in group.items() if name != "params"} for group in optimizer.param_groups]


def set_settings(optimizer: torch.optim.Optimizer, settings: Settings) -> None:
    """Set the settings of every parameter group."""
    for group, own in zip(optimizer.param_groups, settings, strict=True):
        group.update(own)


def do_all(steps: Iterator[None]) -> None:
    """Run an iterator to its end."""
    for _ in steps:
        pass
