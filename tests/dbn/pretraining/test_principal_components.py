"""Principal components as a layer: against scikit-learn, and what units make of them."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from dbn import DBN
from dbn.data import DataSet
from dbn.errors import SettingError
from dbn.pretraining import LayerSettings, PrincipalComponents, StackRun, pretrain_stack, pretrain_stacks
from dbn.pretraining.principal_components import principal_components
from dbn.pretraining.stack_run import pretrain, pretraining_directory
from helpers import Composer


def field_of(stack: DBN, x: torch.Tensor) -> torch.Tensor:
    """Pre-activations of the first layer, in float64."""
    layer = stack[0].double()
    return (layer.connection.hidden_field(x.double()) + layer.hidden.bias).detach()


def test_variances_and_directions_are_those_of_scikit_learn(digits_data: DataSet) -> None:
    x = digits_data.train.features()
    peer = PCA().fit(x.double().numpy())
    mean, variances, components = principal_components(digits_data.train)
    np.testing.assert_allclose(mean, peer.mean_, atol=1e-12)
    np.testing.assert_allclose(variances, peer.explained_variance_, atol=1e-10)
    alike = np.abs((components.numpy() * peer.components_.T).sum(0))
    np.testing.assert_allclose(alike[:50], 1, atol=1e-8)  # up to sign; the last ones have hardly any variance


@pytest.mark.parametrize("whiten", [True, False])
def test_sigmoid_units_see_the_leading_components(whiten: bool, digits_data: DataSet) -> None:
    """Whitened as scikit-learn whitens; otherwise all with the scale that makes the mean variance four."""
    x = digits_data.train.features()
    method = PrincipalComponents(whiten=whiten, scale=2.0)
    stack = pretrain_stack(digits_data, [LayerSettings(n_hidden=20)], method=method, progress=False)
    field = field_of(stack, x)
    expected = PCA(20, whiten=whiten).fit_transform(x.double().numpy())
    expected *= 2 / (1 if whiten else np.sqrt(expected.var(0, ddof=1).mean()))
    np.testing.assert_allclose(field.abs().numpy(), np.abs(expected), atol=1e-4)
    assert float(field.var(0).mean()) == pytest.approx(4.0, rel=1e-4)
    torch.testing.assert_close(stack.double().up(x.double()), torch.sigmoid(field))


def test_rectifiers_see_every_component_with_both_signs(digits_data: DataSet) -> None:
    """Their difference is the component: nothing is lost, and a linear map of the code gives it."""
    x = digits_data.train.features()
    settings = [LayerSettings(n_hidden=21, hidden="relu")]
    stack = pretrain_stack(digits_data, settings, method=PrincipalComponents(), progress=False)
    field, code = field_of(stack, x), stack.double().up(x.double())
    torch.testing.assert_close(field[:, 0:20:2], -field[:, 1:20:2])
    torch.testing.assert_close(code[:, 0:20:2] - code[:, 1:20:2], field[:, 0:20:2])
    peer = PCA(11, whiten=True).fit_transform(x.double().numpy())
    np.testing.assert_allclose(field[:, 0::2].abs().numpy(), np.abs(peer), atol=1e-4)


def test_more_units_than_components_combine_these_at_the_same_variance(digits_data: DataSet) -> None:
    """Of 64 pixels some never change, and give no component; units beyond differ from seed to seed, components not."""
    x = digits_data.train.features()
    runs = [StackRun(0), StackRun(1)]
    settings = [LayerSettings(n_hidden=100)]
    found = pretrain_stacks(digits_data, settings, runs, method=PrincipalComponents(), progress=False)
    fields = [field_of(own.stack, x) for own in found]
    n = int((PCA().fit(x.double().numpy()).explained_variance_ > 1e-6).sum())
    assert n < 64
    for field in fields:
        torch.testing.assert_close(field.var(0), torch.ones(100, dtype=torch.float64), rtol=1e-3, atol=0)
    torch.testing.assert_close(fields[0][:, : n - 5], fields[1][:, : n - 5])
    assert (fields[0][:, n:] - fields[1][:, n:]).abs().mean() > 0.5
    assert [own["epochs"] for own in found[0].facts] == [0]


def test_the_next_layer_is_of_the_components_of_this_one(digits_data: DataSet) -> None:
    settings = [LayerSettings(n_hidden=n) for n in (30, 10)]
    stack = pretrain_stack(digits_data, settings, method=PrincipalComponents(), progress=False)
    code = stack.up(digits_data.train.features(), 1).double()
    peer = PCA(10, whiten=True).fit_transform(code.numpy())
    field = (code @ stack[1].weight.double() + stack[1].hidden.bias.double()).detach()
    np.testing.assert_allclose(field.abs().numpy(), np.abs(peer), atol=2e-3)


def test_a_run_is_done_again_with_the_same_bits(compose: Composer) -> None:
    config = compose("pretrain", ["stack.layers=[100,12]", "method=pca"])
    result = pretrain(config)
    directory = pretraining_directory(config)
    before = (directory / "dbn.safetensors").read_bytes()
    (directory / "result.json").unlink()
    assert pretrain(config)["flops"] == result["flops"] > 0
    assert (directory / "dbn.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("method.scale=0", r"method\.scale=0"),
        ("method.whiten=3", r"method\.whiten=3"),
    ],
)
def test_wrong_settings_are_named(override: str, words: str, compose: Composer) -> None:
    with pytest.raises(SettingError, match=words):
        pretrain(compose("pretrain", ["method=pca", override]))
