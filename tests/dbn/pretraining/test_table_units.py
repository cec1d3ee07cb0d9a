"""Stacks of tables: learned variances, resuming, seeds that train together, files, and unrolling."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from dbn import DBN, RBM, Bernoulli
from dbn.data import DataSet, TableSource, digits, load_data
from dbn.errors import DataError, SettingError
from dbn.models.units import GaussianWithVariance, Mixed, Softmax
from dbn.pretraining import LayerSettings, StackRun, fit, pretrain_stack, pretrain_stacks
from finetune.networks.network import Network
from finetune.networks.unrolling import unroll
from helpers import stop_at

LAYERS = [LayerSettings(n_hidden=n, epochs=3, batch_size=20, learning_rate=0.02) for n in (9, 5)]


def frame_of(n: int = 160) -> pd.DataFrame:
    """Numbers, binary values and categories that hang together, a tenth of them missing."""
    generator = np.random.default_rng(1)
    cause = generator.integers(3, size=n)
    frame = pd.DataFrame(
        {
            "length": cause + 0.3 * generator.normal(size=n),
            "weight": 10 - 3 * cause + generator.normal(size=n),
            "open": np.where(generator.random(n) < 0.2 + 0.3 * cause, "yes", "no"),
            "colour": np.array(["red", "green", "blue"])[np.where(generator.random(n) < 0.8, cause, 0)],
            "shape": np.array(["a", "b", "c", "d"])[generator.integers(4, size=n)],
        }
    )
    return frame.mask(generator.random(frame.shape) < 0.1)


@pytest.fixture(scope="module")
def data() -> DataSet:
    """The table, split."""
    return load_data(TableSource.of(frame_of()))


def test_learned_variances_are_those_of_the_data() -> None:
    """Independent units of known variance: without anything to explain, the variance is that of the data.

    Its standard error over n values is a share of sqrt(2 / n), here 1.6 %; five of these, and the noise of the last
    steps.
    """
    n = 8000
    deviation = torch.tensor([0.3, 0.7, 1.0, 1.6])
    x = deviation * torch.randn(n, 4, generator=torch.Generator().manual_seed(2))
    rbm = RBM(GaussianWithVariance(4), Bernoulli(2), weight_std=0.0)
    fit(rbm, x, epochs=40, learning_rate=0.02, batch_size=200, weight_cost=0.01)
    rate = 5 * (2 / n) ** 0.5 + 0.05
    assert ((rbm.visible.variance / deviation.square() - 1).abs() < rate).all()  # type: ignore[attr-defined]


def test_variance_is_what_hidden_units_leave_unexplained() -> None:
    """Two columns that are at 1.5 or at -1.5 together, with noise of 0.5: variance 2.5, of it 0.25 given the side.

    (A single column would be a Gaussian of variance 2.5 for good: without weights, their gradient is zero.)
    """
    generator = torch.Generator().manual_seed(3)
    side = torch.randint(2, (4000, 1), generator=generator)
    x = 3.0 * side - 1.5 + 0.5 * torch.randn(4000, 2, generator=generator)
    rbm = RBM(GaussianWithVariance(2), Bernoulli(2), weight_std=0.1, generator=torch.Generator().manual_seed(1))
    fit(rbm, x, epochs=60, learning_rate=0.02, batch_size=50, weight_cost=0.0)
    assert rbm.visible.variance.tolist() == pytest.approx([0.25, 0.25], abs=0.06)  # type: ignore[attr-defined]


def test_as_data_makes_the_units_that_the_columns_are(data: DataSet) -> None:
    stack = pretrain_stack(data, LAYERS, visible="as_data", progress=False)
    assert isinstance(stack[0].visible, Mixed)
    assert [(units.kind, units.size) for units in stack[0].visible.units] == [
        ("gaussian_with_variance", 2), ("bernoulli", 1), ("softmax", 7)
    ]  # fmt: skip
    with pytest.raises(SettingError, match=r"stack\.visible=as_data"):
        pretrain_stack(load_data(digits()), LAYERS, visible="as_data", progress=False)
    with pytest.raises(DataError, match=r"stack\.visible"):
        pretrain_stack(data, LAYERS, progress=False)
    parts = [{"kind": "gaussian_with_variance", "n": 1}, {"kind": "bernoulli", "n": 9}]
    with pytest.raises(DataError, match=r"feature 1 .* training images"):
        pretrain_stack(data, LAYERS, visible={"kind": "mixed", "parts": parts}, progress=False)


def test_a_stack_of_a_table_goes_on_where_it_stopped(
    data: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped in the second epoch of either layer: the same bits as undisturbed."""
    whole = pretrain_stack(data, LAYERS, visible="as_data", progress=False)
    options: dict[str, Any] = {"visible": "as_data", "progress": False, "checkpoint_seconds": 0}
    for layer in (1, 2):
        with monkeypatch.context() as patch:
            stop_at(patch, layer, epoch=1)
            with pytest.raises(KeyboardInterrupt):
                pretrain_stack(data, LAYERS, directory=tmp_path, **options)
    resumed = pretrain_stack(data, LAYERS, directory=tmp_path, **options)
    for (name, own), other in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(own, other), name


def test_seeds_that_train_together_learn_what_each_learns_alone(data: DataSet) -> None:
    """Three seeds of one epoch: draws that differ by rounding are rare in so few."""
    layers = [LayerSettings(n_hidden=6, epochs=1, batch_size=20, learning_rate=0.02)]
    together = pretrain_stacks(data, layers, [StackRun(seed) for seed in range(3)], visible="as_data", progress=False)
    for seed, own in enumerate(together):
        alone = pretrain_stack(data, layers, seed=seed, visible="as_data", progress=False)
        for (name, found), other in zip(own.stack.state_dict().items(), alone.state_dict().values(), strict=True):
            torch.testing.assert_close(found, other, rtol=0, atol=2e-3, msg=name)


def test_files_hold_units_and_columns(data: DataSet, tmp_path: Path) -> None:
    """In a fresh reading, new rows are encoded as the training rows were, missing values too."""
    stack = pretrain_stack(data, LAYERS, visible="as_data", progress=False)
    stack.save(tmp_path / "dbn.safetensors")
    again = DBN.load(tmp_path / "dbn.safetensors")
    assert [layer.description() for layer in again.layers] == [layer.description() for layer in stack.layers]
    header = json.dumps(DBN.describe(tmp_path / "dbn.safetensors"))
    assert '"colour"' in header
    new = frame_of(30)
    found, expected = again.transform(new), stack.transform(new)
    assert isinstance(found, np.ndarray)
    np.testing.assert_array_equal(found, expected)
    assert stack.scaling is not None
    assert data.columns is not None
    by_hand = data.columns.filled(data.columns.encoded(new))
    features = (by_hand - data.train.offset) * data.train.factor
    torch.testing.assert_close(torch.from_numpy(found), stack.up(features), rtol=0, atol=1e-6)
    assert set(
        again.reconstruct(features)[:, 3:].view(-1, 7).split([3, 4], 1)[0].sum(1).round(decimals=4).tolist()
    ) == {1.0}


@pytest.mark.parametrize("hidden", ["bernoulli", "gaussian_with_variance", "softmax", "mixed"])
def test_unrolled_it_is_the_stack_s_way_up(hidden: str, data: DataSet) -> None:
    """Learned variances and categories included, at every layer."""
    kinds: dict[str, Any] = {
        "softmax": {"kind": "softmax", "categories": [2, 4]},
        "mixed": {"kind": "mixed", "parts": [{"kind": "gaussian_with_variance", "n": 2}, {"kind": "softmax", "n": 4}]},
    }
    wanted = kinds.get(hidden, hidden)
    layers = [LayerSettings(n_hidden=6, hidden=wanted, epochs=2, batch_size=20, learning_rate=0.005) for _ in range(2)]
    stack = pretrain_stack(data, layers, visible="as_data", progress=False)
    activation = stack[0].hidden.activation
    network = Network.dense([stack.sizes[0], 6, 6, 3], activation=activation)
    unroll(stack, network)
    x = data.test.features()
    for number, found in enumerate(network.hidden(x)[:2], start=1):
        torch.testing.assert_close(found, stack.up(x, number), rtol=1e-5, atol=1e-6)
    if hidden != "bernoulli":
        assert (stack[0].hidden.gain() is not None) == (hidden != "softmax")
    reconstructed, h = stack[0].down(stack[0].up(x)), stack[0].up(x)
    decoder, kind = stack[0].decoder()
    from dbn.models.activations import Activation

    torch.testing.assert_close(Activation.create(kind, "activation")(decoder(h)), reconstructed, rtol=1e-5, atol=1e-6)


def test_autoencoders_and_components_refuse_what_they_cannot_be_made_of(data: DataSet) -> None:
    from dbn.pretraining import DenoisingAutoencoder, PrincipalComponents

    with pytest.raises(SettingError, match="mean_slope"):
        pretrain_stack(data, LAYERS, visible="as_data", method=DenoisingAutoencoder(), progress=False)
    parts = [{"kind": "bernoulli", "n": 9}]
    layers = [LayerSettings(n_hidden=9, hidden={"kind": "mixed", "parts": parts})]
    with pytest.raises(SettingError, match="mixed"):
        pretrain_stack(data, layers, visible="as_data", method=PrincipalComponents(), progress=False)


def test_hidden_categories_learn(data: DataSet) -> None:
    """A single group of hidden units is a mixture: as many clusters, and one of them answers for every row."""
    layers = [LayerSettings(n_hidden=3, hidden="softmax", epochs=60, batch_size=20, learning_rate=0.05)]
    stack = pretrain_stack(data, layers, visible="as_data", progress=False)
    assert isinstance(stack[0].hidden, Softmax)
    cluster = stack.up(data.train.features())
    torch.testing.assert_close(cluster.sum(1), torch.ones(len(cluster)))
    used = cluster.mean(0)
    assert (used > 0.1).all()
