"""Settings that would have no effect are refused, with advice that works."""

from functools import partial
from typing import Any

import pytest
import torch

from dbn.data import DataSet, digits, load_data
from dbn.errors import SettingError
from dbn.pretraining import DenoisingAutoencoder, LayerSettings, PrincipalComponents, pretrain_stack
from dbn.pretraining.check_config import check_pretraining
from helpers import Composer

SMALL: dict[str, Any] = {"n_hidden": 8, "epochs": 1, "batch_size": 100}


@pytest.fixture(scope="module")
def data() -> DataSet:
    return load_data(digits())


@pytest.mark.parametrize("method", [DenoisingAutoencoder(), PrincipalComponents()])
@pytest.mark.parametrize(
    ("settings", "advice"),
    [
        ({"gradient": "centered"}, "Use gradient=plain"),
        ({"l1_cost": 0.1}, "Use l1_cost=0"),
        ({"max_norm": 2.0}, "Use max_norm=null"),
        ({"sparsity_target": 0.1}, "Use sparsity_target=null"),
    ],
)
def test_what_only_rbms_have(data: DataSet, method: Any, settings: dict[str, Any], advice: str) -> None:
    with pytest.raises(SettingError, match=f"{type(method).__name__} has no use for it.*{advice}"):
        pretrain_stack(data, [LayerSettings(**SMALL, **settings)], method=method, progress=False)


@pytest.mark.parametrize(
    ("optimizer", "settings", "named"),
    [
        (torch.optim.Adam, {"momentum": 0.8}, r"momentum=0\.8: Adam has no momentum.*Use momentum=0\.9"),
        (torch.optim.Adam, {"initial_momentum_epochs": 0}, "initial_momentum_epochs=0: Adam"),
        (torch.optim.Rprop, {}, r"weight_cost=0\.0002: Rprop has no weight decay. Use weight_cost=0"),
    ],
)
def test_what_an_optimiser_does_not_know(data: DataSet, optimizer: Any, settings: Any, named: str) -> None:
    with pytest.raises(SettingError, match=named):
        pretrain_stack(data, [LayerSettings(**SMALL, **settings)], optimizer=optimizer, progress=False)


@pytest.mark.parametrize("optimizer", [torch.optim.RMSprop, partial(torch.optim.AdamW, betas=(0.5, 0.9))])
def test_optimisers_that_know_all_are_taken(data: DataSet, optimizer: Any) -> None:
    assert pretrain_stack(data, [LayerSettings(**SMALL)], optimizer=optimizer, progress=False)


@pytest.mark.parametrize(
    ("overrides", "named", "cure"),
    [
        (["optimizer@stack.optimizer=adamw"], "stack.optimizer.weight_decay=0.01", "stack.optimizer.weight_decay=0"),
        (["+stack.optimizer.momentum=0.7"], "stack.optimizer.momentum=0.7", "stack.optimizer.momentum=0"),
        (
            ["optimizer@stack.optimizer=adam", "stack.every_layer.momentum=0.7"],
            "stack.every_layer.momentum=0.7: Adam", "stack.every_layer.momentum=0.9",
        ),
        (
            ["method=denoising_autoencoder", "stack.every_layer.gradient=enhanced"],
            "stack.every_layer.gradient='enhanced': Denoising", "stack.every_layer.gradient=plain",
        ),
    ],
)  # fmt: skip
def test_configurations_are_refused_before_anything_is_trained(
    overrides: list[str], named: str, cure: str, compose: Composer
) -> None:
    with pytest.raises(SettingError) as refused:
        check_pretraining(compose("pretrain", overrides))
    assert named in str(refused.value)
    assert cure.removeprefix("stack.every_layer.") in str(refused.value)
    check_pretraining(compose("pretrain", [*overrides, cure]))


def test_nesterov_s_momentum_is_the_layer_s(compose: Composer) -> None:
    check_pretraining(compose("pretrain", ["optimizer@stack.optimizer=sgd"]))
