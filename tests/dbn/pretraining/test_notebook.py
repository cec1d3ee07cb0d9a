"""RBM, DBN, load_data and pretrain_stack as a notebook calls them: arrays work, mistakes are told in words."""

import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dbn import DBN, RBM
from dbn.data import DataSet, Images, Source, digits, load_data
from dbn.data.augment import Augment
from dbn.errors import DataError, SettingError, UserError
from dbn.models.units import Bernoulli, Gaussian
from dbn.pretraining import LayerSettings, RBMPretraining, pretrain_stack
from dbn.random.streams import stream
from dbn.samplers import ContrastiveDivergence

SMALL = [LayerSettings(n_hidden=5, epochs=1)]


def rbm() -> RBM:
    return RBM(Bernoulli(6), Bernoulli(3), generator=stream(0, "init"))


@pytest.mark.parametrize("method", ["free_energy", "mean_hidden", "hidden_field"])
def test_states_may_be_arrays_of_any_float_type(method: str) -> None:
    v = torch.rand(4, 6).half().float()
    expected = getattr(rbm(), method)(v)
    for given in (v.numpy(), v.double(), v.numpy().astype(np.float64), v.half()):
        assert torch.equal(getattr(rbm(), method)(given), expected)
    binary = v > 0.5
    for given in (binary, binary.numpy(), binary.long(), binary.numpy().astype(np.uint8)):
        assert torch.equal(getattr(rbm(), method)(given), getattr(rbm(), method)(binary.float()))


def test_hidden_states_and_pairs_may_be_arrays() -> None:
    v, h = (np.random.default_rng(0).random((4, n)) > 0.5 for n in (6, 3))
    t_v, t_h = torch.from_numpy(v).float(), torch.from_numpy(h).float()
    model = rbm()
    assert torch.equal(model.energy(v, h), model.energy(t_v, t_h))
    assert torch.equal(model.free_energy_hidden(h), model.free_energy_hidden(t_h))
    assert torch.equal(model.mean_visible(h), model.mean_visible(t_h))
    for steps in (0, 3):
        assert torch.equal(model.gibbs(v, steps, stream(0, "gibbs")), model.gibbs(t_v, steps, stream(0, "gibbs")))


def test_what_a_notebook_gives_to_a_stack_is_converted_as_well() -> None:
    stack = DBN([rbm(), RBM(Bernoulli(3), Bernoulli(2))])
    v = torch.rand(4, 6)
    assert torch.equal(stack.up(v.double().numpy()), stack.up(v))  # type: ignore[arg-type]
    assert torch.equal(stack.reconstruct(v.double()), stack.reconstruct(v))


X = torch.rand(4, 6)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: rbm().free_energy(X[:, :5]), r"visible states have shape \(4, 5\), but there are 6"),
        (lambda: rbm().free_energy(X.reshape(4, 2, 3)), r"reshape\(-1, 6\)"),
        (lambda: rbm().free_energy((X * 255).byte()), r"visible states are whole numbers \(torch\.uint8\)"),
        (lambda: rbm().free_energy(X.tolist()), "visible states are of type list"),  # type: ignore[arg-type]
        (lambda: rbm().mean_visible(X), r"hidden states have shape \(4, 6\), but there are 3"),
        (lambda: rbm().energy(X, X), "hidden states"),
        (lambda: rbm().gibbs(X[:, :5], 0), "visible states"),
        (lambda: rbm().gibbs(X, -1), "steps=-1"),
        (lambda: rbm().gibbs(X, 1.5), r"steps=1\.5"),  # type: ignore[arg-type]
        (lambda: RBM(6, 3), r"visible=6: .*Bernoulli\(100\)"),  # type: ignore[arg-type]
        (lambda: RBM(Bernoulli(6), "bernoulli"), "hidden='bernoulli'"),  # type: ignore[arg-type]
        (lambda: (lambda units: RBM(units, units))(Bernoulli(6)), "visible units themselves"),
        (lambda: RBM(Bernoulli(6), Bernoulli(3), weight_std=-1), "weight_std=-1"),
        (lambda: RBM(Bernoulli(6), Bernoulli(3), weight_std=math.nan), "weight_std=nan"),
        (lambda: RBM(Bernoulli(6), Bernoulli(3), generator=0), "generator=0: .*stream"),  # type: ignore[arg-type]
        (lambda: DBN([rbm()]).up(X, 2), "layers=2: it must be a whole number from 0 to 1"),
        (lambda: DBN([rbm()]).up(X, -1), "layers=-1"),
        (lambda: DBN([rbm()]).down(X[:, :3], 2), "layers=2"),
        (lambda: DBN([rbm()]).up(X[:, :5]), "visible states"),
        (lambda: DBN([rbm()]).sample(0), "n=0"),
        (lambda: DBN([rbm(), 3]), "number 2 is 3"),  # type: ignore[list-item]
        (lambda: load_data(X), "source is a Tensor: .*Source"),  # type: ignore[arg-type]
        (lambda: Images.from_features(X[0]), r"features have shape \(6,\)"),
        (lambda: Images.from_features((X * 9).long()), "features are whole numbers"),
        (lambda: Images.from_features(X, torch.zeros(3).long()), r"labels have shape \(3,\), but there are 4 images"),
    ],
)  # fmt: skip
def test_a_mistake_is_an_error_of_this_package(call: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        call()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"layers": [100, 50]}, r"layers holds 100: .*LayerSettings\(n_hidden=100\)"),
        ({"layers": SMALL[0]}, r"give a list, \[LayerSettings"),
        ({"layers": []}, "at least one layer"),
        ({"layers": "100"}, "layers='100'"),
        ({"data": X}, "data is a Tensor: .*load_data"),
        ({"visible": "gausian"}, r"stack\.visible='gausian': .*gaussian"),
        ({"sampler": ContrastiveDivergence}, r"sampler: no such setting\. .*Known: .*method"),
        ({"method": ContrastiveDivergence}, r"method=.*RBMPretraining\(ContrastiveDivergence\)"),
        ({"representation": "disk"}, r"representation: no such setting\. Did you mean representations"),
        ({"representations": "disk"}, "needs the run's directory"),
        ({"precision": "half"}, "precision='half'"),
        ({"checkpoint_seconds": -1}, "checkpoint_seconds=-1"),
        ({"seed": "0"}, "seed='0'"),
    ],
)
def test_pretraining_says_what_it_takes(options: dict[str, Any], words: str, digits_data: DataSet) -> None:
    with pytest.raises(UserError, match=words):
        pretrain_stack(**{"data": digits_data, "layers": SMALL, **options})


def test_pretraining_does_as_the_messages_say(tmp_path: Path) -> None:
    """A data set of pictures by hand, a sampler with its steps, a folder by its name."""
    pictures = torch.randint(256, (40, 1, 3, 3)).to(torch.uint8)
    data = load_data(Source("mine", pictures, maximum=255))
    layers = [LayerSettings(n_hidden=5, epochs=1)]
    stack = pretrain_stack(
        data, layers, method=RBMPretraining(partial(ContrastiveDivergence, steps=3)), directory=str(tmp_path / "runs")
    )
    assert stack.sizes == [9, 5]
    assert (tmp_path / "runs" / "checkpoints" / "layer1.safetensors").is_file()


def by_hand(**splits: torch.Tensor) -> DataSet:
    images = {name: Images.from_features(x) for name, x in splits.items()}
    return DataSet("by hand", **images, shape=(1, 2, 3), classes=())  # type: ignore[arg-type]


@pytest.mark.parametrize("split", ["train", "validation", "test"])
@pytest.mark.parametrize(
    ("value", "words"), [(1.5, "go from .* to 1.5"), (math.nan, "hold NaN: the first is image 2 ")]
)
def test_pretraining_looks_at_every_split(split: str, value: float, words: str) -> None:
    splits = {name: X.clone() for name in ("train", "validation", "test")}
    splits[split][2, 3] = value
    name = "training" if split == "train" else split
    with pytest.raises(DataError, match=f"the {name} images {words}"):
        pretrain_stack(by_hand(**splits), SMALL)


def test_a_data_set_without_images_or_of_another_shape_is_refused() -> None:
    with pytest.raises(DataError, match="no training images"):
        pretrain_stack(by_hand(train=X[:0], validation=X, test=X), SMALL)
    with pytest.raises(DataError, match=r"test images have 5 features each, but images of shape \(1, 2, 3\) have 6"):
        pretrain_stack(by_hand(train=X, validation=X, test=X[:, :5]), SMALL)


def test_bytes_are_not_looked_at_where_none_can_lie_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    from dbn.pretraining.check_data import check_visible

    def looked(self: Images) -> Any:
        raise AssertionError("the images were read")

    data = load_data(Source("mine", torch.randint(256, (40, 1, 3, 3)).to(torch.uint8), maximum=255))
    monkeypatch.setattr(Images, "chunks", looked)
    check_visible(data, "bernoulli")
    check_visible(data, "gaussian")
    with pytest.raises(AssertionError, match="were read"):
        check_visible(replace(data, train=replace(data.train, factor=torch.tensor(1 / 100))), "bernoulli")


@pytest.mark.parametrize("maximum", [1.7, 3.3, 16.0, 49.0, 200.3, 255.0, 1000.1])
def test_the_value_that_stands_for_one_is_inside(maximum: float) -> None:
    """A feature that rounding puts at 1.0000001 is a one."""
    pictures = torch.rand(40, 1, 3, 3) * maximum
    pictures[:, 0, 0, 0] = maximum
    data = load_data(Source("mine", pictures, maximum=maximum))
    assert float(data.train.features().max()) == pytest.approx(1, abs=1e-6)
    assert pretrain_stack(data, SMALL).sizes == [9, SMALL[0].n_hidden]


def test_real_visible_units_take_standardised_digits() -> None:
    data = load_data(digits(), standardise=True)
    with pytest.raises(
        DataError, match=r"set stack\.visible=gaussian as well \(as_data for a table\), or data\.standardise=false"
    ):
        pretrain_stack(data, SMALL)
    stack = pretrain_stack(data, [LayerSettings(n_hidden=5, epochs=1, learning_rate=0.001)], visible="gaussian")
    assert isinstance(stack[0].visible, Gaussian)
    with pytest.raises(DataError, match=r"stack\.visible=relu needs values from 0"):
        pretrain_stack(data, SMALL, visible="relu")


def test_augment_none_is_no_augmentation(digits_data: DataSet) -> None:
    assert pretrain_stack(digits_data, SMALL, augment=None).sizes == [64, 5]
    assert pretrain_stack(digits_data, SMALL, augment=Augment(rotation=10)).sizes == [64, 5]
    with pytest.raises(SettingError, match="augment"):
        pretrain_stack(digits_data, SMALL, augment="affine")
