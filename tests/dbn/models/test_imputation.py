"""Imputation against conditional expectations by enumeration and in closed form."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from dbn import DBN, RBM, Bernoulli
from dbn.data import TableSource, load_data
from dbn.errors import DataError, SettingError
from dbn.models.autoencoder import TiedAutoencoder
from dbn.models.connections import Dense
from dbn.models.imputation import impute, impute_table
from dbn.models.units import Softmax
from dbn.pretraining import LayerSettings, pretrain_stack
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
    found = impute(
        rbm, given, missing.repeat_interleave(chains, 0), steps=400, generator=torch.Generator().manual_seed(1)
    )
    found = found.view(4, chains, 5)
    error = found.std(1) / chains**0.5
    assert missing.any()
    assert ((found.mean(1) - wanted).abs() <= 5 * error + 1e-9).all()
    assert torch.equal(found[:, 0][~missing], v[~missing])


def test_mean_field_of_a_real_model_is_its_conditional_mean() -> None:
    """Where all units are real, means depend linearly on each other, and settle where the joint Gaussian has them."""
    rbm = make_rbm("gaussian_with_variance", "gaussian_with_variance", 5, 3)
    v, missing = torch.randn(3, 5, dtype=torch.float64), torch.tensor([[True, False, True, False, False]] * 3)
    with torch.no_grad():
        w, precision = rbm.weight, 1 / rbm.visible.variance
        joint = torch.diag(precision) - w @ torch.diag(rbm.hidden.variance) @ w.T  # hidden units integrated out
        mean = torch.linalg.solve(joint, precision * rbm.visible.bias + w @ rbm.hidden.bias)
        a, b = missing[0].nonzero()[:, 0], (~missing[0]).nonzero()[:, 0]
        shift = torch.linalg.solve(joint[a][:, a], joint[a][:, b] @ (v - mean)[:, b].T).T
    found = impute(rbm, v, missing, method="mean_field", steps=10_000)
    torch.testing.assert_close(found[:, a], mean[a] - shift, rtol=0, atol=1e-4)
    assert torch.equal(found[:, b], v[:, b])


def test_without_weights_the_base_rates_are_filled_in() -> None:
    rbm = make_rbm("mixed", "bernoulli", 6, 3)
    with torch.no_grad():
        rbm.weight.zero_()
    v, missing = torch.full((2, 6), torch.nan, dtype=torch.float64), torch.ones(2, 6, dtype=torch.bool)
    rates = rbm.visible.mean(torch.zeros(1, 6, dtype=torch.float64)).expand(2, 6)
    for method in ("gibbs", "mean_field"):
        torch.testing.assert_close(impute(rbm, v, missing, method=method, steps=5, burn_in=0), rates)


def test_a_stack_of_two_layers_carries_what_is_known_through_both() -> None:
    """Two categories that always agree, through a second layer: the one that is missing is filled in by the other."""
    torch.manual_seed(0)
    same = torch.eye(3)[torch.randint(3, (600,))].repeat(1, 2)
    frame = pd.DataFrame({"a": same[:, :3].argmax(1).numpy(), "b": same[:, 3:].argmax(1).numpy()}).astype(str)
    data = load_data(TableSource.of(frame), validation=0, test=0)
    layers = [LayerSettings(n_hidden=n, epochs=60, learning_rate=0.1, batch_size=20) for n in (12, 12)]
    stack = pretrain_stack(data, layers, visible="as_data", progress=False)
    rows = pd.DataFrame({"b": [None] * 3, "other": [1, 2, 3], "a": ["0", "1", "2"]})
    for method in ("gibbs", "mean_field"):
        found = impute_table(stack, rows, method=method, steps=200)
        assert found["b"].tolist() == ["0", "1", "2"], method
        assert found[["a", "other"]].equals(rows[["a", "other"]])
    assert list(rows["b"]) == [None] * 3


def test_what_it_cannot_do_is_refused() -> None:
    rbm, v = RBM(Bernoulli(3), Bernoulli(2)), torch.zeros(2, 3)
    with pytest.raises(DataError, match=r"missing is torch\.bool of shape"):
        impute(rbm, v, torch.ones(3, dtype=torch.bool))
    with pytest.raises(DataError, match=r"missing is torch\.float32"):
        impute(rbm, v, torch.ones(2, 3))
    with pytest.raises(SettingError, match=r"method=.mean"):
        impute(rbm, v, v.bool(), method="mean")
    with pytest.raises(SettingError, match="burn_in=9"):
        impute(rbm, v, v.bool(), steps=9, burn_in=9)
    with pytest.raises(SettingError, match="only RBMs"):
        impute(DBN([TiedAutoencoder(Bernoulli(3), Bernoulli(2), Dense((3,), 2))]), v, v.bool())
    with pytest.raises(SettingError, match="not pretrained on a table"):
        impute_table(DBN([rbm]), pd.DataFrame({"a": [1.0]}))


def test_seeds_decide_the_noise() -> None:
    rbm = RBM(Softmax(6, 3), Bernoulli(2), weight_std=1.0)
    v, missing = torch.zeros(5, 6), torch.ones(5, 6, dtype=torch.bool)
    runs = [impute(rbm, v, missing, steps=9, burn_in=2, generator=torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])
    np.testing.assert_allclose(runs[0].view(5, 2, 3).sum(2), 1.0, rtol=1e-5)
