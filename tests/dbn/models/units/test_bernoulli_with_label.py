"""Binary units with a label against an RBM that has the label among its visible units, enumeration and autograd."""

import pytest
import torch
from torch import Tensor

from dbn import RBM, Bernoulli
from dbn.errors import SettingError
from dbn.models.units import BernoulliWithLabel, Units, make_units
from helpers import make_rbm, random_states, randomise, spec_of

VISIBLE = ("bernoulli", "gaussian", "gaussian_with_variance", "softmax")


def class_rbm(visible: str = "bernoulli", n_visible: int = 5, n_hidden: int = 4, n_labels: int = 3) -> RBM:
    """A small float64 class RBM with all parameters away from zero."""
    rbm = RBM(make_rbm(visible, "bernoulli", n_visible, n_hidden).visible, BernoulliWithLabel(n_hidden, n_labels))
    generator = torch.Generator().manual_seed(3)
    rbm = rbm.double()
    randomise(rbm.hidden, generator, 0.9)
    with torch.no_grad():
        rbm.weight.copy_(torch.randn(n_visible, n_hidden, generator=generator, dtype=torch.float64) * 0.8)
    return rbm


def as_mixed(rbm: RBM, visible: str) -> RBM:
    """The same distribution over images, labels and hidden units, with labels as visible units beside the pixels."""
    hidden = rbm.hidden
    assert isinstance(hidden, BernoulliWithLabel)
    own = spec_of(visible, rbm.n_visible)
    image = {"kind": own, "n": rbm.n_visible} if isinstance(own, str) else {**own, "n": rbm.n_visible}
    parts = [image, {"kind": "softmax", "n": hidden.n_labels}]
    other = RBM(make_units({"kind": "mixed", "parts": parts}, rbm.n_visible + hidden.n_labels), Bernoulli(rbm.n_hidden))
    other = other.double()
    with torch.no_grad():
        other.weight.copy_(torch.cat([rbm.weight, hidden.label_weight]))
        other.hidden.bias.copy_(hidden.bias)
        other.visible.units[0].load_state_dict(rbm.visible.state_dict())
        other.visible.units[1].bias.copy_(hidden.label_bias)
    return other


def of_every_label(v: Tensor, n_labels: int) -> Tensor:
    """Each image beside each label, ``(batch * n_labels, n_visible + n_labels)``, labels moving fastest."""
    return torch.cat([v.repeat_interleave(n_labels, 0), torch.eye(n_labels).double().repeat(len(v), 1)], 1)


@pytest.mark.parametrize("visible", VISIBLE)
def test_it_is_the_rbm_whose_visible_units_are_image_and_label(visible: str) -> None:
    rbm = class_rbm(visible)
    v, mixed = random_states(visible, 6, 5), as_mixed(rbm, visible)
    joint = -mixed.free_energy(of_every_label(v, 3)).view(6, 3)
    torch.testing.assert_close(rbm.free_energy(v), -joint.logsumexp(1), rtol=0, atol=1e-12)
    scores = rbm.hidden.label_scores(rbm.hidden_field(v))
    torch.testing.assert_close(scores.log_softmax(1), joint.log_softmax(1), rtol=0, atol=1e-12)
    means = mixed.mean_hidden(of_every_label(v, 3)).view(6, 3, 4)
    torch.testing.assert_close(rbm.mean_hidden(v), (joint.softmax(1)[..., None] * means).sum(1), rtol=0, atol=1e-12)
    given = rbm.hidden.mean_given_label(rbm.hidden_field(v), torch.full((6,), 2))
    torch.testing.assert_close(given, means[:, 2], rtol=0, atol=1e-12)
    h = rbm.hidden.states()
    by_label = torch.stack([torch.logsumexp(-mixed.energy(pair, h[:1].expand(3, -1)), 0) for pair in
                            of_every_label(v, 3).view(6, 3, -1)])  # fmt: skip
    torch.testing.assert_close(-rbm.energy(v, h[:1].expand(6, -1)), by_label, rtol=0, atol=1e-12)


def test_log_partition_is_the_sum_over_units_and_labels() -> None:
    units, fields = class_rbm().hidden, torch.randn(7, 4).double()
    states = units.states()
    every = [(h, y) for h in states for y in range(3)]
    minus_energy = torch.stack(
        [units.bias @ h + units.label_bias[y] + units.label_weight[y] @ h + fields @ h for h, y in every], 1
    )
    torch.testing.assert_close(units.log_partition(fields), minus_energy.logsumexp(1), rtol=0, atol=1e-12)
    mean = minus_energy.softmax(1) @ torch.stack([h for h, _ in every])
    torch.testing.assert_close(units.mean(fields), mean, rtol=0, atol=1e-12)


def test_parameter_gradients_against_autograd() -> None:
    units, fields, x = class_rbm().hidden, torch.randn(9, 4).double(), torch.rand(9, 4).double()
    weights = torch.randn(9).double()
    coefficients = torch.randn(9, 3).double()
    for function, write in (
        (lambda: -units.energy(x) @ weights, lambda: units.write_minus_energy_gradient(x, weights)),
        (
            lambda: units.log_partition(fields) @ weights,
            lambda: units.write_log_partition_gradient(fields, units.mean(fields), weights),
        ),
        (
            lambda: (units.label_scores(fields) * coefficients).sum(),
            lambda: units.write_score_gradients(fields, coefficients),
        ),
    ):
        expected = torch.autograd.grad(function(), list(units.parameters()))
        with torch.no_grad():
            write()
        for parameter, gradient in zip(units.parameters(), expected, strict=True):
            torch.testing.assert_close(parameter.grad, gradient, rtol=0, atol=1e-12)
    field = fields.clone().requires_grad_()
    (by_field,) = torch.autograd.grad((units.label_scores(field) * coefficients).sum(), field)
    with torch.no_grad():
        torch.testing.assert_close(units.write_score_gradients(fields, coefficients), by_field, rtol=0, atol=1e-12)


def test_samples_have_the_joint_distribution_of_the_units() -> None:
    """The units depend on each other through the label: independent draws from the means are far from this."""
    units, n = class_rbm().hidden, 200_000
    with torch.no_grad():
        units.label_weight.mul_(3)
    field, states = torch.randn(1, 4, generator=torch.Generator().manual_seed(1)).double(), units.states()
    p = torch.softmax((states @ field.T).squeeze(1) - units.energy(states), 0).detach()
    code = 2.0 ** torch.arange(3, -1, -1).double()
    floor = (p * (1 - p) / n).sqrt().sum() / 2

    def distance(draws: Tensor) -> Tensor:
        q = torch.bincount((draws @ code).long(), minlength=16) / n
        return (p - q).abs().sum() / 2

    drawn = units.sample(field.expand(n, 4), torch.Generator().manual_seed(0)).detach()
    assert distance(drawn) < 4 * floor
    independent = torch.bernoulli(units.mean(field).detach().expand(n, 4), generator=torch.Generator().manual_seed(0))
    assert distance(independent) > 20 * floor


def test_gibbs_leaves_the_exact_distribution_where_it_is() -> None:
    rbm, n = class_rbm(), 200_000
    states = rbm.visible.states()
    p = torch.softmax(-rbm.free_energy(states), 0).detach()
    v = states[torch.multinomial(p, n, replacement=True, generator=torch.Generator().manual_seed(0))]
    floor = (p * (1 - p) / n).sqrt().sum() / 2
    code = 2.0 ** torch.arange(4, -1, -1).double()
    for steps in (1, 4):
        moved = rbm.gibbs(v, steps, torch.Generator().manual_seed(steps))
        q = torch.bincount((moved @ code).long(), minlength=32) / n
        assert (p - q).abs().sum() / 2 < 4 * floor, steps


def test_groups_compute_what_their_members_do() -> None:
    own: list[Units] = [class_rbm(n_hidden=4).hidden for _ in range(2)]
    with torch.no_grad():
        own[1].label_weight.mul_(-0.5)
        own[1].bias.add_(0.3)
    group = BernoulliWithLabel.group(own)
    field, coefficients = torch.randn(2, 2, 6, 4).double(), torch.randn(2, 2, 6, 3).double()
    labels = torch.tensor([[0, 1, 2, 0, 1, 2], [2, 2, 1, 1, 0, 0]])
    with torch.no_grad():
        together = group.write_score_gradients(field, coefficients)
        scores, means = group.label_scores(field[0]), group.mean_given_label(field[0], labels)
        for k, units in enumerate(own):
            alone = units.write_score_gradients(field[:, k].flatten(0, 1), coefficients[:, k].flatten(0, 1))
            torch.testing.assert_close(together[:, k].flatten(0, 1), alone, rtol=0, atol=1e-12)
            torch.testing.assert_close(scores[k], units.label_scores(field[0, k]), rtol=0, atol=1e-12)
            torch.testing.assert_close(means[k], units.mean_given_label(field[0, k], labels[k]), rtol=0, atol=1e-12)
            for one, all_of_it in zip(units.parameters(), group.parameters(), strict=True):
                torch.testing.assert_close(one.grad, all_of_it.grad[k].view_as(one), rtol=0, atol=1e-12)
    for one, same in zip(own[1].parameters(), group.member(1).parameters(), strict=True):
        torch.testing.assert_close(one, same, rtol=0, atol=0)


def test_biases_are_solved_for() -> None:
    units, wanted = class_rbm().hidden, torch.tensor([0.03, 0.4, 0.5, 0.9]).double()
    units.initialise_bias(wanted)
    torch.testing.assert_close(units.mean(torch.zeros(1, 4).double())[0].detach(), wanted, rtol=0, atol=1e-9)


def test_units_that_lie_as_maps_and_a_single_class_are_refused() -> None:
    with pytest.raises(SettingError, match="dense layer"):
        BernoulliWithLabel((3, 3, 2))
    with pytest.raises(SettingError, match="n_labels=1"):
        BernoulliWithLabel(4, 1)
    with pytest.raises(SettingError, match="one label"):
        make_units({"kind": "per_map", "units": "bernoulli_with_label"}, (4, 4, 2))
