"""What kind of arm a run is of."""

from typing import Any

import pytest

from finetune.report.figures.style import COLOURS
from finetune.report.pages.study_page import KIND_NAMES
from finetune.report.results.study import read_study
from finetune.runs.network_run import finetune
from helpers import Composer

MARGINALS = {"init": {"_target_": "finetune.networks.initialise.Marginals"}}


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ({"kind": "control", "pretrained": False}, "control"),
        ({"kind": "random"}, "random"),
        ({"kind": "pretrained"}, "pretrained"),
        ({"pretrained": True}, "pretrained"),  # results of older versions
        ({"pretrained": False}, "random"),
        ({"pretrained": False, "config": MARGINALS}, "control"),
        ({"pretrained": None}, "unstated"),
        ({"kind": "nonsense", "pretrained": None}, "unstated"),
        ({"kind": "random", "stage": "baseline"}, "baseline"),
    ],
)
def test_a_result_says_its_kind(study: Any, content: dict[str, Any], kind: str) -> None:
    study.run("arm", 0, 0.1, **content)
    (run,) = read_study(study.directory).runs
    assert run.kind == kind
    assert kind in COLOURS
    assert kind in KIND_NAMES


@pytest.mark.parametrize(
    ("arm", "kind"),
    [("dbn", "pretrained"), ("random_relu_orthogonal", "random"), ("random_tanh", "random"), ("marginals", "control")],
)
def test_an_arm_s_result_states_it(arm: str, kind: str, compose: Composer) -> None:
    small = ["stack.layers=[6]", "stack.every_layer.epochs=1", "training.epochs=1", "data.n_labelled=50"]
    assert finetune(compose("finetune", [f"arm={arm}", *small]))["kind"] == kind
