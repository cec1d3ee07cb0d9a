"""State of several processes in a checkpoint: each gets its own back."""

from typing import Any

import pytest
import torch

from dbn.errors import SettingError
from dbn.fitting.processes import of_all_processes, of_this_process
from two_processes import in_two_processes


def one_of_two(rank: int) -> tuple[Any, ...]:
    """With state of a size of its own."""
    kept = of_all_processes({"chains": torch.full((3 + rank,), float(rank))})
    own = of_this_process(kept, "sampler", "its chains")
    alone = []
    for state in ({"chains": torch.zeros(1)}, [{}, {}, {"chains": torch.zeros(1)}]):
        with pytest.raises(SettingError) as error:
            of_this_process(state, "sampler", "its chains")
        alone.append(str(error.value))
    nothing = of_this_process({}, "sampler", "its chains")
    return [state["chains"].tolist() for state in kept], own["chains"].tolist(), alone, nothing


def test_each_of_two_processes_gets_its_own_back() -> None:
    first, second = in_two_processes(one_of_two)
    assert first[0] == second[0] == [[0.0] * 3, [1.0] * 4]
    assert (first[1], second[1]) == ([0.0] * 3, [1.0] * 4)
    assert first[3] == second[3] == {}
    assert "its chains of 1 processes; this run has 2. Resume with trainer.devices=1" in first[2][0]
    assert "its chains of 3 processes; this run has 2. Resume with trainer.devices=3" in second[2][1]


def test_a_single_process_keeps_its_state_as_it_is() -> None:
    state = {"chains": torch.ones(2)}
    assert of_all_processes(state) is state
    assert of_this_process(state, "sampler", "its chains") is state
