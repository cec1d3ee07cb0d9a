"""What is said of estimates: of models that annealing is right on, and of one whose modes it misses."""

import pytest
import torch

from dbn.likelihood import (
    BaseRates,
    Enumeration,
    LogPartitionEstimate,
    annealed_importance_sampling,
    reverse_annealed_importance_sampling,
)
from dbn.likelihood.trust import Trust, how_far_to_trust
from dbn.models.rbm import RBM
from helpers import make_rbm, rbm_of_modes


def both_directions(rbm: RBM) -> tuple[LogPartitionEstimate, LogPartitionEstimate, float]:
    """Forward, reverse and exact."""
    exact, betas = Enumeration(rbm), torch.linspace(0, 1, 300)
    draws = exact.sample(100, torch.Generator().manual_seed(1))
    base = BaseRates.fitted(rbm, draws)
    forward = annealed_importance_sampling(rbm, betas, 100, torch.Generator().manual_seed(2), base=base)
    reverse = reverse_annealed_importance_sampling(rbm, draws, betas, torch.Generator().manual_seed(3), base=base)
    return forward, reverse, float(exact.log_z)


def test_modes_that_annealing_misses() -> None:
    """The gap between the directions shows it without the exact value; the forward error alone does not."""
    forward, reverse, exact = both_directions(rbm_of_modes())
    off = exact - forward.log_z
    assert off > 4
    assert forward.log_z_standard_error < 1.01
    unknown = how_far_to_trust(forward, reverse)
    assert unknown.level == "doubtful"
    assert f"{reverse.log_z - forward.log_z:.1f} nats apart" in unknown.words
    assert "quote the reverse one" in unknown.words
    known = how_far_to_trust(forward, reverse, exact)
    assert known.level == "exact"
    assert f"{off:.1f} nats below it and flatter the model" in known.words


def test_a_model_that_annealing_is_right_on() -> None:
    forward, reverse, exact = both_directions(make_rbm(n_visible=10, n_hidden=6))
    found = how_far_to_trust(forward, reverse, starts_are_exact=True)
    assert found == Trust(
        "good", f"Forward and reverse annealing agree within {abs(reverse.log_z - forward.log_z):.2f} nats."
    )
    assert "started at data" in how_far_to_trust(forward, reverse).words
    assert "within" in how_far_to_trust(forward, reverse, exact).words


def weights(logs: torch.Tensor, *, in_reverse: bool = False) -> LogPartitionEstimate:
    """An estimate with given log weights."""
    sign = -1.0 if in_reverse else 1.0
    log_z = float(sign * (torch.logsumexp(sign * logs, 0) - torch.tensor(float(len(logs))).log()))
    relative = (sign * (logs - log_z)).exp()
    error = float(relative.std()) / len(logs) ** 0.5
    return LogPartitionEstimate(log_z, error, float(logs.mean()), error, logs, in_reverse)


@pytest.mark.parametrize(
    ("forward", "reverse", "level", "words"),
    [
        (torch.zeros(50), torch.zeros(50) + 0.5, "good", "agree within 0.50"),
        (torch.zeros(50), torch.zeros(50) + 1.5, "doubtful", "1.5 nats apart"),
        (torch.zeros(50), torch.zeros(50) - 1.5, "doubtful", "lies 1.5 nats below"),
        (torch.arange(50.0), torch.zeros(50) + 45.5, "doubtful", "of 50 chains count in the forward estimate"),
    ],
)
def test_gaps_and_chains_that_dominate(forward: torch.Tensor, reverse: torch.Tensor, level: str, words: str) -> None:
    found = how_far_to_trust(weights(forward.double()), weights(reverse.double(), in_reverse=True))
    assert found.level == level
    assert words in found.words
