"""The convolutional connection against loops over positions, and RBMs of it against dense ones with the same energy."""

from itertools import product

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from dbn import DBN, RBM
from dbn.errors import SettingError
from dbn.likelihood import log_partition_function
from dbn.models.activations import Activation
from dbn.models.connections import Convolution, Dense, make_connection
from dbn.models.convolution_layer import Convolution2d
from dbn.models.phases import Phases
from dbn.models.tiled_deconvolution import TiledDeconvolution
from dbn.models.units import Units, make_units
from dbn.pretraining.contrastive import ContrastiveStep
from dbn.random.streams import stream, streams
from dbn.samplers import ContrastiveDivergence, HiddenChains, PersistentContrastiveDivergence
from helpers import randomise

SHAPES = [
    # visible shape, maps, kernel, stride, padding, maps first
    ((1, 6, 5), 3, 3, 1, 0, True),
    ((3, 6, 4), 2, 3, 1, 1, True),
    ((4, 6, 3), 2, 3, 1, 1, False),
    ((5, 5, 2), 2, 3, 2, 1, False),
    ((1, 8, 8), 2, 5, 1, 2, True),
    ((2, 8, 4), 2, 2, 2, 0, True),
]
UNITS = ["bernoulli", "gaussian", {"kind": "gaussian_with_variance", "floor": 0.1}, "relu"]


def connection_of(shape: tuple[int, ...], *options: object) -> Convolution:
    maps, kernel, stride, padding, first = options
    connection = Convolution(shape, maps, kernel, stride, padding, maps_first=first).double()
    connection.initialise(0.3, torch.Generator().manual_seed(1))
    return connection


def matrix_of(connection: Convolution) -> Tensor:
    """The dense weight that does the same, from the definition: ``(n_visible, n_hidden)``, position by position."""
    first, visible = connection.maps_first, connection.visible_shape
    channels, height, width = visible if first else (visible[2], *visible[:2])
    rows, columns, maps = connection.hidden_shape
    matrix = torch.zeros(channels, height, width, rows, columns, maps, dtype=torch.float64)
    kernel = range(connection.kernel)
    for m, c, y, x, i, j in product(range(maps), range(channels), range(rows), range(columns), kernel, kernel):
        row, column = (at * connection.stride - connection.padding + by for at, by in ((y, i), (x, j)))
        if 0 <= row < height and 0 <= column < width:
            matrix[c, row, column, y, x, m] += connection.weight[m, c, i, j].detach()
    return (matrix if first else matrix.movedim(0, 2)).reshape(connection.n_visible, connection.n_hidden)


def pair_of(visible: object, hidden: object, pool: int | None = None) -> tuple[RBM, RBM]:
    """A convolutional RBM on maps, and the dense one with the same energy."""
    connection = connection_of((4, 6, 2), 3, 3, 1, 1, False)
    units = make_units(connection.units_of_visible(visible), connection.visible_shape)
    above = make_units(connection.units_of_hidden(hidden, pool), connection.hidden_shape)
    rbm = RBM(units, above, connection).double()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        connection.weight.mul_(0.3)
    for own in (rbm.visible, rbm.hidden):
        randomise(own, generator)
    dense = Dense(connection.visible_shape, rbm.n_hidden)
    dense.weight.data = matrix_of(connection)
    return rbm, RBM(*(dense_units(own) for own in (units, above)), dense).double()


def dense_units(units: Units) -> Units:
    """Units without maps, each with the parameters of its map."""
    single = make_units(units.own.spec(), units.size).double()
    for name, parameter in single.named_parameters():
        parameter.data = units.own.get_parameter(name).detach().repeat(units.size // units.shape[-1])
    return single


def states(units: Units, n: int, generator: torch.Generator) -> Tensor:
    field = torch.randn(n, units.size, generator=generator, dtype=torch.float64)
    return units.sample(field, generator).detach()


@pytest.mark.parametrize("shape", SHAPES)
def test_fields_and_gradient_are_those_of_the_dense_weight_that_does_the_same(shape) -> None:
    connection = connection_of(*shape)
    matrix, generator = matrix_of(connection), torch.Generator().manual_seed(2)
    v = torch.randn(7, connection.n_visible, generator=generator, dtype=torch.float64)
    h = torch.randn(7, connection.n_hidden, generator=generator, dtype=torch.float64)
    weights = torch.randn(7, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(connection.hidden_field(v), v @ matrix, rtol=0, atol=1e-12)
    torch.testing.assert_close(connection.visible_field(h), h @ matrix.T, rtol=0, atol=1e-12)
    connection.weight.grad = None
    with torch.no_grad():
        connection.write_gradient(v, h.clone(), weights)
    expected = torch.autograd.grad((weights * (connection.hidden_field(v) * h).sum(1)).sum(), connection.weight)[0]
    torch.testing.assert_close(connection.weight.grad, expected, rtol=0, atol=1e-11)
    out = torch.full((7, connection.n_hidden), 9.0, dtype=torch.float64)
    assert connection.hidden_field(v, out) is out
    torch.testing.assert_close(out, v @ matrix, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("sides", "channels", "kernel", "stride", "padding", "tile"), [
    ((28, 28), 1, 5, 1, 0, 4), ((8, 12), 1, 5, 1, 2, 4), ((6, 10), 1, 3, 1, 1, 2), ((8, 8), 3, 4, 1, 0, 2),
    ((7, 9), 1, 3, 1, 1, 1), ((8, 8), 5, 3, 1, 1, 1), ((9, 9), 1, 3, 2, 0, 1), ((10, 10), 1, 3, 2, 1, 1),
])  # fmt: skip
def test_tiles_give_the_transpose_of_a_convolution(sides, channels, kernel, stride, padding, tile) -> None:
    generator = torch.Generator().manual_seed(0)
    v = torch.zeros(3, channels, *sides, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(4, channels, kernel, kernel, generator=generator, dtype=torch.float64)
    field = F.conv2d(v, weight, None, stride, padding)
    h = torch.randn(field.shape, generator=generator, dtype=torch.float64)
    (expected,) = torch.autograd.grad(field, v, h)
    deconvolution = TiledDeconvolution(sides, channels, kernel, stride, padding)
    assert deconvolution.tile == tile
    torch.testing.assert_close(deconvolution(h, weight), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("visible", "hidden"), list(product(UNITS, UNITS)))
def test_energies_conditionals_and_gradients_are_those_of_the_dense_rbm(visible, hidden) -> None:
    rbm, dense = pair_of(visible, hidden)
    generator = torch.Generator().manual_seed(4)
    v, h = states(rbm.visible, 6, generator), states(rbm.hidden, 6, generator)
    for of in (
        lambda r: r.energy(v, h), lambda r: r.free_energy(v), lambda r: r.free_energy(v, beta=0.4),
        lambda r: r.free_energy_hidden(h), lambda r: r.mean_hidden(v), lambda r: r.mean_visible(h),
        lambda r: r.up(v), lambda r: r.down(h),
    ):  # fmt: skip
        torch.testing.assert_close(of(rbm), of(dense), rtol=0, atol=1e-10)
    expected = torch.autograd.grad(rbm.free_energy(v[:3]).mean() - rbm.free_energy(v[3:]).mean(), rbm.parameters())
    with torch.no_grad():
        phases = Phases(rbm, 3)
        for phase, own in ((phases.positive, v[:3]), (phases.negative, v[3:])):
            phase.v.copy_(own)
            phase.condition_on_visible(rbm)
        phases.write_gradient(rbm)
    for parameter, gradient in zip(rbm.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=0, atol=1e-10)


def small(hidden: object, pool: int | None = None, std: float = 0.7) -> RBM:
    """A convolutional RBM that can be enumerated: 2x4 pixels, two maps of 2x2."""
    connection = Convolution((1, 3, 3), 2, 2, maps_first=True)
    above = make_units(connection.units_of_hidden(hidden, pool), connection.hidden_shape)
    rbm = RBM(make_units("bernoulli", (1, 3, 3)), above, connection).double()
    connection.initialise(std, torch.Generator().manual_seed(5))
    for units in (rbm.visible, rbm.hidden):
        randomise(units, torch.Generator().manual_seed(6))
    return rbm


@pytest.mark.parametrize("pool", [None, 2])
def test_log_z_is_the_sum_over_all_states_of_both_layers(pool) -> None:
    rbm = small("bernoulli", pool)
    v, h = rbm.visible.states(), rbm.hidden.states()
    assert len(h) == (2**8 if pool is None else 5**2)
    field = v @ matrix_of(rbm.connection)
    minus_energies = -rbm.visible.energy(v)[:, None] - rbm.hidden.energy(h)[None] + field @ h.T
    expected = torch.logsumexp(minus_energies.flatten(), 0)
    assert log_partition_function(rbm).item() == pytest.approx(expected.item(), abs=1e-10)
    torch.testing.assert_close(-rbm.free_energy(v), torch.logsumexp(minus_energies, 1), rtol=0, atol=1e-10)
    torch.testing.assert_close(-rbm.free_energy_hidden(h), torch.logsumexp(minus_energies, 0), rtol=0, atol=1e-10)


@pytest.mark.parametrize("pool", [None, 2])
def test_gradient_of_exact_log_likelihood_by_central_differences(pool) -> None:
    """With states of the model weighted by their exact probabilities, the step's gradient is that of the likelihood."""
    rbm = small("bernoulli", pool)
    data, model = torch.randint(2, (5, 9), generator=torch.Generator().manual_seed(7)).double(), rbm.visible.states()

    def loss() -> Tensor:
        return rbm.free_energy(data).mean() + log_partition_function(rbm)

    with torch.no_grad():
        probability = torch.softmax(-rbm.free_energy(model), 0)
        v, weights = torch.cat([data, model]), torch.cat([torch.full((5,), -0.2).double(), probability])
        field = rbm.hidden_field(v)
        rbm.write_gradient(v, field, rbm.hidden.mean(field), weights)
        for parameter in rbm.parameters():
            flat, gradient = parameter.view(-1), parameter.grad.view(-1)
            for place in range(len(flat)):
                before = flat[place].clone()
                above, below = (_at(flat, place, before + step, loss) for step in (1e-5, -1e-5))
                flat[place] = before
                assert gradient[place].item() == pytest.approx((above - below) / 2e-5, abs=1e-7)


def _at(flat: Tensor, place: int, value: Tensor, loss) -> float:
    flat[place] = value
    return loss().item()


@pytest.mark.parametrize("pool", [None, 2])
@pytest.mark.parametrize("make", [ContrastiveDivergence, PersistentContrastiveDivergence, HiddenChains])
def test_chains_that_start_from_the_model_stay_there(pool, make) -> None:
    """Pair probabilities of the visible units after 4 steps, within 5 standard errors of the exact ones."""
    rbm, n = small("bernoulli", pool), 40_000
    with torch.no_grad():
        all_states = rbm.visible.states()
        probability = torch.softmax(-rbm.free_energy(all_states), 0)
        generator = torch.Generator().manual_seed(8)
        v = all_states[torch.multinomial(probability, n, replacement=True, generator=generator)]
        phases = Phases(rbm, n)
        phases.positive.v.copy_(v)
        sampler = make(4) if make is not ContrastiveDivergence else make(4, sample_visible=True)
        phases.positive.condition_on_visible(rbm)
        if make is HiddenChains:
            sampler.chains = rbm.sample_hidden(v, generator)
        elif make is PersistentContrastiveDivergence:
            sampler.chains = v.clone()
        sampler.write_negative_states(rbm, phases.positive, phases.negative.v, generator)
        moved = phases.negative.v
    exact = torch.einsum("s,si,sj->ij", probability, all_states, all_states)
    error = (exact * (1 - exact) / n).sqrt()
    assert ((moved.T @ moved / n - exact).abs() / error).max() < 5
    assert set(moved.unique().tolist()) == {0, 1}


@pytest.mark.parametrize("hidden", ["bernoulli", "relu"])
@pytest.mark.parametrize("pool", [None, 2])
@pytest.mark.parametrize("sampler", [ContrastiveDivergence, PersistentContrastiveDivergence, HiddenChains])
def test_members_of_a_group_train_as_they_would_alone(hidden, pool, sampler) -> None:
    def new(seed: int) -> RBM:
        connection = Convolution((1, 8, 8), 4, 3, padding=1, maps_first=True)
        above = make_units(connection.units_of_hidden(hidden, pool), connection.hidden_shape)
        connection.initialise(0.1, stream(seed, "init"))
        return RBM(make_units("bernoulli", (1, 8, 8)), above, connection).double()

    seeds, images = (1, 2), torch.rand(2, 6, 64, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    group = RBM.group([new(seed) for seed in seeds])
    optimizer, step = torch.optim.SGD(group.parameters(), 0.1, 0.5), ContrastiveStep(group, sampler())
    for number in range(3):
        step(images, optimizer, streams(seeds, "gibbs", number))
    for own, seed, member in zip(images, seeds, group.members(), strict=True):
        alone = new(seed)
        own_optimizer, own_step = torch.optim.SGD(alone.parameters(), 0.1, 0.5), ContrastiveStep(alone, sampler())
        for number in range(3):
            own_step(own, own_optimizer, stream(seed, "gibbs", number))
        assert dict(member.named_parameters()).keys() == dict(alone.named_parameters()).keys()
        for name, parameter in alone.named_parameters():
            torch.testing.assert_close(member.get_parameter(name), parameter, rtol=0, atol=1e-12)
            assert torch.count_nonzero(parameter) > 0


def test_bfloat16_is_near_float32_and_leaves_the_weight_alone() -> None:
    rbm = pair_without_dense("bernoulli", 2).float()
    v = torch.randint(2, (50, rbm.n_visible), generator=torch.Generator().manual_seed(1)).float()
    rounded = rbm.in_precision("bf16")
    assert rounded.weight is rbm.weight
    assert rounded.hidden_field(v).dtype == torch.float32
    torch.testing.assert_close(rounded.hidden_field(v), rbm.hidden_field(v), rtol=0.02, atol=0.02)
    assert not torch.equal(rounded.hidden_field(v), rbm.hidden_field(v))


@pytest.mark.parametrize(("hidden", "pool"), [("bernoulli", None), ("bernoulli", 2), ("relu", 2), ("relu", None)])
def test_an_unrolled_layer_gives_what_the_layer_above_sees(hidden, pool) -> None:
    rbm, _ = pair_of("bernoulli", hidden) if pool is None else (pair_without_dense(hidden, pool), None)
    v = torch.rand(5, rbm.n_visible, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    layer, activation = rbm.encoder()
    field = layer(v) if rbm.pooling is None else rbm.pooling(layer(v))
    torch.testing.assert_close(Activation.create(activation, "x")(field), rbm.up(v), rtol=0, atol=1e-12)
    assert rbm.up(v).shape == (5, torch.Size(rbm.output_shape).numel())


def pair_without_dense(hidden: str, pool: int) -> RBM:
    connection = connection_of((4, 6, 2), 3, 3, 1, 1, False)
    above = make_units(connection.units_of_hidden(hidden, pool), connection.hidden_shape)
    rbm = RBM(make_units(connection.units_of_visible("bernoulli"), connection.visible_shape), above, connection)
    randomise(rbm.hidden, torch.Generator().manual_seed(3))
    return rbm.double()


def test_a_stack_of_both_kinds_of_layers_is_kept_in_its_file_and_sampled(tmp_path) -> None:
    connection = Convolution((1, 8, 8), 4, 3, padding=1, maps_first=True)
    lower = RBM(
        make_units("bernoulli", (1, 8, 8)), make_units({"kind": "max_pooled", "pool": 2}, (8, 8, 4)), connection
    )
    second = Convolution((4, 4, 4), 6, 3, padding=1)
    units = (make_units(second.units_of_visible("bernoulli"), (4, 4, 4)), make_units("max_pooled", (4, 4, 6)))
    stack = DBN([lower, RBM(*units, second), RBM(make_units("bernoulli", (2, 2, 6)), make_units("bernoulli", 10))])
    with torch.no_grad():
        for parameter in stack.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
    stack.save(tmp_path / "dbn.safetensors")
    loaded, v = DBN.load(tmp_path / "dbn.safetensors"), torch.rand(5, 64)
    assert loaded.shapes == [(1, 8, 8), (4, 4, 4), (2, 2, 6), (10,)]
    for layers in range(4):
        assert torch.equal(loaded.up(v, layers), stack.up(v, layers))
        assert torch.equal(loaded.down(stack.up(v, layers), layers), stack.down(stack.up(v, layers), layers))
    draws = [one.sample(7, steps=3, generator=torch.Generator().manual_seed(1)) for one in (stack, loaded)]
    assert torch.equal(*draws)
    assert draws[0].shape == (7, 64)


@pytest.mark.parametrize(("options", "words"), [
    ({"kernel": 9}, "kernel=9: the filters are larger than their inputs of 8x8"),
    ({"kernel": 0}, "kernel=0"), ({"kernel": 3, "stride": 0}, "stride=0"), ({"kernel": 3, "padding": -1}, "padding=-1"),
    ({"kernal": 3}, "kernal: no such setting. Did you mean kernel?"),
])  # fmt: skip
def test_impossible_filters_are_refused(options, words) -> None:
    with pytest.raises(SettingError, match=words.split(":")[0]) as caught:
        make_connection({"kind": "convolution", "maps_first": True, **options}, (1, 8, 8), 4)
    assert words in str(caught.value)


@pytest.mark.parametrize("shape", [16, (16,), (4, 4), (1, 4, 0), (1, 4, 4.0), "abc"])
@pytest.mark.parametrize("maps_first", [True, False])
@pytest.mark.parametrize("kind", [Convolution, Convolution2d])
def test_shapes_of_no_pictures_are_refused(kind, maps_first, shape) -> None:
    with pytest.raises(SettingError, match="shape") as refused:
        kind(shape, maps=2, kernel=3, maps_first=maps_first)
    assert ("(channels, height, width)" if maps_first else "(height, width, maps)") in str(refused.value)
    assert str(shape if isinstance(shape, int) else shape[0]) in str(refused.value)


def test_units_that_do_not_lie_as_pictures_are_refused() -> None:
    with pytest.raises(SettingError, match=r"\(height, width, maps\); these have the shape 100"):
        make_connection({"kind": "convolution", "kernel": 3}, (100,), 4)
    with pytest.raises(SettingError, match="pool=2: blocks of 2x2 do not fill maps of 3x3"):
        make_units({"kind": "max_pooled", "pool": 2}, (3, 3, 4))
    with pytest.raises(SettingError, match="pool=2: only convolutional layers are pooled"):
        Dense((4,), 3).units_of_hidden("bernoulli", 2)
    with pytest.raises(SettingError, match="pool=2: gaussian_with_variance units cannot be pooled"):
        make_units({"kind": "per_map", "units": "gaussian_with_variance", "pool": 2}, (4, 4, 2))
