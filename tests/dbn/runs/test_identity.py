"""Identity of runs and stacks across versions: settings that earlier ones did not have."""

from copy import deepcopy
from typing import Any

import pytest

from dbn.pretraining.stack_identity import stack_name
from dbn.runs.identity import run_identity
from helpers import Composer

LAYER = {
    "gradient": "centered", "l1_cost": 1e-4, "max_norm": 3, "dropout_hidden": 0.2, "variance_from_data": True,
    "final_learning_rate": 0,
}  # fmt: skip
"""Settings of a layer that came later, with a value that has an effect."""
LATER = ("crop", "flip", "brightness", "contrast", "saturation")


def of_earlier_version(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration as it was before crops, mirror images and colours, and before these settings of layers."""
    earlier = deepcopy(config)
    del earlier["data"]["weights"]
    for key in ("patience", "watch", "sparsity_target", "sparsity_cost", *LAYER):
        del earlier["stack"]["every_layer"][key]
    for settings in (earlier["augment"], earlier["stack"]["augment"]):
        for key in LATER:
            del settings[key]
    return earlier


@pytest.mark.parametrize("arm", ["dbn", "dbn_relu_dropout_augment_both"])
def test_runs_and_stacks_of_earlier_versions_are_found(arm: str, compose: Composer) -> None:
    config = compose("finetune", [f"arm={arm}"])
    earlier = of_earlier_version(config)
    assert earlier["augment"] != config["augment"]
    assert run_identity(earlier) == run_identity(config)
    assert stack_name(earlier) == stack_name(config)


@pytest.mark.parametrize("setting", ["sparsity_target=0.1", "patience=3", *(f"{k}={v}" for k, v in LAYER.items())])
def test_what_a_layer_uses_is_part_of_the_identity(setting: str, compose: Composer) -> None:
    plain = compose("finetune", ["arm=dbn"])
    for group in ("stack.every_layer", "+stack.upper_layers"):
        changed = compose("finetune", ["arm=dbn", f"{group}.{setting}"])
        assert run_identity(changed) != run_identity(plain)
        assert stack_name(changed) != stack_name(plain)


def test_what_upper_layers_or_a_layer_do_otherwise_is_part_of_the_identity(compose: Composer) -> None:
    """Values that have no effect in every layer have one where others do, and a cost where one layer has its target."""
    every = ["arm=dbn", "stack.every_layer.l1_cost=1e-4", "stack.every_layer.sparsity_target=0.1"]
    runs = [compose("finetune", [*every, *more]) for more in ([], ["+stack.upper_layers.l1_cost=0"])]
    runs.append(compose("finetune", [*every, "+stack.upper_layers.sparsity_target=null"]))
    sparse = ["arm=dbn", "stack.layers=[{n_hidden: 6, sparsity_target: 0.1}, 5]"]
    runs += [compose("finetune", [*sparse, f"stack.every_layer.sparsity_cost={cost}"]) for cost in (0.1, 0.2)]
    for of in (run_identity, stack_name):
        assert len({str(of(run)) for run in runs}) == len(runs)


@pytest.mark.parametrize("key", LATER)
def test_what_is_set_is_part_of_the_identity(key: str, compose: Composer) -> None:
    plain = compose("finetune", ["arm=dbn"])
    for group in ("augment", "stack.augment"):
        changed = compose("finetune", ["arm=dbn", f"{group}.{key}=1"])
        assert run_identity(changed) != run_identity(plain)
        assert (stack_name(changed) != stack_name(plain)) == (group == "stack.augment")
