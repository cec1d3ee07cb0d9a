"""Identity of runs and stacks across versions: settings that earlier ones did not have."""

from copy import deepcopy
from typing import Any

import pytest

from dbn.pretraining.stack_identity import stack_name
from dbn.runs.identity import run_identity
from helpers import Composer

LATER = ("crop", "flip", "brightness", "contrast", "saturation")


def of_earlier_version(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration as it was before crops, mirror images and colours, and before patience and sparsity."""
    earlier = deepcopy(config)
    for key in ("patience", "watch", "sparsity_target", "sparsity_cost"):
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


def test_a_patience_and_a_sparsity_are_part_of_the_identity(compose: Composer) -> None:
    plain = compose("finetune", ["arm=dbn"])
    for setting in ("sparsity_target=0.1", "patience=3"):
        changed = compose("finetune", ["arm=dbn", f"stack.every_layer.{setting}"])
        assert run_identity(changed) != run_identity(plain)
        assert stack_name(changed) != stack_name(plain)


@pytest.mark.parametrize("key", LATER)
def test_what_is_set_is_part_of_the_identity(key: str, compose: Composer) -> None:
    plain = compose("finetune", ["arm=dbn"])
    for group in ("augment", "stack.augment"):
        changed = compose("finetune", ["arm=dbn", f"{group}.{key}=1"])
        assert run_identity(changed) != run_identity(plain)
        assert (stack_name(changed) != stack_name(plain)) == (group == "stack.augment")
