"""Where annealing starts: base rates, for every type of units; exact samples; several models in one."""

import pytest
import torch

from dbn import RBM, Bernoulli
from dbn.errors import SettingError
from dbn.likelihood import (
    BaseRates,
    Enumeration,
    annealed_importance_sampling,
    log_likelihood,
    log_partition_function,
    reverse_annealed_importance_sampling,
)
from dbn.models.connections import Convolution
from dbn.models.units import MaxPooled, PerMap
from helpers import NORMALISED, exact_draws, log_z, make_rbm


@pytest.mark.parametrize(("visible", "hidden"), NORMALISED)
def test_units_have_the_means_of_the_data_at_the_start(visible: str, hidden: str) -> None:
    """And annealing from there is right in both directions, for every pair of units."""
    rbm = make_rbm(visible, hidden, 6, 4)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        data, exact = exact_draws(rbm, 4000, generator), log_z(rbm).item()
        base = BaseRates.fitted(rbm, data)
        torch.testing.assert_close(rbm.visible.mean(base.field[None])[0], data.mean(0), rtol=0, atol=1e-9)
        betas = torch.linspace(0, 1, 60)
        up = annealed_importance_sampling(rbm, betas, 4000, generator, base=base)
        down = reverse_annealed_importance_sampling(rbm, data, betas, generator, base=base)
    for found in (up, down):
        assert abs(found.log_z - exact) < 5 * found.log_z_standard_error < 0.05
    assert up.bound - 3 * up.bound_standard_error < exact < down.bound + 3 * down.bound_standard_error


def test_base_rates_start_nearer_than_biases_that_are_not_the_data_s() -> None:
    """A model whose biases have drifted and are held by hidden units that are always on."""
    rbm = make_rbm(n_visible=12, n_hidden=4)
    with torch.no_grad():
        rbm.hidden.bias.fill_(6.0)
        rbm.weight.add_(1.5)
        rbm.visible.bias.sub_(6.0)
        exact = Enumeration(rbm)
        base, betas = (
            BaseRates.fitted(rbm, exact.sample(2000, torch.Generator().manual_seed(0))),
            torch.linspace(0, 1, 8),
        )
        fitted = annealed_importance_sampling(rbm, betas, 2000, torch.Generator().manual_seed(1), base=base)
        plain = annealed_importance_sampling(rbm, betas, 2000, torch.Generator().manual_seed(1))
    assert float(exact.log_z) - fitted.bound < 0.5 * (float(exact.log_z) - plain.bound)
    assert fitted.effective_chains > 2 * plain.effective_chains


def test_maps_share_their_rate() -> None:
    connection = Convolution((4, 4, 1), maps=2, kernel=3)
    rbm = RBM(PerMap((4, 4, 1)), MaxPooled(connection.hidden_shape, pool=2), connection).double()
    connection.initialise(0.5, torch.Generator().manual_seed(0))
    data = torch.zeros(8, 16, dtype=torch.float64)
    data[:2] = 1
    base = BaseRates.fitted(rbm, data)
    torch.testing.assert_close(rbm.visible.mean(base.field[None]), torch.full((1, 16), 0.25, dtype=torch.float64))
    exact, generator = Enumeration(rbm), torch.Generator().manual_seed(1)
    assert exact.layer == "hidden"
    up = annealed_importance_sampling(rbm, torch.linspace(0, 1, 100), 1000, generator, base=base)
    assert abs(up.log_z - float(exact.log_z)) < 5 * up.log_z_standard_error < 0.1


@pytest.mark.parametrize(("n_visible", "n_hidden", "layer"), [(5, 7, "visible"), (7, 5, "hidden")])
def test_exact_samples_have_the_enumerated_distribution(n_visible: int, n_hidden: int, layer: str) -> None:
    """Total variation within twice the Monte-Carlo floor, over the states of either layer."""
    rbm, n = make_rbm(n_visible=n_visible, n_hidden=n_hidden), 100_000
    exact = Enumeration(rbm)
    assert exact.layer == layer
    states = rbm.visible.states()
    p = log_likelihood(rbm, states).exp()
    found = exact.sample(n, torch.Generator().manual_seed(0)).long() @ (2 ** torch.arange(n_visible - 1, -1, -1))
    q = torch.bincount(found, minlength=len(states)) / n
    floor = (2 / torch.pi * p * (1 - p) / n).sqrt().sum() / 2
    assert (p - q).abs().sum() / 2 < 2 * floor


def test_a_group_is_asked_for_its_members() -> None:
    """It has no likelihood of its own; what the message advises works."""
    members = [make_rbm(), make_rbm(n_visible=5, n_hidden=4)]
    group, v = RBM.group(members), torch.zeros(2, 3, 5, dtype=torch.float64)
    betas = torch.linspace(0, 1, 3)
    for work in (
        lambda: log_partition_function(group),
        lambda: annealed_importance_sampling(group, betas, 2),
        lambda: reverse_annealed_importance_sampling(group, v, betas),
        lambda: log_likelihood(group, v),
    ):
        with pytest.raises(SettingError, match=r"Take each of rbm.members\(\)"):
            work()
    for own, member in zip(members, group.members(), strict=True):
        assert float(log_partition_function(member)) == pytest.approx(float(log_partition_function(own)), abs=1e-12)


def test_effective_chains_are_all_where_weights_are_equal_and_one_where_one_dominates() -> None:
    with torch.no_grad():
        rbm = RBM(Bernoulli(5), Bernoulli(4), weight_std=0)
        same = annealed_importance_sampling(rbm, torch.linspace(0, 1, 3), 30)
    assert same.effective_chains == pytest.approx(30)
    assert same.log_z == pytest.approx(9 * 0.6931471805599453, abs=1e-5)
    dominated = type(same)(0.0, 0.0, 0.0, 0.0, torch.tensor([0.0] * 29 + [50.0]))
    assert dominated.effective_chains == pytest.approx(1)
