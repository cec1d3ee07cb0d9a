"""The factorial against effects that its values were made from."""

import itertools

import pytest

from finetune.report.compare import compare
from finetune.report.factorial import factorial_of
from finetune.report.read import read_study


def _settings(activation: str, dropout: bool, augment: bool) -> dict[str, object]:
    return {
        "network": {"activation": activation, "dropout_input": 0.1 if dropout else 0.0, "dropout_hidden": 0.0},
        "augment": {"rotation": 10.0 if augment else 0.0, "elastic_sigma": 4.0},
    }


def _fill(study, leave_out: str = "") -> None:
    """Error = 0.2 - 0.04 pretrained - 0.02 relu + 0.03 (pretrained and relu) - 0.01 dropout + a shift for each seed."""
    for pretrained, relu, dropout, augment in itertools.product((False, True), repeat=4):
        name = "_".join(("dbn" if pretrained else "random", f"{relu:d}{dropout:d}{augment:d}"))
        if name == leave_out:
            continue
        error = 0.2 - 0.04 * pretrained - 0.02 * relu + 0.03 * (pretrained and relu) - 0.01 * dropout
        config = _settings("relu" if relu else "sigmoid", dropout, augment)
        study.arm(name, [error, error + 0.05, error - 0.05], config=config)


def test_effects_are_those_that_the_errors_were_made_of(study) -> None:
    _fill(study)
    (section,) = compare(read_study(study.directory).compared)
    factorial = factorial_of(section)
    assert factorial is not None
    assert len(factorial.cells) == 16
    effects = {effect.factors: effect.estimate.mean for effect in factorial.effects}
    assert effects[("initialisation",)] == pytest.approx(-0.04 + 0.03 / 2)
    assert effects[("activation",)] == pytest.approx(-0.02 + 0.03 / 2)
    assert effects[("dropout",)] == pytest.approx(-0.01)
    assert effects[("augmentation",)] == pytest.approx(0, abs=1e-12)
    assert effects[("initialisation", "activation")] == pytest.approx(0.03 / 2)
    assert effects[("dropout", "augmentation")] == pytest.approx(0, abs=1e-12)


def test_what_a_seed_does_to_every_cell_cancels(study) -> None:
    _fill(study)
    (section,) = compare(read_study(study.directory).compared)
    factorial = factorial_of(section)
    assert factorial is not None
    for effect in factorial.effects:
        assert effect.estimate.half_width == pytest.approx(0, abs=1e-12)


def test_a_combination_that_is_missing_makes_no_factorial(study) -> None:
    _fill(study, leave_out="dbn_111")
    (section,) = compare(read_study(study.directory).compared)
    assert factorial_of(section) is None
