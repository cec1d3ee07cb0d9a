"""Random search: what trials draw, and that settings reach the run."""

import json
from pathlib import Path
from typing import Any

import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from omegaconf import DictConfig, OmegaConf
from scipy import stats

from dbn.commands.configuration import config_directory, resolve_config
from dbn.errors import DataError, SettingError
from finetune.report import write_report
from finetune.runs.network_run import finetune_seeds
from finetune.runs.search import draw, read_chosen, searched

SPACE = {
    "training.learning_rate": {"low": 0.003, "high": 1.0, "log": True},
    "network.dropout_hidden": {"low": 0.1, "high": 0.6},
    "training.max_norm": {"choices": [None, 2.0, 3.0]},
}


def configuration(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        return hydra_compose("finetune", list(overrides))


def test_draws_are_even_on_their_scale() -> None:
    """Kolmogorov-Smirnov over 400 trials at the 1 % level; a choice within four standard errors of a third."""
    trials = [draw(SPACE, trial) for trial in range(400)]
    logarithm = stats.loguniform(0.003, 1.0).cdf
    assert stats.kstest([t["training.learning_rate"] for t in trials], logarithm).pvalue > 0.01
    assert stats.kstest([t["network.dropout_hidden"] for t in trials], stats.uniform(0.1, 0.5).cdf).pvalue > 0.01
    for choice in (None, 2.0, 3.0):
        share = sum(t["training.max_norm"] == choice for t in trials) / 400
        assert abs(share - 1 / 3) < 4 * (2 / 9 / 400) ** 0.5
    lrs, drops = ([t[key] for t in trials] for key in ("training.learning_rate", "network.dropout_hidden"))
    assert abs(stats.spearmanr(lrs, drops).statistic) < 4 / 400**0.5


def test_a_key_gets_the_same_values_whatever_else_is_searched() -> None:
    alone = {"training.learning_rate": SPACE["training.learning_rate"]}
    assert [draw(alone, k)["training.learning_rate"] for k in range(5)] == [
        draw(SPACE, k)["training.learning_rate"] for k in range(5)
    ]


@pytest.mark.parametrize(
    ("dimension", "complaint"),
    [
        ({"low": 0.0, "high": 1.0, "log": True}, "low=0.0"),
        ({"low": 1.0, "high": 1.0}, "high=1.0"),
        ({"low": 1.0}, "give low and high"),
        ({"choices": []}, "choices="),
        ({"low": 0, "hihg": 1}, "hihg"),
    ],
)
def test_spaces_that_cannot_be_drawn_from_are_named(dimension: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SettingError, match=complaint):
        draw({"training.learning_rate": dimension}, 0)


def test_a_trial_sets_what_it_draws_and_what_hangs_on_it() -> None:
    config = searched(configuration("arm=random_relu_dropout", "search.trial=3"))
    space = OmegaConf.to_container(configuration("arm=random_relu_dropout").space)
    drawn = draw(space, 3)  # type: ignore[arg-type]
    assert config.training.learning_rate == drawn["training.learning_rate"] == config.schedule.factory.max_lr
    assert config.network.dropout_hidden == drawn["network.dropout_hidden"]
    assert dict(config.searched) == drawn
    assert searched(configuration()).searched == {}


def test_chosen_settings_are_those_of_the_arm(tmp_path: Path) -> None:
    file = tmp_path / "chosen.json"
    file.write_text(
        json.dumps({"dbn": {"settings": {"training.learning_rate": 0.123}}, "random_relu": {"settings": {}}})
    )
    config = searched(configuration("arm=dbn", f"search.chosen={file}"))
    assert config.training.learning_rate == 0.123
    with pytest.raises(SettingError, match="nothing was chosen for arm=dbn_relu"):
        read_chosen(file, "dbn_relu")
    with pytest.raises(SettingError, match="not both"):
        searched(configuration(f"search.chosen={file}", "search.trial=0"))


def test_files_that_hold_no_choice_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_chosen(tmp_path / "chosen.json", "dbn")
    (tmp_path / "chosen.json").write_text('{"dbn": 3}')
    with pytest.raises(DataError, match="cannot be used"):
        read_chosen(tmp_path / "chosen.json", "dbn")


def test_what_the_command_line_says_is_no_part_of_a_trial() -> None:
    words = ["search.trial=3", "training.learning_rate=0.5"]
    config = searched(configuration("arm=dbn", *words), words)
    assert config.training.learning_rate == 0.5
    assert set(config.searched) == {"optimizer.weight_decay", "training.label_smoothing"}


def test_trials_are_those_of_earlier_versions() -> None:
    """A stream is called what it was called when the settings of conf/recipe/ were drawn."""
    assert draw({"training.learning_rate": {"low": 0.003, "high": 1.0, "log": True}}, 11) == {
        "training.learning_rate": 0.1061
    }


def test_a_key_of_the_space_that_is_no_setting_is_named() -> None:
    with pytest.raises(SettingError, match=r"space.optimizer.rate: no such setting"):
        searched(configuration("search.trial=0", "+space.optimizer.rate={low:0,high:1}"))


def test_a_search_ends_in_a_run_with_what_it_chose(tmp_path: Path) -> None:
    """Trials, the report's choice by validation, and a final run on another seed: each through the real commands."""
    small = ["sweep=tune", "arm=random_relu", "stack.layers=[12]", "training.epochs=2", f"paths.runs={tmp_path}"]
    small += ["progress=false"]
    errors = {}
    for trial in (0, 1):
        (result,) = finetune_seeds(resolve_config(searched(configuration(*small, f"search.trial={trial}"))))
        errors[trial] = result["metrics"]["validation/error"]
    files = write_report(tmp_path / "tune")
    best = min(errors, key=lambda trial: (errors[trial], trial))
    assert files.chosen is not None
    assert json.loads(files.chosen.read_text())["random_relu"]["trial"] == best
    final = ["sweep=final", *small[1:], "n_parallel_seeds=1", "seed=7"]
    (result,) = finetune_seeds(resolve_config(searched(configuration(*final))))
    settings = draw(OmegaConf.to_container(configuration(*small).space), best)  # type: ignore[arg-type]
    assert result["config"]["searched"] == settings
    assert result["config"]["training"]["learning_rate"] == settings["training.learning_rate"]
    assert result["trial"] is None
    assert write_report(tmp_path / "final").chosen is None
