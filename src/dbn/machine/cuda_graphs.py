"""A block's steps as one CUDA graph: a GPU computes a small step in less time than it takes to launch it."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from dbn.data.blocks import Block, Minibatch
from dbn.random.streams import Generators

Capture = Callable[[Callable[[], None], Sequence[torch.Generator]], Callable[[], None]]
"""Records ``work``, which draws from the given generators, and returns a callable that replays it."""


def cuda_graph(work: Callable[[], None], generators: Sequence[torch.Generator]) -> Callable[[], None]:
    """Record ``work`` as a CUDA graph without running it; returns a callable that runs it in one launch.

    Each replay reads the seeds and offsets of ``generators`` anew and advances them, so that it draws what the work
    would draw.
    """
    graph = torch.cuda.CUDAGraph()
    if hasattr(graph, "register_generator_state"):  # otherwise torch does that by itself
        for generator in generators:
            graph.register_generator_state(generator)
    with torch.cuda.graph(graph):
        work()
    replay: Callable[[], None] = graph.replay
    return replay


class BlockGraphs:
    """Takes the steps of a block, all but the last, by replaying a recording of them.

    The last one is left to the caller, who tells Lightning of it. Features and labels of each block are copied into
    fixed buffers that the recorded steps read. Steps must write to memory that stays where it is, and the optimiser
    work in place: parameters, gradients and momentum of a :class:`dbn.machine.optimizer.SGD` do. A recording holds for
    blocks of the same lengths under the same settings of the optimiser: momentum that changes makes another.

    Args:
        capture: makes a recording.
    """

    def __init__(self, capture: Capture = cuda_graph) -> None:
        self.capture = capture
        self.recordings: dict[Any, Callable[[], None]] = {}
        self.features: Tensor | None = None
        self.labels: Tensor | None = None
        self.generators: list[torch.Generator] = []
        self.warm = False

    def reseeded(self, generators: Generators) -> Generators:
        """Generators that stay the same objects from block to block, at the start of the given streams."""
        given = [generators] if isinstance(generators, torch.Generator) else list(generators)
        if not self.generators:
            self.generators = [torch.Generator(generator.device) for generator in given]
        for own, generator in zip(self.generators, given, strict=True):
            own.manual_seed(generator.initial_seed())
        return self.generators[0] if isinstance(generators, torch.Generator) else self.generators

    def all_but_last(
        self, block: Block, optimizer: torch.optim.Optimizer, take_step: Callable[[Minibatch, Any], None]
    ) -> None:
        """Take every step of the block but the last.

        Args:
            block: the block.
            optimizer: whose settings are part of the recording.
            take_step: takes a step from a minibatch with the optimiser, drawing from :meth:`reseeded` generators.
        """

        def take_steps(block: Block) -> None:
            for batch in list(block.minibatches())[:-1]:
                take_step(batch, optimizer)

        if len(block.lengths) < 2:
            return
        if not self.warm:  # momentum, gradients and buffers come to be
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
            self.recordings[key] = self.capture(lambda: take_steps(fixed), self.generators)
        self.recordings[key]()

    def in_fixed_memory(self, block: Block) -> Block:
        """The block's features and labels, copied to where those of the blocks before were."""
        n = block.features.shape[-2]
        if self.features is None or self.features[..., :n, :].shape != block.features.shape:
            self.features, self.recordings = torch.empty_like(block.features), {}
            self.labels = None if block.labels is None else torch.empty_like(block.labels)
        features = self.features[..., :n, :].copy_(block.features)
        if self.labels is None or block.labels is None:
            return block.holding(features, None)
        return block.holding(features, self.labels[..., :n].copy_(block.labels))
