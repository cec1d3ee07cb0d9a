"""State of several processes in a checkpoint: each gets its own back."""

import socket
from typing import Any

import pytest
import torch
from torch import multiprocessing as mp

from dbn.errors import SettingError
from dbn.fitting.processes import of_all_processes, of_this_process


def one_of_two(rank: int, port: int, results: Any) -> None:
    """A gloo process with state of a size of its own."""
    torch.distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    kept = of_all_processes({"chains": torch.full((3 + rank,), float(rank))})
    own = of_this_process(kept, "sampler", "its chains")
    alone = []
    for state in ({"chains": torch.zeros(1)}, [{}, {}, {"chains": torch.zeros(1)}]):
        with pytest.raises(SettingError) as error:
            of_this_process(state, "sampler", "its chains")
        alone.append(str(error.value))
    nothing = of_this_process({}, "sampler", "its chains")
    results[rank] = ([state["chains"].tolist() for state in kept], own["chains"].tolist(), alone, nothing)
    torch.distributed.destroy_process_group()


def test_each_of_two_processes_gets_its_own_back() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with mp.Manager() as manager:
        results = manager.dict()
        mp.spawn(one_of_two, args=(port, results), nprocs=2)
        first, second = results[0], results[1]
    assert first[0] == second[0] == [[0.0] * 3, [1.0] * 4]
    assert (first[1], second[1]) == ([0.0] * 3, [1.0] * 4)
    assert first[3] == second[3] == {}
    assert "its chains of 1 processes; this run has 2. Resume with trainer.devices=1" in first[2][0]
    assert "its chains of 3 processes; this run has 2. Resume with trainer.devices=3" in second[2][1]


def test_a_single_process_keeps_its_state_as_it_is() -> None:
    state = {"chains": torch.ones(2)}
    assert of_all_processes(state) is state
    assert of_this_process(state, "sampler", "its chains") is state
