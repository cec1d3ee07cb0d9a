"""Named streams."""

import pytest
import torch

from dbn.random.streams import stream, stream_seed


def test_a_stream_depends_on_seed_name_and_counters_only() -> None:
    first = torch.rand(5, generator=stream(3, "gibbs", 1, 2))
    torch.rand(100, generator=stream(3, "dropout"))  # somebody else draws more
    assert torch.equal(torch.rand(5, generator=stream(3, "gibbs", 1, 2)), first)


def test_neighbouring_streams_differ() -> None:
    seeds = {
        stream_seed(seed, name, *c)
        for seed in range(5)
        for name in ("gibbs", "order")
        for c in [(), (0,), (1,), (0, 1), (1, 0)]
    }
    assert len(seeds) == 5 * 2 * 5


def test_the_numbers_are_pinned() -> None:
    """Another version of numpy or torch that drew other numbers would silently change every result."""
    assert stream_seed(0, "order", 1, 2) == 5251611980692613127
    assert torch.randperm(8, generator=stream(0, "order", 1, 2)).tolist() == [6, 1, 3, 2, 7, 4, 5, 0]


def test_negative_seeds_are_refused() -> None:
    with pytest.raises(ValueError, match="non-negative"):
        stream(-1, "order")
