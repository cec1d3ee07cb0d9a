"""Stacks with convolutional layers: trained, interrupted, several seeds together, from the command line."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dbn import DBN
from dbn.data import DataSet, diabetes, digits, load_data
from dbn.errors import SettingError
from dbn.pretraining import LayerSettings, RBMPretraining, StackRun, pretrain_stack, pretrain_stacks
from dbn.pretraining.denoising import DenoisingAutoencoder, JointAutoencoder
from dbn.pretraining.from_config import layers_of
from dbn.pretraining.pictures import pictures_of_stack
from dbn.pretraining.principal_components import PrincipalComponents
from dbn.samplers import HiddenChains, PersistentContrastiveDivergence
from helpers import Composer, stop_at

FILTERS = {"kind": "convolution", "kernel": 3, "padding": 1}
COMMON: dict[str, Any] = {"epochs": 2, "batch_size": 50, "learning_rate": 0.05, "weight_std": 0.05}
LAYERS = [
    LayerSettings(n_hidden=6, connection=FILTERS, pool=2, **COMMON),
    LayerSettings(n_hidden=8, connection=FILTERS, pool=2, **COMMON),
    LayerSettings(n_hidden=20, **COMMON),
]
RECTIFIED = [LayerSettings(n_hidden=6, connection=FILTERS, pool=2, hidden="relu", **{**COMMON, "learning_rate": 1e-2})]


@pytest.fixture(scope="module")
def data() -> DataSet:
    return load_data(digits())


def test_a_layer_learns_filters_that_reconstruct_images_that_it_has_not_seen(data: DataSet) -> None:
    settings = [LayerSettings(n_hidden=16, connection=FILTERS, epochs=10, batch_size=20, learning_rate=0.1)]
    stack = pretrain_stack(data, settings, progress=False)
    images = data.test.features()
    error = (stack.reconstruct(images) - images).square().sum(1).mean()
    mean = data.train.features().mean(0)
    assert error < 0.3 * (images - mean).square().sum(1).mean()
    pictures = pictures_of_stack(stack, data, 0)
    assert pictures["samples"].shape == (20, 1, 8, 8)
    np.testing.assert_array_equal(pictures["filters"], stack[0].weight.detach().numpy())


def test_pictures_of_higher_layers_are_what_a_unit_in_the_middle_sends_down(data: DataSet) -> None:
    """Against the derivative of a unit's field by the image, with every block's outputs as the sum of its units."""
    stack = pretrain_stack(data, LAYERS, progress=False)
    pictures = pictures_of_stack(stack, data, 0)
    assert pictures["features2"].shape[:2] == (8, 1)
    assert pictures["features3"].shape == (20, 1, 8, 8)
    image = torch.zeros(1, 64, requires_grad=True)
    lower = stack[0].connection.hidden_field(image).view(1, 4, 2, 4, 2, 6).mean((2, 4)).flatten(1)
    field = stack[1].connection.hidden_field(lower).view(4, 4, 8)
    middle = field[2, 2]
    for number in range(8):
        (expected,) = torch.autograd.grad(middle[number], image, retain_graph=True)
        expected = expected.view(8, 8)
        rows, columns = (expected != 0).nonzero().unbind(1)
        cropped = expected[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        np.testing.assert_allclose(pictures["features2"][number, 0], cropped, atol=1e-6)


@pytest.mark.parametrize(("layers", "sampler"), [
    (LAYERS, None), (LAYERS, HiddenChains), (LAYERS, partial(PersistentContrastiveDivergence, 2)), (RECTIFIED, None),
])  # fmt: skip
def test_a_stack_goes_on_where_it_stopped(
    data: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layers: list[LayerSettings], sampler: Any
) -> None:
    """Stopped in the second epoch of each layer: the same bits as undisturbed."""
    method = RBMPretraining() if sampler is None else RBMPretraining(sampler)
    options: dict[str, Any] = {"method": method, "progress": False}
    whole = pretrain_stack(data, layers, **options)
    for layer in range(1, len(layers) + 1):
        with monkeypatch.context() as patch:
            stop_at(patch, layer, epoch=1)
            with pytest.raises(KeyboardInterrupt):
                pretrain_stack(data, layers, directory=tmp_path, checkpoint_seconds=0, **options)
    resumed = pretrain_stack(data, layers, directory=tmp_path, checkpoint_seconds=0, **options)
    assert whole.state_dict().keys() == resumed.state_dict().keys()
    for (name, own), other in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(own, other), name


@pytest.mark.parametrize("layers", [LAYERS, RECTIFIED])
def test_seeds_that_train_together_learn_what_each_learns_alone(data: DataSet, layers: list[LayerSettings]) -> None:
    """Bit by bit where all layers are convolutional: they are computed one after the other."""
    layers = [own for own in layers if own.pool]
    together = pretrain_stacks(data, layers, [StackRun(seed) for seed in range(2)], progress=False)
    for seed, own in enumerate(together):
        alone = pretrain_stack(data, layers, seed=seed, progress=False)
        for (name, found), other in zip(own.stack.state_dict().items(), alone.state_dict().values(), strict=True):
            torch.testing.assert_close(found, other, rtol=0, atol=2e-3, msg=name)


def test_bfloat16_trains_and_the_file_says_so(data: DataSet, tmp_path: Path) -> None:
    stack = pretrain_stack(data, LAYERS, precision="bf16", progress=False)
    exact = pretrain_stack(data, LAYERS, precision="float32", progress=False)
    images = data.test.features()
    torch.testing.assert_close(stack.up(images, 1), exact.up(images, 1), rtol=0, atol=0.05)
    assert not torch.equal(stack.up(images, 1), exact.up(images, 1))


def test_a_configuration_says_maps_kernel_and_pool(compose: Composer) -> None:
    stack = compose("pretrain", ["stack.layers=[{kind: convolution, maps: 24, kernel: 5, stride: 2, pool: 2}, 30]"])
    first, second = layers_of(stack["stack"])
    assert (first.n_hidden, first.pool) == (24, 2)
    assert first.connection == {"kind": "convolution", "kernel": 5, "stride": 2}
    assert (second.n_hidden, second.connection, second.pool) == (30, "dense", None)


@pytest.mark.parametrize(("layer", "words"), [
    ("{kind: convolution, maps: 4}", r"stack\.layers\.kernel: this setting is missing"),
    ("{kind: convolution, maps: 4, kernel: 3, n_hidden: 4}", r"stack\.layers\.n_hidden=4: .*Leave it out"),
    ("{n_hidden: 4, kernel: 3}", r"stack\.layers\.kernel=3: only convolutional layers"),
    ("{kind: convolved, maps: 4, kernel: 3}", r"stack\.layers\.kind='convolved': no such choice\. Use convolution"),
    ("{kind: convolution, maps: 4, kernel: 3, pool: 1}", r"stack\.layers\.pool=1"),
    ("{kind: convolution, maps: 0, kernel: 3}", r"stack\.layers\.maps=0"),
    ("{kind: convolution, maps: 4, kernel: 0}", r"stack\.layers\.kernel=0"),
    ("{kind: convolution, maps: 4, kernal: 3}", r"stack\.layers\.kernal: no such setting.*kernel"),
    ("{kind: dense, n_hidden: 4}", r"kind='dense': no such choice.*\{n_hidden: 500\}"),
    ("{kind: convolution, maps: 4, kernel: 3, hidden: per_map}", r"hidden='per_map': .* by itself"),
    ("{kind: convolution, maps: 4, kernel: 3, hidden: {kind: max_pooled, pool: 2}}", r"hidden=.*by itself"),
])  # fmt: skip
def test_settings_that_make_no_layer_are_refused(compose: Composer, layer: str, words: str) -> None:
    with pytest.raises(SettingError, match=words):
        layers_of(compose("pretrain", [f"stack.layers=[{layer}]"])["stack"])


@pytest.mark.parametrize(("settings", "words"), [
    ([LayerSettings(n_hidden=4, connection=FILTERS, pool=3)], "pool=3: blocks of 3x3 do not fill maps of 8x8"),
    ([LayerSettings(n_hidden=4, pool=2)], "pool=2: only convolutional layers are pooled"),
    ([LayerSettings(n_hidden=4), LayerSettings(n_hidden=4, connection=FILTERS)], "Put convolutional layers below"),
    ([LayerSettings(n_hidden=4, connection={**FILTERS, "kernel": 11})], "kernel=11: the filters are larger"),
])  # fmt: skip
def test_stacks_that_cannot_be_are_refused_before_training(data: DataSet, settings: Any, words: str) -> None:
    with pytest.raises(SettingError, match=words):
        pretrain_stack(data, settings, progress=False)


def test_columns_of_a_table_are_no_picture() -> None:
    with pytest.raises(SettingError, match=r"lie in one line, 1x10.*Use dense layers"):
        pretrain_stack(load_data(diabetes()), LAYERS[:1], visible="as_data", progress=False)


@pytest.mark.parametrize("visible", ["per_map", "max_pooled", {"kind": "per_map", "units": "bernoulli"}])
def test_units_of_maps_are_not_those_of_images(data: DataSet, visible: Any) -> None:
    with pytest.raises(SettingError, match=r"stack\.visible=.* by itself"):
        pretrain_stack(data, LAYERS[:1], visible=visible, progress=False)


def test_a_kind_that_is_written_out_is_the_same_units(data: DataSet) -> None:
    settings = [LayerSettings(n_hidden=6, connection=FILTERS, pool=2, hidden={"kind": "bernoulli"}, **COMMON)]
    written, short = (pretrain_stack(data, each, progress=False) for each in (settings, LAYERS[:1]))
    assert written[0].hidden.spec() == short[0].hidden.spec()
    assert torch.equal(written[0].weight, short[0].weight)


def test_every_layer_may_stop_by_its_pseudo_likelihood(data: DataSet) -> None:
    settings = [replace(layer, patience=1, watch="pseudo_likelihood") for layer in LAYERS]
    assert len(pretrain_stack(data, settings, progress=False)) == 3


def test_one_file_holds_all(data: DataSet, tmp_path: Path) -> None:
    pretrain_stack(data, LAYERS, directory=tmp_path, progress=False).save(tmp_path / "x.safetensors")
    stack = DBN.load(tmp_path / "x.safetensors")
    assert stack.shapes == [(1, 8, 8), (4, 4, 6), (2, 2, 8), (20,)]
    assert stack.transform(data.test.pixels[:3].numpy(), layer=1).shape == (3, 96)


@pytest.mark.parametrize("method", [DenoisingAutoencoder(), JointAutoencoder(), PrincipalComponents()])
def test_methods_of_dense_layers_refuse_others(data: DataSet, method: Any) -> None:
    settings = [LayerSettings(n_hidden=6, connection=FILTERS, hidden="relu", epochs=1)]
    with pytest.raises(SettingError, match=r"dense (layers|matrix).*Use"):
        pretrain_stack(data, settings, method=method, progress=False)
