"""Bounds of the likelihood of deep belief networks against enumeration."""

import pytest
import torch
from torch import Tensor

from dbn import DBN, RBM, Bernoulli
from dbn.errors import SettingError
from dbn.likelihood import dbn_log_likelihood_bound, log_likelihood, log_partition_function
from dbn.models.connections import Convolution, Dense
from dbn.models.units import MaxPooled, PerMap, ReLU
from helpers import make_rbm


def log_of_bernoulli(x: Tensor, logits: Tensor) -> Tensor:
    """``log p(x)`` of independent binary units."""
    return -torch.nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)


@torch.no_grad()
def enumerated(stack: DBN, v: Tensor) -> tuple[Tensor, Tensor]:
    """``log p(v)`` and the variational bound of a DBN of three binary RBMs, by sums over all hidden states.

    Written with the conditional distributions and the entropy, which the package's formula does without.
    """
    one, two, top = stack[0], stack[1], stack[2]
    first, second = two.visible.states(), two.hidden.states()
    p_second = log_likelihood(top, second)
    p_first_given = log_of_bernoulli(
        first[:, None].expand(-1, len(second), -1),
        (second @ two.weight.T + two.visible.bias).expand(len(first), -1, -1),
    )
    log_first = torch.logsumexp(p_first_given + p_second, 1)
    p_v_given = log_of_bernoulli(
        v[:, None].expand(-1, len(first), -1), (first @ one.weight.T + one.visible.bias).expand(len(v), -1, -1)
    )
    log_p = torch.logsumexp(p_v_given + log_first, 1)
    q_first = log_of_bernoulli(
        first.expand(len(v), -1, -1), (v @ one.weight + one.hidden.bias)[:, None].expand(-1, len(first), -1)
    )
    q_second = log_of_bernoulli(
        second.expand(len(first), -1, -1), (first @ two.weight + two.hidden.bias)[:, None].expand(-1, len(second), -1)
    )
    inner = (q_second.exp() * (p_first_given + p_second - q_second)).sum(1)
    bound = (q_first.exp() * (p_v_given + inner - q_first)).sum(1)
    return log_p, bound


def test_against_enumeration() -> None:
    """The mean over samples is the enumerated bound, within five standard errors, and bounds are in order."""
    stack = DBN(
        [make_rbm(n_visible=6, n_hidden=4), make_rbm(n_visible=4, n_hidden=3), make_rbm(n_visible=3, n_hidden=5)]
    )
    v = stack[0].visible.states()[::9]
    log_p, bound = enumerated(stack, v)
    log_z, generator = log_partition_function(stack[2]), torch.Generator().manual_seed(0)
    each = torch.stack([dbn_log_likelihood_bound(stack, v, log_z, 1, generator).variational for _ in range(3000)])
    error = each.std(0) / len(each) ** 0.5
    assert ((each.mean(0) - bound).abs() < 5 * error).all()
    assert (bound < log_p - 0.01).all()
    found = dbn_log_likelihood_bound(stack, v, log_z, 3000, generator)
    assert (found.variational < found.importance_weighted).all()
    torch.testing.assert_close(found.importance_weighted, log_p, rtol=0, atol=0.2)


def test_an_upper_rbm_that_is_the_lower_one_turned_round_changes_nothing() -> None:
    """Then the prior of the hidden units is that of the first RBM, and the bound its likelihood, sample by sample."""
    rbm = make_rbm(n_visible=6, n_hidden=4)
    connection = Dense((4,), 6)
    upper = RBM(Bernoulli(4), Bernoulli(6), connection).double()
    with torch.no_grad():
        upper.weight.copy_(rbm.weight.T)
        upper.visible.bias.copy_(rbm.hidden.bias)
        upper.hidden.bias.copy_(rbm.visible.bias)
    v = rbm.visible.states()
    found = dbn_log_likelihood_bound(DBN([rbm, upper]), v, log_partition_function(upper), 1)
    torch.testing.assert_close(found.variational, log_likelihood(rbm, v), rtol=0, atol=1e-10)


@pytest.mark.parametrize("kinds", [("gaussian", "bernoulli"), ("softmax", "bernoulli"), ("bernoulli", "gaussian")])
def test_one_layer_is_its_likelihood(kinds: tuple[str, str]) -> None:
    rbm = make_rbm(*kinds, 5, 3)
    v = rbm.visible.sample(torch.zeros(7, 5, dtype=torch.float64)).detach()
    found = dbn_log_likelihood_bound(DBN([rbm]), v, log_partition_function(rbm), 2)
    for bound in (found.variational, found.importance_weighted):
        torch.testing.assert_close(bound, log_likelihood(rbm, v), rtol=0, atol=1e-10)


def test_what_has_no_bound_is_refused() -> None:
    connection = Convolution((4, 4, 1), maps=2, kernel=3)
    pooled = RBM(PerMap((4, 4, 1)), MaxPooled(connection.hidden_shape, pool=2), connection)
    for stack, words in (
        (DBN([pooled, RBM(Bernoulli((1, 1, 2)), Bernoulli(3))]), "RBM 1 has pooled hidden units"),
        (DBN([RBM(Bernoulli(3), ReLU(2))]), "no likelihood"),
    ):
        with pytest.raises(SettingError, match=words):
            dbn_log_likelihood_bound(stack, torch.zeros(1, stack.sizes[0]), 0.0)
    with pytest.raises(SettingError, match="samples=0"):
        dbn_log_likelihood_bound(DBN([RBM(Bernoulli(3), Bernoulli(2))]), torch.zeros(1, 3), 0.0, 0)
