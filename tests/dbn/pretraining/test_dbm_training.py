"""Pretraining of deep Boltzmann machines: gradients, doubled layers, groups, resumed fits, what it learns, refuses."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dbn import DBM, RBM, Bernoulli
from dbn.data import DataSet, digits, load_data
from dbn.errors import SettingError
from dbn.likelihood import DBMEnumeration
from dbn.models.connections import Connection, Dense, Doubled
from dbn.models.dbm_layer import compose, factors, tied
from dbn.models.mean_field import bound
from dbn.models.units import Spin, Units
from dbn.pretraining import DBMPretraining, LayerSettings, StackRun, pretrain_stack, pretrain_stacks
from dbn.pretraining.contrastive import ContrastiveStep
from dbn.pretraining.dbm_chains import ChainStates, PersistentStates
from dbn.pretraining.dbm_step import DBMStep, write_gradient, write_gradient_of_phases
from dbn.pretraining.dbm_training import DBMTraining
from dbn.pretraining.joint import JointLayers
from dbn.random.streams import streams
from dbn.samplers import ContrastiveDivergence, PersistentContrastiveDivergence
from helpers import stop_at

SIZES = (5, 4, 3)


def made(units: list[Units] | None = None, seed: int = 0, scale: float = 1.0) -> DBM:
    """A float64 machine with weights and biases from N(0, scale^2)."""
    dbm = DBM([Bernoulli(n) for n in SIZES] if units is None else units).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in dbm.parameters():
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return dbm


def mean_bound(dbm: DBM, v: Tensor) -> float:
    """Exact mean variational bound of data."""
    found = dbm.mean_field(v, steps=2000, tolerance=1e-14)
    return float(bound(dbm, v, found, DBMEnumeration(dbm).log_z).mean().detach())


@pytest.mark.parametrize(
    "units",
    [None, [Spin(3), Spin(3), Spin(2)], [Bernoulli(4), Bernoulli(3), Bernoulli(3), Bernoulli(2)]],
    ids=["two", "spin", "three"],
)
def test_gradient_against_central_differences_of_the_exact_bound(units: list[Units] | None) -> None:
    """The negative phase by all states and their probabilities."""
    dbm = made(units, scale=0.7)
    exact = DBMEnumeration(dbm)
    v = dbm[0].states()[1::3]
    found = dbm.mean_field(v, steps=2000, tolerance=1e-14)
    grids = torch.cartesian_prod(*(torch.arange(len(dbm[k].states())) for k in range(len(dbm))))
    states = [dbm[k].states()[grids[:, k]] for k in range(len(dbm))]
    p = (-dbm.energy(states) - exact.log_z).exp().detach()
    assert abs(float(p.sum()) - 1) < 1e-12
    both = [torch.cat(pair) for pair in zip([v, *found.means], states, strict=True)]
    with torch.no_grad():
        write_gradient(dbm, both, both, both, torch.cat([p.new_full((len(v),), -1 / len(v)), p]))
        for name, parameter in dbm.named_parameters():
            flat, gradient = parameter.view(-1), parameter.grad.view(-1)
            for place in {0, len(flat) // 2, len(flat) - 1}:
                old, sides = float(flat[place]), []
                for step in (1e-5, -1e-5):
                    flat[place] = old + step
                    sides.append(mean_bound(dbm, v))
                flat[place] = old
                assert abs(-(sides[0] - sides[1]) / 2e-5 - float(gradient[place])) < 1e-8, name


def test_the_phases_of_a_step_against_autograd() -> None:
    """Energies of the data at mean-field means, less those of chains: even layers at means given the odd ones."""
    dbm = made()
    v = torch.rand(9, 5).double()
    found = dbm.mean_field(v)
    chains = PersistentStates(2, 6)
    with torch.no_grad():
        moved = chains.move(dbm, found, torch.Generator().manual_seed(0))
        write_gradient_of_phases(dbm, v, found, moved, count=12, chains=8)
    odd = moved.states[1]
    assert set(odd.unique().tolist()) <= {0.0, 1.0}
    even = [torch.sigmoid(odd @ dbm.connection(1).weight.T + dbm[0].bias).detach(), None,
            torch.sigmoid(odd @ dbm.connection(2).weight + dbm[2].bias).detach()]  # fmt: skip
    loss = dbm.energy([v, *found.means]).sum() / 12 - dbm.energy([even[0], odd, even[2]]).sum() / 8
    parameters = dict(dbm.named_parameters())
    wanted = torch.autograd.grad(loss, list(parameters.values()))
    middle = (found.means[0].sum(0) / -12 + dbm[1].mean(moved.fields[1]).sum(0) / 8).detach()
    for (name, parameter), gradient in zip(parameters.items(), wanted, strict=True):
        if name == "units.1.bias":  # of an odd layer, means given the even layers that it was drawn from
            gradient = middle
        torch.testing.assert_close(parameter.grad, gradient, rtol=0, atol=1e-12, msg=name)


def test_shares_of_two_processes_add_up() -> None:
    v = torch.rand(9, 5).double()
    states = [torch.rand(8, n).double() for n in SIZES]

    def gradient(rows: slice, chains: slice) -> list[Tensor]:
        dbm = made()
        moved = ChainStates([x[chains] for x in states], [x[chains] for x in states])
        with torch.no_grad():
            write_gradient_of_phases(dbm, v[rows], dbm.mean_field(v[rows], tolerance=0), moved, count=9, chains=8)
        return [parameter.grad.clone() for parameter in dbm.parameters()]

    shares = [gradient(slice(0, 5), slice(0, 4)), gradient(slice(5, 9), slice(4, 8)), gradient(slice(9), slice(8))]
    for one, two, whole in zip(*shares, strict=True):
        torch.testing.assert_close(one + two, whole, rtol=0, atol=1e-12)
    chains = PersistentStates(1, 9)
    with pytest.raises(SettingError, match=r"method.chains=9.*method.chains=8"):
        chains.divide(2)


@pytest.mark.parametrize("side", ["up", "down"])
def test_a_doubled_layer_is_an_rbm_of_two_copies(side: str) -> None:
    """With copies of the visible, or of the hidden units, tied: the same fields, and the gradient of their weight."""
    layer = RBM(Bernoulli(4), Bernoulli(3), Doubled((4,), 3, **{"up": 1, "down": 1, side: 2})).double()
    n, m = (8, 3) if side == "up" else (4, 6)
    pair = RBM(Bernoulli(n), Bernoulli(m), Dense((n,), m)).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(4)))
        pair.weight.copy_(layer.weight.repeat(n // 4, m // 3))
        pair.visible.bias.copy_(layer.visible.bias.repeat(n // 4))
        pair.hidden.bias.copy_(layer.hidden.bias.repeat(m // 3))
    v, h = torch.rand(6, 4).double(), torch.rand(6, 3).double()
    vv, hh = v.repeat(1, n // 4), h.repeat(1, m // 3)
    torch.testing.assert_close(layer.mean_hidden(v), pair.mean_hidden(vv)[:, :3])
    torch.testing.assert_close(layer.mean_visible(h), pair.mean_visible(hh)[:, :4])
    after = torch.rand(6, 4).double()
    x, weights = torch.cat([v, after]), torch.tensor([-1 / 6] * 6 + [1 / 6] * 6).double()
    with torch.no_grad():
        field = layer.hidden_field(x)
        layer.write_gradient(x, field, layer.hidden.mean(field), weights)
    free = pair.free_energy(torch.cat([x] * (n // 4), 1))
    (of_pair,) = torch.autograd.grad(-(weights * free).sum(), pair.weight)
    wanted = sum(of_pair[4 * i : 4 * i + 4, 3 * j : 3 * j + 3] for i in range(n // 4) for j in range(m // 3))
    torch.testing.assert_close(layer.weight.grad, wanted)
    encoder, decoder = layer.encoder()[0], layer.decoder()[0]
    torch.testing.assert_close(encoder(v), layer.hidden_field(v) + layer.hidden.bias)
    torch.testing.assert_close(decoder(h), layer.visible_field(h) + layer.visible.bias)


def layers_of(seed: int, sizes: tuple[int, ...] = SIZES) -> list[RBM]:
    """Doubled RBMs of one stack, with parameters of their own."""
    generator = torch.Generator().manual_seed(seed)
    layers = []
    for number, (below, above) in enumerate(pairwise(sizes)):
        connection = Doubled((below,), above, **factors(number, len(sizes) - 1))
        layers.append(RBM(Bernoulli(below), Bernoulli(above), connection).double())
        with torch.no_grad():
            for parameter in layers[-1].parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return layers


def test_put_together_units_have_the_geometric_mean_of_both_distributions() -> None:
    """And all weights are kept, of three layers too."""
    layers = layers_of(0, (5, 4, 3, 2))
    x = [torch.rand(7, n).double() for n in (5, 4, 3, 2)]
    fields = [layers[k].hidden_field(x[k]) + layers[k].hidden.bias for k in (0, 1)]
    others = [layers[k].visible_field(x[k + 1]) + layers[k].visible.bias for k in (1, 2)]
    wanted = [torch.sigmoid((one + two) / 2) for one, two in zip(fields, others, strict=True)]
    dbm = DBM.of_layers(compose(layers))
    for k in (1, 2):
        torch.testing.assert_close(dbm[k].mean(dbm.field(k, x)), wanted[k - 1])
    torch.testing.assert_close(dbm.field(0, x), x[1] @ layers[0].weight.T)
    torch.testing.assert_close(dbm.field(3, x), x[2] @ layers[2].weight)


def test_every_member_takes_the_steps_it_would_take_alone() -> None:
    """Doubled layers one by one, and all as one."""
    settings = LayerSettings(n_hidden=3, learning_rate=0.05, weight_cost=0.01, initial_momentum_epochs=0)
    v = torch.rand(2, 9, 5, generator=torch.Generator().manual_seed(1)).double()

    def greedy(rbm: RBM, v: Tensor, seeds: list[int]) -> RBM:
        optimizer = torch.optim.SGD(rbm.parameters(), lr=0.1)
        step = ContrastiveStep(rbm, ContrastiveDivergence())
        for number in range(4):
            step(v, optimizer, streams(seeds, "gibbs", number))
        return rbm

    def joint(layers: list[list[RBM]], v: Tensor, seeds: list[int]) -> list[Any]:
        stage = JointLayers.group([compose(own) for own in layers])
        module = DBMTraining(stage, settings, PersistentStates(2), {"steps": 5, "tolerance": 1e-6}, seeds=seeds)
        assert len(list(module.layer.parameters())) == 5, "biases of shared units once"
        optimizer = module.configure_optimizers()
        dbm = DBM.of_layers(module.layer.layers)
        step = DBMStep(dbm, module.chains, 5, 1e-6)
        for number in range(4):
            step(v if number < 3 else v[..., :6, :], optimizer, streams(seeds, "gibbs", number))
        return module.layer.members()

    group = greedy(RBM.group([layers_of(seed)[0] for seed in (0, 1)]), v, [0, 1]).members()
    machines = joint([layers_of(0), layers_of(1)], v, [0, 1])
    for seed in (0, 1):
        alone = greedy(layers_of(seed)[0], v[seed], [seed])
        (machine,) = joint([layers_of(seed)], v[seed], [seed])
        pairs = [(alone, group[seed]), *zip(machine.layers, machines[seed].layers, strict=True)]
        assert not torch.allclose(machine.layers[0].weight, layers_of(seed)[0].weight, atol=1e-4)
        for one, other in pairs:
            for (name, own), (_, found) in zip(one.named_parameters(), other.named_parameters(), strict=True):
                torch.testing.assert_close(found, own, rtol=0, atol=1e-11, msg=name)


@pytest.fixture(scope="module")
def data() -> DataSet:
    return load_data(digits())


def settings(*sizes: int, **more: Any) -> list[LayerSettings]:
    return [LayerSettings(n_hidden=n, **{"batch_size": 50, "epochs": 5, "learning_rate": 0.05, **more}) for n in sizes]


def test_training_raises_the_exact_bound(data: DataSet) -> None:
    """Of the digits' middle rows: base rates, then the layers trained one by one, then all as one, in this order."""
    rows = data.train.features()[:, 16:48].round()[:400]
    small = DataSet("rows", *[type(data.train).from_features(rows)] * 3, (1, 4, 8), ())
    v = rows.double()
    rates = v.mean(0).clamp(1e-3, 1 - 1e-3)
    values = [float((v * rates.log() + (1 - v) * (1 - rates).log()).sum(1).mean())]
    for epochs, rate in ((1, 1e-9), (15, 0.02)):
        method = DBMPretraining(epochs=epochs, learning_rate=rate)
        stack = pretrain_stack(small, settings(10, 6, batch_size=20, epochs=10), method=method, progress=False)
        dbm = DBM.of_stack(stack).double()
        values.append(mean_bound(dbm, v))
    assert values[0] + 1 < values[1] < values[2] - 0.4, values


@pytest.mark.parametrize("stage", [2, 3], ids=["a layer", "all as one"])
def test_a_fit_that_was_interrupted_ends_with_the_same_bits(
    stage: int, data: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {
        "method": DBMPretraining(epochs=4, chains=30), "progress": False, "checkpoint_seconds": 0,
    }  # fmt: skip
    whole = pretrain_stack(data, settings(12, 8), **options)
    with monkeypatch.context() as patch:
        if stage == 2:
            stop_at(patch, 2, 2)
        else:
            begin = DBMTraining.on_train_epoch_start

            def stop(self: DBMTraining) -> None:
                begin(self)
                if self.current_epoch == 2:
                    raise KeyboardInterrupt

            patch.setattr(DBMTraining, "on_train_epoch_start", stop)
        with pytest.raises(KeyboardInterrupt):
            pretrain_stack(data, settings(12, 8), directory=tmp_path, **options)
    for _ in range(2):  # resumed, and read from its files
        resumed = pretrain_stack(data, settings(12, 8), directory=tmp_path, **options)
        for (name, own), (_, again) in zip(whole.state_dict().items(), resumed.state_dict().items(), strict=True):
            assert torch.equal(own, again), name
    assert torch.equal(resumed[0].hidden.bias, resumed[1].visible.bias)


def test_seeds_together_are_those_alone_and_say_how_they_were_trained(data: DataSet) -> None:
    method = DBMPretraining(epochs=3, learning_rate=0.02)
    found = pretrain_stacks(data, settings(12, 8), [StackRun(0), StackRun(1)], method=method, progress=False)
    for seed, own in enumerate(found):
        facts = own.facts
        assert [fact["epochs"] for fact in facts] == [5, 8]
        assert facts[1]["training"]["as_one"] == {"epochs": 3, "reason": "all of method.epochs=3"}
        assert facts[1]["flops"] > facts[0]["flops"]
        alone = pretrain_stack(data, settings(12, 8), seed=seed, method=method, progress=False)
        one, other = DBM.of_stack(alone), DBM.of_stack(own.stack)
        v = data.test.features()
        errors = [float((dbm.reconstruct(v) - v).square().sum(1).mean()) for dbm in (one, other)]
        assert abs(errors[0] - errors[1]) < 0.1 * errors[0]


@pytest.mark.parametrize(
    ("layers", "method", "said"),
    [
        (settings(5), {}, "two hidden layers or more"),
        (settings(5, 4, hidden="drelu"), {}, "have a bias"),
        (settings(5, 4, gradient="centered"), {}, "method=dbm has no use for it"),
        (settings(5, 4, connection={"kind": "convolution", "kernel": 3}), {}, "dense layers"),
        (settings(5, 4), {"sampler": PersistentContrastiveDivergence}, "Use sampler=cd"),
    ],
)
def test_stacks_that_make_no_machine_are_refused_before_training(
    layers: list[LayerSettings], method: dict[str, Any], said: str, data: DataSet
) -> None:
    with pytest.raises(SettingError, match=said):
        pretrain_stack(data, layers, method=DBMPretraining(**method), progress=False)


@pytest.mark.parametrize(
    ("name", "value"),
    [("epochs", 0), ("learning_rate", 0), ("steps", 0), ("chains", 0), ("mean_field_steps", 0),
     ("mean_field_tolerance", -1)],
)  # fmt: skip
def test_settings_out_of_range_are_named(name: str, value: Any) -> None:
    with pytest.raises(SettingError, match=f"{name}="):
        DBMPretraining(**{name: value})


def test_factors_are_one_or_two() -> None:
    with pytest.raises(SettingError, match=r"connection.up=3"):
        Connection.create({"kind": "doubled", "up": 3}, "connection", (4,), 3)
    with pytest.raises(SettingError, match="method=dbm"):
        tied([RBM(Bernoulli(3), Bernoulli(2))])
