"""A CUDA graph on a CPU: records the operations on memory that some work asks torch for, and repeats exactly those.

As on a GPU, recording does not execute: memory and generators are as before. A replay runs no Python of the work, so
numbers that the work reads or counts in Python are those of the recording. It reads and writes the same memory again,
which the recording keeps alive only if it was allocated in it, and which holds garbage before each replay; and it draws
from the registered generators' current states. What a GPU refuses to record raises RuntimeError: results that the host
asks for, transfers of Python numbers, generators that are not registered.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

WAITING = ("_local_scalar_dense", "is_nonzero", "equal", "nonzero", "masked_select", "unique", "_unique2", "lift_fresh")
"""Operations in which the host waits for the device; the last one moves a Python number there."""


@dataclass
class Place:
    """Where a tensor lies: in memory of the recording, or in that of others, which may be gone at a replay."""

    storage: torch.UntypedStorage | StorageWeakRef
    like: tuple[torch.dtype, tuple[int, ...], tuple[int, ...], int]

    def tensor(self) -> Tensor:
        """The tensor, with what the memory holds now."""
        storage = self.storage
        if isinstance(storage, StorageWeakRef):
            storage = torch.UntypedStorage._new_with_weak_ptr(storage.cdata)
            if storage is None:
                raise AssertionError("a recording uses memory that was freed")
        dtype, shape, stride, offset = self.like
        return torch.empty(0, dtype=dtype).set_(storage, offset, shape, stride)


@dataclass
class Operation:
    """An operation, its arguments, and where its results go; None for those that are in an argument's memory."""

    function: Any
    args: Any
    kwargs: Any
    results: list[Place | None]


class Capture(TorchDispatchMode):
    """Records operations; memory of others is restored when the context ends."""

    def __init__(self, generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        self.generators = list(generators)
        self.operations: list[Operation] = []
        self.own: dict[int, torch.UntypedStorage] = {}
        self.before: dict[int, tuple[Tensor, Tensor]] = {}

    def __enter__(self) -> "Capture":
        self.states = [generator.get_state() for generator in self.generators]
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        with torch._C._AutoDispatchBelowAutograd():
            for memory, content in self.before.values():
                memory.copy_(content)
        for generator, state in zip(self.generators, self.states, strict=True):
            generator.set_state(state)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        if name in WAITING:
            raise RuntimeError(f"operation not permitted when stream is capturing: {name}")
        generator = kwargs.get("generator")
        known = [own._cdata for own in self.generators]  # torch makes a new object of the same generator
        if torch.Tag.nondeterministic_seeded in func.tags and (generator is None or generator._cdata not in known):
            raise RuntimeError(f"{name} draws from a generator that is not registered with the graph")
        for argument, value in zip(func._schema.arguments, args, strict=False):
            self._keep(argument, value)
        for argument in func._schema.arguments:
            self._keep(argument, kwargs.get(argument.name))
        written = any(own.alias_info is not None and own.alias_info.is_write for own in func._schema.arguments)
        places = tree_map_only(Tensor, self.place, (args, kwargs))
        inputs = {id_of(own) for own in tensors((args, kwargs))}
        found = func(*args, **kwargs)
        results: list[Place | None] = []
        for result in tensors(found):
            if id_of(result) in inputs:
                results.append(None)
            else:
                self.own[id_of(result)] = result.untyped_storage()
                results.append(self.place(result))
        if written or any(place is not None for place in results):
            self.operations.append(Operation(func, *places, results))
        return found

    def _keep(self, argument: Any, value: Any) -> None:
        """Copy memory that is about to be written, unless it belongs to the recording."""
        if argument.alias_info is None or not argument.alias_info.is_write:
            return
        for own in tensors(value):
            if id_of(own) not in self.own and id_of(own) not in self.before:
                memory = torch.empty(0, dtype=torch.uint8).set_(own.untyped_storage())
                self.before[id_of(own)] = memory, memory.clone()

    def place(self, x: Tensor) -> Place:
        """Where a tensor lies."""
        storage = self.own.get(id_of(x))
        kept = StorageWeakRef(x.untyped_storage()) if storage is None else storage
        return Place(kept, (x.dtype, tuple(x.shape), x.stride(), x.storage_offset()))

    def spoil(self) -> None:
        """Fill the recording's own memory with garbage."""
        for storage in self.own.values():
            torch.empty(0, dtype=torch.uint8).set_(storage).fill_(255)  # NaN, or -1

    def replay(self) -> None:
        """Repeat the operations."""
        with torch._C._AutoDispatchBelowAutograd():
            self.spoil()
            for operation in self.operations:
                args, kwargs = tree_map_only(Place, Place.tensor, (operation.args, operation.kwargs))
                found = operation.function(*args, **kwargs)
                for place, result in zip(operation.results, tensors(found), strict=True):
                    if place is not None:
                        place.tensor().copy_(result)


class Watch(TorchDispatchMode):
    """Notices that the host waits for the device."""

    def __init__(self) -> None:
        super().__init__()
        self.waited = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.waited |= func.overloadpacket.__name__ in WAITING
        return func(*args, **(kwargs or {}))


class CpuGraphs:
    """Stands for :class:`dbn.machine.cuda_graphs.CudaGraphs`.

    Attributes:
        recordings: how many.
        replays: how many.
    """

    def __init__(self) -> None:
        self.recordings = self.replays = 0

    def warm_up(self, work: Callable[[], None]) -> bool:
        """See :class:`dbn.machine.cuda_graphs.Recorder`."""
        with Watch() as watch:
            work()
        return watch.waited

    def record(self, work: Callable[[], None], generators: Sequence[torch.Generator]) -> Callable[[], None]:
        """See :class:`dbn.machine.cuda_graphs.Recorder`."""
        self.recordings += 1
        with Capture(generators) as capture:
            work()
        capture.spoil()

        def replay() -> None:
            self.replays += 1
            capture.replay()

        return replay


class Launched(CpuGraphs):
    """Records nothing: a replay does the work."""

    def record(self, work: Callable[[], None], generators: Sequence[torch.Generator]) -> Callable[[], None]:
        """See :class:`dbn.machine.cuda_graphs.Recorder`."""
        self.recordings += 1
        return work


def tensors(values: Any) -> list[Tensor]:
    """All tensors in nested arguments or results."""
    return [own for own in torch.utils._pytree.tree_leaves(values) if isinstance(own, Tensor)]


def id_of(x: Tensor) -> int:
    """Which memory a tensor lies in."""
    return x.untyped_storage()._cdata
