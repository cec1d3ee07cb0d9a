"""Swaps between neighbouring distributions: detailed balance by enumeration, and a record kept by hand."""

from itertools import product

import pytest
import torch
from torch import Tensor

from dbn.random.streams import stream
from dbn.samplers.swaps import Swaps, exchanged

P = torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.05, 0.15, 0.8], [0.3, 0.3, 0.4]], dtype=torch.float64)
"""Four distributions over three states."""


def log_ratio(states: Tensor) -> Tensor:
    """By which swaps change the densities of states ``(4, rows)``."""
    log_p = P.log()
    below, above = states[:-1], states[1:]
    present = log_p[:-1].gather(1, below) + log_p[1:].gather(1, above)
    return log_p[:-1].gather(1, above) + log_p[1:].gather(1, below) - present


def test_a_round_from_each_state_is_what_metropolis_and_hastings_say() -> None:
    """Of every state of four chains, over 20 000 draws: each pair swaps by itself, with min(1, ratio of densities).

    With these probabilities the product of the distributions is in detailed balance, which is enumerated.
    """
    joint = {}
    for state in product(range(3), repeat=4):
        joint[state] = float(torch.stack([P[k, s] for k, s in enumerate(state)]).prod())
    rows, worst = 20_000, 0.0
    for number, state in enumerate(list(joint)[::5]):
        for parity in (0, 1):
            swaps = Swaps(4, rows, (), P)
            swaps.parity.fill_(parity)
            states = torch.tensor(state).unsqueeze(1).repeat(1, rows)
            index = swaps.draw(log_ratio(states), stream(number, "swaps", parity))
            moved = exchanged(states.unsqueeze(-1), index).squeeze(-1)
            for pair in range(3):
                swapped = list(state)
                swapped[pair], swapped[pair + 1] = swapped[pair + 1], swapped[pair]
                expected = min(1.0, joint[tuple(swapped)] / joint[state]) if pair % 2 == parity else 0.0
                found = float((index[pair] == pair + 1).double().mean())
                error = (expected * (1 - expected) / rows) ** 0.5
                assert abs(found - expected) <= 5 * error + 1e-9, (state, parity, pair)
                worst = max(worst, expected * (1 - expected))
            kept = [sorted(column) for column in moved.T[:5].tolist()]
            assert kept == [sorted(state)] * 5
    assert worst > 0.2


def test_rounds_alternate_between_even_and_odd_pairs() -> None:
    swaps = Swaps(5, 3, (), P)
    always = torch.full((4, 3), torch.inf, dtype=torch.float64)
    assert swaps.draw(always)[:, 0].tolist() == [1, 0, 3, 2, 4]
    assert swaps.draw(always)[:, 0].tolist() == [0, 2, 1, 4, 3]
    assert swaps.draw(always)[:, 0].tolist() == [1, 0, 3, 2, 4]


@pytest.mark.parametrize("members", [(), (2,)])
def test_round_trips_are_those_of_a_list_that_is_followed(members: tuple[int, ...]) -> None:
    """Against tokens that walk in lists of Python's, for 300 rounds of random swaps."""
    n, rows, n_members = 4, 3, members[0] if members else 1
    swaps, generator = Swaps(n, rows, members, P), stream(0, "log_ratios")
    noise = [stream(k, "swaps") for k in range(n_members)]
    place = torch.arange(n).repeat(n_members, rows, 1).tolist()  # of [member][row]: which token is where
    last = [[[None] * n for _ in range(rows)] for _ in range(n_members)]
    trips = [0] * n_members
    for _ in range(300):
        ratio = torch.randn(*members, n - 1, rows, generator=generator, dtype=torch.float64)
        index = swaps.draw(ratio, noise if members else noise[0]).view(n_members, n, rows)
        for member in range(n_members):
            for row in range(rows):
                tokens = [place[member][row][k] for k in index[member, :, row].tolist()]
                place[member][row] = tokens
                been = last[member][row]
                trips[member] += been[tokens[0]] == "end"
                been[tokens[0]] = "start"
                if been[tokens[-1]] is not None:
                    been[tokens[-1]] = "end"
    assert min(trips) > 20
    assert swaps.round_trips.reshape(-1).tolist() == trips


def test_independent_states_make_the_round_trips_of_the_theory() -> None:
    """Of chains whose energies are independent in each round: 1 / (2 + 2 sum of r / (1 - r)) (Syed et al. 2022)."""
    rows, rounds, generator = 500, 2000, stream(0, "states")
    swaps = Swaps(4, rows, (), P)
    for _ in range(rounds):
        states = torch.stack([torch.multinomial(p, rows, replacement=True, generator=generator) for p in P])
        swaps.draw(log_ratio(states), generator)
    r = swaps.mean_rejections()
    for k in range(3):
        pair = P[k, :, None] * P[k + 1, None, :]
        expected = 1 - float((pair * (pair.T / pair).clamp(max=1)).sum())
        assert float(r[k]) == pytest.approx(expected, abs=3e-3)
    theory = float(1 / (2 + 2 * (r / (1 - r)).sum()))
    assert float(swaps.round_trips) / (rows * rounds) == pytest.approx(theory, rel=0.02)


def test_a_new_record_forgets_counts_and_not_where_states_were() -> None:
    swaps = Swaps(2, 1, (), P)
    never, always = (torch.full((1, 1), sign * torch.inf, dtype=torch.float64) for sign in (-1, 1))
    swaps.draw(always)
    assert (float(swaps.mean_rejections()), int(swaps.rounds)) == (0, 1)
    swaps.begin_record()
    assert int(swaps.rounds) == 0
    for _ in range(2):
        swaps.draw(never)
    assert float(swaps.mean_rejections()) == 1
    for _ in range(2):
        swaps.draw(always)
    assert int(swaps.round_trips) == 0
    for _ in range(4):
        swaps.draw(always)
    assert int(swaps.round_trips) >= 1
