"""The factorial against effects that its values were made from, and least squares."""

import itertools

import numpy as np
import pytest
from scipy import stats

from finetune.report.comparison.factorial import find_factorial
from finetune.report.pages.parts.factorial_part import factorial_part
from finetune.report.results.formatting import MINUS


def _settings(activation: str, dropout: bool, augment: bool, kind: str = "rotation") -> dict[str, object]:
    return {
        "network": {"activation": activation, "dropout_input": 0.1 if dropout else 0.0, "dropout_hidden": 0.0},
        "augment": {kind: 0.5 if augment else 0.0, "elastic_sigma": 4.0},
    }


def _fill(study, leave_out: str = "", kind: str = "rotation") -> None:
    """Error = 0.2 - 0.04 pretrained - 0.02 relu + 0.03 (pretrained and relu) - 0.01 dropout + a shift for each seed."""
    for pretrained, relu, dropout, augment in itertools.product((False, True), repeat=4):
        name = "_".join(("dbn" if pretrained else "random", f"{relu:d}{dropout:d}{augment:d}"))
        if name == leave_out:
            continue
        error = 0.2 - 0.04 * pretrained - 0.02 * relu + 0.03 * (pretrained and relu) - 0.01 * dropout
        config = _settings("relu" if relu else "sigmoid", dropout, augment, kind)
        study.arm(name, [error, error + 0.05, error - 0.05], config=config)


@pytest.mark.parametrize("kind", ["rotation", "elastic_alpha", "crop", "flip", "brightness", "contrast", "saturation"])
def test_effects_are_those_that_the_errors_were_made_of(study, kind: str) -> None:
    """Whatever the kind of augmentation."""
    _fill(study, kind=kind)
    section = study.section()
    factorial = find_factorial(section)
    assert factorial is not None
    assert len(factorial.cells) == 16
    effects = {effect.factors: effect.estimate.mean for effect in factorial.effects}
    assert effects[("initialisation",)] == pytest.approx(-0.04 + 0.03 / 2)
    assert effects[("activation",)] == pytest.approx(-0.02 + 0.03 / 2)
    assert effects[("dropout",)] == pytest.approx(-0.01)
    assert effects[("augmentation",)] == pytest.approx(0, abs=1e-12)
    assert effects[("initialisation", "activation")] == pytest.approx(0.03 / 2)
    assert effects[("dropout", "augmentation")] == pytest.approx(0, abs=1e-12)


def test_normalisation_is_a_factor(study) -> None:
    for name, normalisation, error in (
        ("dbn", None, 0.2), ("dbn_layernorm", {"kind": "layer", "epsilon": 1e-5}, 0.15), ("random", None, 0.3),
        ("random_layernorm", "layer", 0.22),
    ):  # fmt: skip
        config = _settings("relu", False, False)
        study.arm(
            name, [error, error], config=config | {"network": config["network"] | {"normalisation": normalisation}}
        )
    factorial = find_factorial(study.section())
    assert factorial is not None
    assert factorial.factors == ("initialisation", "normalisation")
    effects = {effect.factors: effect.estimate.mean for effect in factorial.effects}
    assert effects[("normalisation",)] == pytest.approx((-0.05 - 0.08) / 2)
    (levels,) = {effect.levels for effect in factorial.effects if effect.factors == ("normalisation",)}
    assert levels == (("no normalisation", "layer normalisation"),)


def test_what_a_seed_does_to_every_cell_cancels(study) -> None:
    _fill(study)
    section = study.section()
    factorial = find_factorial(section)
    assert factorial is not None
    for effect in factorial.effects:
        assert effect.estimate.half_width == pytest.approx(0, abs=1e-12)


def test_effects_and_intervals_are_those_of_least_squares(study) -> None:
    """In every seed by itself: errors on factors coded -1 and 1 and their products; effects are doubled."""
    rng = np.random.default_rng(4)
    cells = list(itertools.product((False, True), repeat=3))
    errors = rng.uniform(0.05, 0.3, (4, len(cells)))
    for (pretrained, relu, dropout), own in zip(cells, errors.T, strict=True):
        name = f"{'dbn' if pretrained else 'random'}_{relu:d}{dropout:d}"
        study.arm(name, own.tolist(), config=_settings("relu" if relu else "sigmoid", dropout, augment=False))
    section = study.section()
    factorial = find_factorial(section)
    assert factorial is not None
    code = 2.0 * np.array(cells) - 1
    products = [code[:, a] * code[:, b] for a, b in itertools.combinations(range(3), 2)]
    triple = code.prod(1)
    design = np.column_stack([np.ones(len(cells)), code, *products, triple])
    coefficients = np.linalg.lstsq(design, errors.T, rcond=None)[0]
    assert [effect.factors for effect in factorial.effects] == [
        ("initialisation",), ("activation",), ("dropout",),
        ("initialisation", "activation"), ("initialisation", "dropout"), ("activation", "dropout"),
    ]  # fmt: skip
    for effect, own in zip(factorial.effects, 2 * coefficients[1:7], strict=True):
        expected = stats.ttest_1samp(own, 0).confidence_interval(0.95)
        assert effect.estimate.mean == pytest.approx(own.mean(), rel=1e-9)
        assert effect.estimate.interval.low == pytest.approx(expected.low, rel=1e-9)
        assert effect.estimate.interval.high == pytest.approx(expected.high, rel=1e-9)


def test_an_effect_whose_spread_is_unknown_is_not_claimed(study) -> None:
    """Every seed shows the same contrasts: the main table calls no such difference settled, nor does this one."""
    _fill(study)
    section = study.section()
    part = factorial_part(section)
    assert part is not None
    assert part.sentences == ("No change of the test error by a factor is settled.",)
    assert part.grid.strong == frozenset()
    cells = {name: cells[0] for name, _, cells in part.grid.rows}
    assert cells["augmentation"] == "0.00"
    assert cells["initialisation"].replace(MINUS, "-") == "-2.50"


def test_convolutional_layers_are_a_factor(study) -> None:
    convolution = [{"kind": "convolution", "maps": 24, "kernel": 5}, 256]
    for name, layers, error in (
        ("dbn", [500, 500], 0.2), ("conv_dbn", convolution, 0.15), ("random", [500, 500], 0.3),
        ("conv_random", convolution, 0.22),
    ):  # fmt: skip
        config = _settings("relu", False, False) | {"stack": {"layers": layers}}
        study.arm(name, [error, error], pretrained="dbn" in name, config=config)
    factorial = find_factorial(study.section())
    assert factorial is not None
    assert factorial.factors == ("initialisation", "layers")
    effects = {effect.factors: effect.estimate.mean for effect in factorial.effects}
    assert effects[("layers",)] == pytest.approx((-0.05 - 0.08) / 2)


def test_a_combination_that_is_missing_makes_no_factorial(study) -> None:
    _fill(study, leave_out="dbn_111")
    section = study.section()
    assert find_factorial(section) is None
