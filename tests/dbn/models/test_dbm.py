"""Deep Boltzmann machines: energy, inference and sampling against sums over all states; files."""

from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dbn import DBM, DBN, RBM, Bernoulli, Gaussian
from dbn.errors import SettingError
from dbn.likelihood import DBMEnumeration
from dbn.models.connections import Convolution, Dense
from dbn.models.mean_field import bound
from dbn.models.units import Binomial, MaxPooled, ReplicatedSoftmax, Softmax, Spin, Units

LAYERS: dict[str, list[Units]] = {
    "two binary": [Bernoulli(5), Bernoulli(4), Bernoulli(3)],
    "three binary": [Bernoulli(4), Bernoulli(3), Bernoulli(3), Bernoulli(2)],
    "four binary": [Bernoulli(3), Bernoulli(2), Bernoulli(3), Bernoulli(2), Bernoulli(2)],
    "spin": [Spin(4), Spin(3), Spin(3)],
    "mixed": [Binomial(3, trials=2), Softmax(3), Bernoulli(3)],
}


def made(units: list[Units], seed: int = 0, scale: float = 1.0) -> DBM:
    """A float64 machine with weights and biases from N(0, scale^2)."""
    dbm = DBM(units).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in dbm.parameters():
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return dbm


def all_states(dbm: DBM) -> list[Tensor]:
    """Every joint state of all layers, ``(states, n_l)`` each, the visible ones' slowest."""
    each = [dbm[k].states() for k in range(len(dbm))]
    rows = torch.tensor(list(product(*(range(len(own)) for own in each))))
    return [own[rows[:, k]] for k, own in enumerate(each)]


def energies(dbm: DBM, states: list[Tensor]) -> Tensor:
    """Written out with the weights, from the definition."""
    total = sum(dbm[k].energy(states[k]) for k in range(len(dbm)))
    for k in range(1, len(dbm)):
        total = total - torch.einsum("si,ij,sj->s", states[k - 1], dbm.connection(k).weight, states[k])
    return total


@pytest.fixture(params=LAYERS, name="dbm")
def machine(request: pytest.FixtureRequest) -> DBM:
    return made([type(own).create(own.spec(), "units", own.shape) for own in LAYERS[request.param]])


def test_energy_and_probabilities_are_those_of_the_definition(dbm: DBM) -> None:
    states = all_states(dbm)
    wanted = energies(dbm, states)
    torch.testing.assert_close(dbm.energy(states), wanted)
    exact = DBMEnumeration(dbm)
    torch.testing.assert_close(exact.log_z, torch.logsumexp(-wanted, 0))
    v = dbm[0].states()
    by_v = torch.logsumexp(-wanted.view(len(v), -1), 1) - exact.log_z
    torch.testing.assert_close(exact.log_likelihood(v), by_v)


def test_fields_are_those_of_the_conditional_distributions(dbm: DBM) -> None:
    """``p(x_k | all others)`` by sums of the joint distribution."""
    states = all_states(dbm)
    p = torch.softmax(-energies(dbm, states), 0)
    for k in range(len(dbm)):
        others = [x[:1].expand(len(p), -1) for j, x in enumerate(states) if j != k]
        same = torch.stack(
            [(x == one).all(1) for x, one in zip([x for j, x in enumerate(states) if j != k], others, strict=True)]
        ).all(0)
        wanted = (p[same, None] * states[k][same]).sum(0) / p[same].sum()
        given: list[Any] = [x[:1] for x in states]
        given[k] = None
        torch.testing.assert_close(dbm[k].mean(dbm.field(k, given))[0], wanted)


def test_gibbs_sampling_leaves_the_exact_distribution_as_it_is(dbm: DBM) -> None:
    """Drawn exactly, moved 1 and 4 steps: pair moments stay within 4.5 standard errors."""
    exact, n, generator = DBMEnumeration(dbm), 40_000, torch.Generator().manual_seed(1)
    states = all_states(dbm)
    p = torch.softmax(-energies(dbm, states), 0)
    drawn = exact.sample(n, generator)
    for steps in (0, 1, 4):
        moved = dbm.gibbs(drawn, steps, generator)
        for k in range(1, len(dbm)):
            wanted = torch.einsum("s,si,sj->ij", p, states[k - 1], states[k])
            squares = torch.einsum("s,si,sj->ij", p, states[k - 1] ** 2, states[k] ** 2)
            found = moved[k - 1].T @ moved[k] / n
            error = ((squares - wanted**2) / n).sqrt() + 1e-9
            assert ((found - wanted).abs() / error).max() < 4.5


def bound_by_sums(dbm: DBM, v: Tensor, found: Any) -> Tensor:
    """``E_q[-E] + H(q)`` by a sum over all hidden states, for each image."""
    each = [dbm[k].states() for k in range(1, len(dbm))]
    rows = torch.tensor(list(product(*(range(len(own)) for own in each))))
    hidden = [own[rows[:, k]] for k, own in enumerate(each)]
    values = []
    for number, one in enumerate(v):
        log_q = sum(
            -dbm[k].energy(x)
            + x @ found.fields[k - 1][number]
            - dbm[k].log_partition(found.fields[k - 1][number, None])
            for k, x in enumerate(hidden, start=1)
        )
        joint = -energies(dbm, [one.expand(len(rows), -1), *hidden])
        values.append((log_q.exp() * (joint - log_q)).sum())
    return torch.stack(values)


def test_the_bound_is_that_of_the_definition_below_the_likelihood_and_rises_in_every_step(dbm: DBM) -> None:
    exact, v = DBMEnumeration(dbm), dbm[0].states()[::3]
    log_p = exact.log_likelihood(v)
    for damping in (0.0, 0.5):
        before = torch.full_like(log_p, -torch.inf)
        for steps in (1, 2, 3, 6, 12, 300):
            found = dbm.mean_field(v, steps=steps, tolerance=0, damping=damping)
            value = bound(dbm, v, found, exact.log_z)
            assert (value >= before - 1e-12).all()
            assert (value <= log_p + 1e-12).all()
            before = value
        torch.testing.assert_close(value + exact.log_z, bound_by_sums(dbm, v, found))
        for k in range(1, len(dbm)):  # a fixed point of the paper's equations
            field = dbm.field(k, [v, *found.means])
            torch.testing.assert_close(dbm[k].mean(field), found.means[k - 1], rtol=0, atol=1e-6)


def test_inference_is_exact_where_the_posterior_factorises() -> None:
    """Without weights above the first layer, as in an RBM."""
    dbm = made([Bernoulli(4), Bernoulli(3), Bernoulli(2)])
    with torch.no_grad():
        dbm.connection(2).weight.zero_()
    exact, v = DBMEnumeration(dbm), dbm[0].states()
    found = dbm.mean_field(v)
    torch.testing.assert_close(bound(dbm, v, found, exact.log_z), exact.log_likelihood(v), rtol=0, atol=1e-8)


def test_an_image_is_inferred_as_it_is_alone_and_says_when_it_has_converged() -> None:
    dbm, v = made(LAYERS["two binary"], scale=2.0), torch.rand(20, 5, dtype=torch.float64)
    found = dbm.mean_field(v, tolerance=1e-4)
    assert found.converged(1e-4).all()
    assert 2 < found.steps < 100
    taken = set()
    for k in range(len(v)):
        alone = dbm.mean_field(v[k : k + 1], tolerance=1e-4)
        taken.add(alone.steps)
        for own, other in zip(alone.means, found.means, strict=True):
            torch.testing.assert_close(own[0], other[k], rtol=0, atol=1e-12)
    assert len(taken) > 1, "images take different numbers of steps"
    cut = dbm.mean_field(v, steps=2, tolerance=1e-9)
    assert cut.steps == 2
    assert not cut.converged(1e-9).any()


def test_real_visible_units_are_integrated() -> None:
    """Log Z with Gaussian visible units against quadrature."""
    dbm = made([Gaussian(1), Bernoulli(3), Bernoulli(2)])
    grid = torch.linspace(-12, 12, 1201, dtype=torch.float64)[:, None]
    exact = DBMEnumeration(dbm)
    density = exact.log_likelihood(grid).exp()
    assert abs(float(torch.trapezoid(density, grid[:, 0])) - 1) < 1e-9


def test_convolutional_connections_take_part() -> None:
    below = Convolution((3, 3, 1), 2, kernel=2)
    units = [Bernoulli(9), Bernoulli(8), Bernoulli(3)]
    dbm = DBM(units, [below, Dense((8,), 3)]).double()
    with torch.no_grad():
        for parameter in dbm.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3)))
    states = [torch.rand(7, own.size, dtype=torch.float64) for own in units]
    wanted = sum(own.energy(x) for own, x in zip(units, states, strict=True))
    wanted = wanted - (below.hidden_field(states[0]) * states[1]).sum(1)
    wanted = wanted - torch.einsum("si,ij,sj->s", states[1], dbm.connection(2).weight, states[2])
    torch.testing.assert_close(dbm.energy(states), wanted)
    with pytest.raises(SettingError, match="dense connections only"):
        dbm.save("never.safetensors")


def test_a_file_is_read_as_it_was_and_is_no_dbn(tmp_path: Path) -> None:
    dbm = made(LAYERS["three binary"])
    file = tmp_path / "dbm.safetensors"
    dbm.save(file, {"epochs": 3})
    again = DBM.load(file)
    assert again.sizes == dbm.sizes
    for (name, own), (_, other) in zip(dbm.state_dict().items(), again.state_dict().items(), strict=True):
        assert torch.equal(own, other), name
    stack = DBN.load(file)
    assert DBN.describe(file)["description"] == {"epochs": 3}
    with pytest.raises(SettingError, match=r"DBM\.of_stack"):
        stack.sample(1)
    v = dbm[0].states()
    first = torch.sigmoid(2 * v @ dbm.connection(1).weight + dbm[1].bias)
    torch.testing.assert_close(stack.up(v, 1), first, msg="with the weights doubled")
    DBN([RBM(Bernoulli(3), Bernoulli(2))]).save(file)
    with pytest.raises(SettingError, match="method=dbm"):
        DBM.load(file)


@pytest.mark.parametrize(
    ("units", "said"),
    [
        ([Bernoulli(3), Bernoulli(2)], "it is an RBM"),
        ([Bernoulli(3), "bernoulli", Bernoulli(2)], "Bernoulli\\(100\\)"),
        ([ReplicatedSoftmax(3), Bernoulli(2), Bernoulli(2)], "scale the biases"),
        ([Bernoulli(3), MaxPooled((2, 2, 2), 2), Bernoulli(2)], "pooled"),
    ],
)
def test_units_that_make_no_machine_are_refused(units: list[Any], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        DBM(units)


def test_arguments_that_do_not_fit_are_refused() -> None:
    units = [Bernoulli(3), Bernoulli(2), Bernoulli(2)]
    with pytest.raises(SettingError, match="layers of 3-2-2 units need"):
        DBM(units, [Dense((3,), 2), Dense((3,), 2)])
    with pytest.raises(SettingError, match="same object"):
        DBM([units[0], units[1], units[1]])
    with pytest.raises(SettingError, match="damping"):
        DBM(units).mean_field(torch.zeros(1, 3), damping=1.0)
