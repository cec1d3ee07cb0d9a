"""Imputation against conditional expectations by enumeration and in closed form."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from dbn import DBN, RBM, Bernoulli
from dbn.data import TableSource, load_data
from dbn.errors import SettingError
from dbn.models.units import Softmax
from dbn.pretraining import LayerSettings, pretrain_stack
from dbn.samplers.clamped import clamped_gibbs
from dbn.samplers.imputation import impute_table
from helpers import make_rbm, random_states


def expected(rbm: RBM, v: Tensor, missing: Tensor) -> Tensor:
    """``E[v | known units]`` by summing over all states of hidden units, and of missing units given these."""
    h = rbm.hidden.states()
    field = rbm.visible_field(h)
    results = []
    for row, empty in zip(v, missing, strict=True):
        known = torch.where(empty, 0.0, row)
        # p(h | known) is proportional to the integral over missing units of exp(-E(v, h)).
        log_p = -rbm.hidden.energy(h) + log_integral(rbm, known, empty, field)
        p = torch.softmax(log_p, 0)
        results.append(torch.where(empty, p @ rbm.visible.mean(field), row))
    return torch.stack(results)


def log_integral(rbm: RBM, known: Tensor, empty: Tensor, field: Tensor) -> Tensor:
    """Log of the sum over missing units by torch's own distributions: units are independent given ``h``."""
    mean = rbm.visible.mean(field)
    if rbm.visible.kind == "bernoulli":
        log_p = torch.distributions.Bernoulli(mean).log_prob(known)
    else:
        deviation = rbm.visible.variance.sqrt()
        log_p = torch.distributions.Normal(mean, deviation).log_prob(known)
    return rbm.visible.log_partition(field) + torch.where(empty, 0.0, log_p).sum(1)


@pytest.mark.parametrize("visible", ["bernoulli", "gaussian_with_variance"])
def test_gibbs_sampling_tends_to_the_conditional_mean(visible: str) -> None:
    """Mean over 500 chains of 400 steps; within five standard errors of the chains' means."""
    rbm = make_rbm(visible, "bernoulli", 5, 3)
    v, missing = random_states(visible, 4, 5), torch.rand(4, 5) < 0.5
    with torch.no_grad():
        wanted = expected(rbm, v, missing)
    chains = 500
    given = torch.where(missing, torch.nan, v).repeat_interleave(chains, 0)
    many = missing.repeat_interleave(chains, 0)
    found = clamped_gibbs(rbm, given, many, 400, torch.Generator().manual_seed(1)).expected.view(4, chains, 5)
    error = found.std(1) / chains**0.5
    assert missing.any()
    assert ((found.mean(1) - wanted).abs() <= 5 * error + 1e-9).all()
    assert torch.equal(found[:, 0][~missing], v[~missing])


def test_without_weights_the_base_rates_are_filled_in() -> None:
    rbm = make_rbm("mixed", "bernoulli", 6, 3)
    with torch.no_grad():
        rbm.weight.zero_()
    v, missing = torch.full((2, 6), torch.nan, dtype=torch.float64), torch.ones(2, 6, dtype=torch.bool)
    rates = rbm.visible.mean(torch.zeros(1, 6, dtype=torch.float64)).expand(2, 6)
    torch.testing.assert_close(clamped_gibbs(rbm, v, missing, 5).expected, rates)


def test_a_stack_of_two_layers_carries_what_is_known_through_both() -> None:
    """Two categories that always agree, through a second layer: the one that is missing is filled in by the other."""
    torch.manual_seed(0)
    same = torch.eye(3)[torch.randint(3, (600,))].repeat(1, 2)
    frame = pd.DataFrame({"a": same[:, :3].argmax(1).numpy(), "b": same[:, 3:].argmax(1).numpy()}).astype(str)
    data = load_data(TableSource.of(frame), validation=0, test=0)
    layers = [LayerSettings(n_hidden=n, epochs=60, learning_rate=0.1, batch_size=20) for n in (12, 12)]
    stack = pretrain_stack(data, layers, visible="as_data", progress=False)
    rows = pd.DataFrame({"b": [None] * 3, "other": [1, 2, 3], "a": ["0", "1", "2"]})
    found = impute_table(stack, rows, steps=200)
    assert found["b"].tolist() == ["0", "1", "2"]
    assert found[["a", "other"]].equals(rows[["a", "other"]])
    assert list(rows["b"]) == [None] * 3


def test_a_stack_of_images_has_no_table_to_fill_in() -> None:
    with pytest.raises(SettingError, match="not pretrained on a table"):
        impute_table(DBN([RBM(Bernoulli(3), Bernoulli(2))]), pd.DataFrame({"a": [1.0]}))


def test_seeds_decide_the_noise() -> None:
    rbm = RBM(Softmax(6, 3), Bernoulli(2), weight_std=1.0)
    v, missing = torch.zeros(5, 6), torch.ones(5, 6, dtype=torch.bool)
    runs = [clamped_gibbs(rbm, v, missing, 9, torch.Generator().manual_seed(s)).expected for s in (1, 1, 2)]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])
    np.testing.assert_allclose(runs[0].view(5, 2, 3).sum(2), 1.0, rtol=1e-5)
