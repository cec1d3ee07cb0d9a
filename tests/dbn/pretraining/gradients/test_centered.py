"""The centered and the enhanced gradient against autograd through a centered model, formulas, and flipped data."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dbn import RBM
from dbn.errors import SettingError
from dbn.likelihood import log_likelihood
from dbn.models.connections import Convolution
from dbn.models.phases import Phases
from dbn.models.units import Bernoulli, PerMap
from dbn.pretraining import LayerSettings, fit
from dbn.pretraining.contrastive import ContrastiveStep
from dbn.pretraining.gradients import Centered, Enhanced, Gradient
from dbn.pretraining.gradients.base import PhaseStates
from dbn.random.streams import stream
from dbn.samplers import ContrastiveDivergence
from helpers import PAIRS, make_rbm


class FreeEnergies(nn.Module):
    """Of an RBM, as a function of its parameters."""

    def __init__(self, rbm: RBM) -> None:
        super().__init__()
        self.rbm = rbm

    def forward(self, v: Tensor) -> Tensor:
        return self.rbm.free_energy(v)


@torch.no_grad()
def transformed(rbm: RBM, direction: Gradient, v: Tensor, n_data: int, weights: Tensor) -> dict[str, Tensor]:
    """Gradients of states of both phases, as many of each, after one transformation; without one, plain."""
    field = rbm.hidden_field(v)
    mean = rbm.hidden.mean(field)
    direction.start(rbm)
    parts = direction.statistics(
        [*zip(v.split(n_data), mean.clone().split(n_data), weights.split(n_data), strict=True)]
    )
    rbm.write_gradient(v, field, mean, weights)
    direction.transform(rbm, parts)
    return {name: own.grad.clone() for name, own in rbm.named_parameters() if own.grad is not None}


def phases_of(rbm: RBM, n: int = 12, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Visible states of both phases, ``n`` of each, and unequal weights that add up to -1 and 1."""
    generator = torch.Generator().manual_seed(seed)
    fields = torch.randn(2 * n, rbm.n_visible, generator=generator, dtype=torch.float64)
    v = rbm.visible.sample(fields, stream(seed, "data")).detach()
    weights = torch.rand(2, n, generator=generator, dtype=torch.float64)
    weights /= weights.sum(1, keepdim=True)
    return v, torch.cat([-weights[0], weights[1]])


@pytest.mark.parametrize("offsets", ["data", "model", "average"])
@pytest.mark.parametrize(("visible", "hidden"), PAIRS)
def test_it_is_the_gradient_of_a_model_of_centered_states(visible: str, hidden: str, offsets: str) -> None:
    """By autograd through an RBM whose biases are those of the centered one, less the gain times what offsets add.

    For all units at their given variances: these have their own gradient.
    """
    rbm = make_rbm(visible, hidden)
    v, weights = phases_of(rbm)
    plain = transformed(rbm, _Nothing(), v, 12, weights)
    direction = Centered(offsets, rate=0.3)
    direction.start(rbm)
    assert direction.visible is not None
    assert direction.hidden is not None
    started = direction.visible.clone(), direction.hidden.clone()
    found = transformed(rbm, direction, v, 12, weights)

    # The offsets: a step of 0.3 from the means before training towards those of the minibatch.
    h = rbm.mean_hidden(v).detach()
    shares = {"data": (1.0, 0.0), "model": (0.0, 1.0), "average": (0.5, 0.5)}[offsets]
    of_states = torch.cat([-shares[0] * weights[:12], shares[1] * weights[12:]])
    expected = [0.7 * old + 0.3 * (of_states @ x) for old, x in zip(started, (v, h), strict=True)]
    mu, lam = direction.visible, direction.hidden
    torch.testing.assert_close(mu, expected[0], rtol=0, atol=1e-12)
    torch.testing.assert_close(lam, expected[1], rtol=0, atol=1e-12)

    # The gradients: those of W, b', c' by autograd, from which the ordinary biases follow.
    gains = [1.0 if own is None else own.detach() for own in (rbm.visible.gain(), rbm.hidden.gain())]
    W = rbm.weight.detach().clone().requires_grad_()
    shifts = [nn.Parameter(torch.zeros(1, n, dtype=torch.float64)) for n in (rbm.n_visible, rbm.n_hidden)]
    b = shifts[0] - gains[0] * (lam @ (W - rbm.weight.detach()).T)
    c = shifts[1] - gains[1] * (mu @ (W - rbm.weight.detach()))
    values: dict[str, Tensor] = {"rbm.connection.weight": W}
    for side, moved in (("visible", b), ("hidden", c)):
        units = getattr(rbm, side)
        if hasattr(units, "units") and isinstance(units.units, nn.ModuleList):
            for k, (part, place) in enumerate(zip(units.units, units.places, strict=True)):
                values[f"rbm.{side}.units.{k}.bias"] = part.bias.detach() + moved[0, place]
        else:
            values[f"rbm.{side}.bias"] = units.bias.detach() + moved[0]
    minus_free_energy = -torch.func.functional_call(FreeEnergies(rbm), values, (v,))
    dW, db, dc = torch.autograd.grad(weights @ minus_free_energy, (W, *shifts))
    db, dc = db - gains[0] * (lam @ dW.T), dc - gains[1] * (mu @ dW)
    torch.testing.assert_close(found["connection.weight"], dW, rtol=0, atol=1e-10)
    for side, wanted in (("visible", db), ("hidden", dc)):
        own = torch.cat([value for name, value in found.items() if name.startswith(side) and name.endswith("bias")])
        torch.testing.assert_close(own, wanted[0], rtol=0, atol=1e-10)
    for name, value in found.items():
        if name.endswith("log_variance"):
            assert torch.equal(value, plain[name])
    assert not torch.allclose(found["connection.weight"], plain["connection.weight"], atol=1e-3)


class _Nothing(Gradient):
    """No transformation."""

    def start(self, rbm: RBM) -> None:
        pass

    def statistics(self, phases: PhaseStates) -> tuple[Tensor, ...]:
        return ()

    def transform(self, rbm: RBM, statistics: Any) -> None:
        pass


def exact_phases(rbm: RBM, p_data: Tensor) -> tuple[Tensor, Tensor]:
    """All visible states twice, with their probabilities in the data and in the model as weights."""
    states = rbm.visible.states()
    p_model = torch.softmax(-rbm.free_energy(states), 0).detach()
    return torch.cat([states, states]), torch.cat([-p_data, p_model])


def some_data(n_visible: int) -> Tensor:
    """Probabilities of all states, in which units are on far more often than off."""
    states = Bernoulli(n_visible).double().states()
    p = torch.rand(len(states), generator=stream(3, "data"), dtype=torch.float64) * torch.exp(1.5 * states.sum(1))
    return p / p.sum()


def test_the_enhanced_gradient_is_one_of_covariances() -> None:
    """Cho, Raiko & Ilin's formulas, with expectations by enumeration of the data and of the model."""
    rbm, p_data = make_rbm(n_visible=5, n_hidden=4), some_data(5)
    v, weights = exact_phases(rbm, p_data)
    found = transformed(rbm, Enhanced(), v, 32, weights)
    states, h = v[:32], rbm.mean_hidden(v[:32]).detach()
    moments = []
    for p in (p_data, weights[32:]):
        mean_v, mean_h = p @ states, p @ h
        moments.append((mean_v, mean_h, (states * p[:, None]).T @ h - torch.outer(mean_v, mean_h)))
    (v_d, h_d, cov_d), (v_m, h_m, cov_m) = moments
    dW = cov_d - cov_m
    db = v_d - v_m - dW @ (h_d + h_m) / 2
    dc = h_d - h_m - dW.T @ (v_d + v_m) / 2
    for name, wanted in (("connection.weight", dW), ("visible.bias", db), ("hidden.bias", dc)):
        torch.testing.assert_close(found[name], -wanted, rtol=0, atol=1e-12)  # written as a gradient of the loss


def test_offsets_of_zero_are_the_plain_gradient_bit_for_bit() -> None:
    rbm = make_rbm()
    v, weights = phases_of(rbm)
    plain = transformed(rbm, _Nothing(), v, 12, weights)
    direction = Centered(rate=1e-300)
    zeros = {"visible": torch.zeros(1, 5).double(), "hidden": torch.zeros(1, 4).double()}
    direction.load_state_dict(zeros, v.device)
    found = transformed(rbm, direction, v, 12, weights)
    for name, value in plain.items():
        assert torch.equal(found[name], value), name


def descend(rbm: RBM, p_data: Tensor, direction: Gradient, steps: int = 60) -> Tensor:
    """Exact gradient descent with momentum; the mean log-likelihood of the data after each step, ``(steps,)``."""
    optimizer = torch.optim.SGD(rbm.parameters(), lr=0.1, momentum=0.5)
    curve = []
    for _ in range(steps):
        v, weights = exact_phases(rbm, p_data)
        transformed(rbm, direction, v, len(p_data), weights)
        optimizer.step()
        curve.append((p_data * log_likelihood(rbm, rbm.visible.states())).sum().detach())
    return torch.stack(curve)


def flipped(rbm: RBM) -> RBM:
    """The RBM whose distribution is that of ``1 - v``."""
    other = make_rbm(n_visible=rbm.n_visible, n_hidden=rbm.n_hidden)
    with torch.no_grad():
        other.weight.copy_(-rbm.weight)
        other.visible.bias.copy_(-rbm.visible.bias)
        other.hidden.bias.copy_(rbm.hidden.bias + rbm.weight.sum(0))
    return other


@pytest.mark.parametrize(
    ("direction", "invariant"),
    [(lambda: Centered(), True), (lambda: Centered("average", 0.1), True), (Enhanced, True), (_Nothing, False)],
    ids=["centered", "average", "enhanced", "plain"],
)
def test_it_learns_flipped_data_as_well(direction: Any, invariant: bool) -> None:
    """Log-likelihoods by enumeration, along exact gradients, of data and of data with black for white."""
    p_data = some_data(5)
    p_flipped = p_data.flip(0)  # in counting order, the flip of a state is the state counted from the end
    rbm = make_rbm()
    other = flipped(rbm)
    states = rbm.visible.states()
    torch.testing.assert_close(log_likelihood(other, 1 - states), log_likelihood(rbm, states))
    curve, of_flipped = descend(rbm, p_data, direction()), descend(other, p_flipped, direction())
    assert curve[-1] > curve[0] + 0.1
    distance = (curve - of_flipped).abs().max()
    assert distance < 1e-10 if invariant else distance > 1e-2


@pytest.mark.parametrize("options", [{"offsets": "data", "rate": 0.05}, {"offsets": "average", "rate": 1.0}])
def test_training_on_flipped_images_is_the_mirror_image_of_training_on_images(options: dict[str, Any]) -> None:
    """Steps of CD-1 as they are, with the same noise: hidden states are drawn from the same probabilities."""
    rbm = make_rbm(n_visible=8, n_hidden=4)
    other = flipped(rbm)
    images = (torch.rand(200, 8, generator=stream(0, "images"), dtype=torch.float64) < 0.8).double()
    for model, v in ((rbm, images), (other, 1 - images)):
        step = ContrastiveStep(model, ContrastiveDivergence(), gradient=Centered(**options))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        for number in range(60):
            step(v[number % 10 * 20 :][:20], optimizer, stream(0, "gibbs", number))
    torch.testing.assert_close(other.weight, -rbm.weight, rtol=0, atol=1e-9)
    torch.testing.assert_close(other.visible.bias, -rbm.visible.bias, rtol=0, atol=1e-9)
    torch.testing.assert_close(other.hidden.bias, rbm.hidden.bias + rbm.weight.sum(0), rtol=0, atol=1e-9)
    torch.testing.assert_close(log_likelihood(other, 1 - images), log_likelihood(rbm, images), rtol=0, atol=1e-9)
    assert (rbm.weight - make_rbm(n_visible=8, n_hidden=4).weight).abs().max() > 0.1


def test_a_step_centers_the_gradient_that_it_would_have_taken() -> None:
    """The gradients of a step as the optimiser finds them, from the plain ones of the same step."""
    rbm, v = make_rbm(), torch.randint(2, (30, 5), generator=stream(0, "images")).double()
    optimizer = torch.optim.SGD(rbm.parameters(), lr=0.0)
    ContrastiveStep(rbm, ContrastiveDivergence())(v, optimizer, stream(0, "gibbs"))
    plain = {name: own.grad.clone() for name, own in rbm.named_parameters() if own.grad is not None}
    direction = Centered(rate=1.0)
    ContrastiveStep(rbm, ContrastiveDivergence(), gradient=direction)(v, optimizer, stream(0, "gibbs"))
    mu, lam = v.mean(0), rbm.mean_hidden(v).mean(0).detach()
    dW = plain["connection.weight"] - torch.outer(mu, plain["hidden.bias"]) - torch.outer(plain["visible.bias"], lam)
    torch.testing.assert_close(rbm.weight.grad, dW, rtol=0, atol=1e-12)
    torch.testing.assert_close(rbm.visible.bias.grad, plain["visible.bias"] - dW @ lam, rtol=0, atol=1e-12)
    torch.testing.assert_close(rbm.hidden.bias.grad, plain["hidden.bias"] - dW.T @ mu, rtol=0, atol=1e-12)


def test_phases_say_what_they_hold() -> None:
    rbm = make_rbm()
    phases = Phases(rbm, 6)
    phases.positive.v.fill_(1.0)
    phases.negative.v.fill_(0.0)
    with torch.no_grad():
        phases.condition_on_visible(rbm)
        found = phases.by_phase(rbm, 12)
    assert [float(v.mean()) for v, _, _ in found] == [1.0, 0.0]
    torch.testing.assert_close(found[1][1], torch.sigmoid(rbm.hidden.bias).detach().expand(6, -1))
    assert [float(weights.sum()) for _, _, weights in found] == pytest.approx([-0.5, 0.5], abs=1e-12)


@pytest.mark.parametrize("kind", ["centered", "enhanced"])
def test_any_number_of_chains(kind: str) -> None:
    """The same update as with every state of the negative phase taken three times."""
    images = torch.rand(
        6, make_rbm().n_visible, dtype=torch.float64, generator=torch.Generator().manual_seed(5)
    ).round()
    found = []
    for copies in (1, 3):
        rbm, direction = make_rbm(), Gradient.create(kind, "gradient")
        phases = Phases(rbm, 6, 4 * copies)
        phases.positive.v.copy_(images)
        phases.negative.v.copy_(images[:4].flip(1).repeat(copies, 1))
        with torch.no_grad():
            direction.start(rbm)
            phases.condition_on_visible(rbm)
            statistics = direction.statistics(phases.by_phase(rbm))
            phases.write_gradient(rbm)
            direction.transform(rbm, statistics)
        found.append([own.grad for own in rbm.parameters()])
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-12)


def test_layers_that_share_biases_are_refused() -> None:
    shape = (4, 4, 2)
    connection = Convolution((1, 4, 4), 2, 3, padding=1, maps_first=True)
    with pytest.raises(SettingError, match=r"gradient=centered: Convolution layers .*gradient=plain"):
        ContrastiveStep(
            RBM(Bernoulli((1, 4, 4)), PerMap(shape), connection), ContrastiveDivergence(), gradient=Centered()
        )
    with pytest.raises(SettingError, match="gradient=enhanced"):
        fit(RBM(PerMap(shape), Bernoulli(3)), torch.rand(10, 32), epochs=1, gradient="enhanced")


@pytest.mark.parametrize(
    ("gradient", "named"),
    [
        ("centred", "Did you mean centered"),
        ({"kind": "centered", "rate": 0}, "gradient.rate=0"),
        ({"kind": "centered", "offsets": "both"}, "gradient.offsets='both'"),
        ({"kind": "enhanced", "rate": 0.1}, "rate"),
    ],
)
def test_settings_that_cannot_be_used_are_named(gradient: Any, named: str) -> None:
    with pytest.raises(SettingError, match=named):
        LayerSettings(n_hidden=4, gradient=gradient)
