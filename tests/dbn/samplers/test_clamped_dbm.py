"""Filling in missing units of a deep Boltzmann machine against exact conditionals."""

import pytest
import torch

from dbn import DBM, Bernoulli
from dbn.errors import DataError
from dbn.likelihood import DBMEnumeration
from dbn.samplers.clamped_dbm import clamped_gibbs_of_dbm


def test_missing_units_have_their_exact_expectations_given_the_observed_ones() -> None:
    dbm = DBM([Bernoulli(4), Bernoulli(3), Bernoulli(2)], weight_std=0.0).double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in dbm.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    v = dbm[0].states()
    p = DBMEnumeration(dbm).log_likelihood(v).exp()
    same = (v[:, 0] == 1) & (v[:, 2] == 0)
    wanted = (p[same, None] * v[same]).sum(0) / p[same].sum()
    n = 3000
    missing = torch.tensor([False, True, False, True]).expand(n, 4)
    given = torch.tensor([1.0, torch.nan, 0.0, torch.nan], dtype=torch.float64).expand(n, 4)
    found = clamped_gibbs_of_dbm(dbm, given, missing, 40, generator)
    assert torch.equal(found.expected[:, [0, 2]], torch.tensor([1.0, 0.0]).double().expand(n, 2))
    assert torch.equal(found.states[:, [0, 2]], found.means[:, [0, 2]])
    for values in (found.states, found.means, found.expected):
        error = values.std(0) / n**0.5 + 1e-12
        assert ((values.mean(0) - wanted).abs() < 4 * error).all()
    with pytest.raises(DataError, match="missing must be"):
        clamped_gibbs_of_dbm(dbm, given, missing[0], 2)
