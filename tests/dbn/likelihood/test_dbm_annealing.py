"""Annealing of deep Boltzmann machines against enumeration."""

import pytest
import torch

from dbn import DBM, Bernoulli
from dbn.errors import SettingError
from dbn.likelihood import DBMEnumeration, anneal_dbm, anneal_dbm_in_reverse
from dbn.models.units import ReLU, Spin, Units


def made(units: list[Units], seed: int) -> DBM:
    dbm = DBM(units).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in dbm.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return dbm


@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize(
    "units",
    [
        [Bernoulli(6), Bernoulli(5), Bernoulli(4)],
        [Spin(4), Spin(3), Spin(3), Spin(3)],
        [Bernoulli(4), Bernoulli(3), Bernoulli(3), Bernoulli(3), Bernoulli(2)],
    ],
    ids=["two", "three spin", "four"],
)
def test_importance_weights_have_the_exact_mean_in_both_directions(units: list[Units], fitted: bool) -> None:
    """Few temperatures, so that weights vary: their mean is Z within 4 standard errors, bounds on their sides."""
    dbm = made(units, 0)
    exact, generator = DBMEnumeration(dbm), torch.Generator().manual_seed(1)
    v = torch.rand(50, dbm.n_visible, generator=generator, dtype=torch.float64) if fitted else None
    betas, log_z = torch.linspace(0, 1, 12), float(exact.log_z)
    forward = anneal_dbm(dbm, betas, 4000, generator, v=v)
    reverse = anneal_dbm_in_reverse(dbm, exact.sample(4000, generator), betas, generator, v=v)
    assert 0.001 < forward.log_z_standard_error < 0.1
    for found in (forward, reverse):
        assert abs(found.log_z - log_z) < 4 * found.log_z_standard_error
    assert forward.bound < log_z - 0.01 < log_z + 0.01 < reverse.bound


def test_without_weights_every_chain_is_exact() -> None:
    dbm = made([Bernoulli(6), Bernoulli(5), Bernoulli(4)], 2)
    with torch.no_grad():
        for weight in dbm.weights():
            weight.zero_()
    wanted = sum(float(torch.nn.functional.softplus(dbm[k].bias.detach()).sum()) for k in range(3))
    found = anneal_dbm(dbm, [0, 0.5, 1], 5, torch.Generator().manual_seed(0))
    torch.testing.assert_close(found.log_weights, torch.full((5,), wanted, dtype=torch.float64))


def test_what_has_no_likelihood_is_refused() -> None:
    with pytest.raises(SettingError, match="no likelihood"):
        anneal_dbm(DBM([Bernoulli(3), ReLU(2), Bernoulli(2)]), [0, 1], 2)
    with pytest.raises(SettingError, match="cannot be summed"):
        DBMEnumeration(DBM([Bernoulli(30), Bernoulli(30), Bernoulli(30)]))
    dbm = DBM([Bernoulli(3), Bernoulli(2), Bernoulli(2)])
    with pytest.raises(SettingError, match="at least one sample"):
        anneal_dbm_in_reverse(dbm, [torch.zeros(0, n) for n in dbm.sizes], [0, 1])
