"""A block's steps as one CUDA graph: small steps take less time on a GPU than launching their kernels."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from dbn.data.blocks import Block, Minibatch
from dbn.random.device_noise import DeviceNoise
from dbn.random.streams import Source

Capture = Callable[[Callable[[], None], Sequence[torch.Generator]], Callable[[], None]]
"""Records ``work``, which draws from the given generators, and returns a callable that replays it."""


def cuda_graph(work: Callable[[], None], generators: Sequence[torch.Generator]) -> Callable[[], None]:
    """Record ``work`` as a CUDA graph without executing it; returns a callable that replays it in one launch.

    Each replay uses and advances the current state of ``generators``, so that it draws the numbers that ``work`` would.
    """
    graph = torch.cuda.CUDAGraph()
    if hasattr(graph, "register_generator_state"):  # other versions of torch register it themselves
        for generator in generators:
            graph.register_generator_state(generator)
    with torch.cuda.graph(graph):
        work()
    replay: Callable[[], None] = graph.replay
    return replay


class BlockGraphs:
    """Executes all steps of a block but the last by replaying a CUDA graph.

    The caller takes the last step with Lightning's optimiser wrapper, which counts it. Features and labels of each
    block are copied into fixed buffers that the recorded steps read. Steps must use memory at fixed addresses and an
    optimiser that works in place, such as :class:`dbn.machine.optimizer.SGD`. A recording is valid for blocks of the
    same lengths with the same settings of the optimiser: another momentum needs another recording.

    Args:
        capture: records a callable, by default as a CUDA graph.
    """

    def __init__(self, capture: Capture = cuda_graph) -> None:
        self.capture = capture
        self.recordings: dict[Any, tuple[Callable[[], None], int]] = {}
        self.features: Tensor | None = None
        self.labels: Tensor | None = None
        self.generators: list[torch.Generator] = []
        self.noise: DeviceNoise | None = None
        self.warm = False

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
        self, block: Block, optimizer: torch.optim.Optimizer, take_step: Callable[[Minibatch, Any], None]
    ) -> None:
        """Execute every step of the block but the last.

        Args:
            block: the block.
            optimizer: the optimiser, whose settings are recorded.
            take_step: takes a step from a minibatch with the optimiser, drawing from :meth:`reseeded` generators.
        """

        def take_steps(block: Block) -> None:
            for batch in list(block.minibatches())[:-1]:
                take_step(batch, optimizer)

        if len(block.lengths) < 2:
            return
        if not self.warm:  # allocates momentum, gradients and buffers
            take_steps(block)
            self.warm = True
            return
        settings = tuple(
            (name, value) for group in optimizer.param_groups for name, value in group.items() if name != "params"
        )
        fixed = self.in_fixed_memory(block)
        key = (block.lengths, block.counts, settings)
        if key not in self.recordings:
            self.recordings = {known: kept for known, kept in self.recordings.items() if known[-1] == settings}
            replay = self.capture(lambda: take_steps(fixed), self.generators)
            self.recordings[key] = replay, 0 if self.noise is None else self.noise.calls
        replay, calls = self.recordings[key]
        replay()
        if self.noise is not None:
            self.noise.calls = calls  # replaying counts none, and the last step must not draw the first one's numbers

    def in_fixed_memory(self, block: Block) -> Block:
        """The block with features and labels copied into the fixed buffers."""
        n = block.features.shape[-2]
        if self.features is None or self.features[..., :n, :].shape != block.features.shape:
            self.features, self.recordings = torch.empty_like(block.features), {}
            self.labels = None if block.labels is None else torch.empty_like(block.labels)
        features = self.features[..., :n, :].copy_(block.features)
        if self.labels is None or block.labels is None:
            return block.holding(features, None)
        return block.holding(features, self.labels[..., :n].copy_(block.labels))
