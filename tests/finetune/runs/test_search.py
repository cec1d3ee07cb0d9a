"""Search: settings of trials and choices reach the run."""

import json
from pathlib import Path

import numpy as np
import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from dbn.commands.configuration import config_directory, resolve_config
from dbn.errors import DataError, SettingError
from finetune.report import write_report
from finetune.runs.network_run import finetune_seeds
from finetune.runs.search import read_chosen, searched
from finetune.runs.search_space import draw


def configuration(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        return hydra_compose("finetune", list(overrides))


def test_a_trial_sets_what_it_draws_and_what_hangs_on_it() -> None:
    config = searched(configuration("arm=random_relu_dropout", "search.trial=3"))
    space = OmegaConf.to_container(configuration("arm=random_relu_dropout").space)
    drawn = draw(space, 3, arm="random_relu_dropout", labels="all")  # type: ignore[arg-type]
    assert config.training.learning_rate == drawn["training.learning_rate"] == config.schedule.factory.max_lr
    assert config.network.dropout_hidden == drawn["network.dropout_hidden"]
    assert dict(config.searched) == drawn
    assert searched(configuration()).searched == {}


def test_chosen_settings_are_those_of_the_arm_and_number_of_labels(tmp_path: Path) -> None:
    file = tmp_path / "chosen.json"
    chosen = {
        labels: {"dbn": {"settings": {"training.learning_rate": rate}}, "random_relu": {"settings": {}}}
        for labels, rate in (("100", 0.123), ("all", 0.456))
    }
    file.write_text(json.dumps({"digits": chosen}))
    for labels, rate in (("100", 0.123), ("null", 0.456)):
        config = searched(configuration("arm=dbn", f"data.n_labelled={labels}", f"search.chosen={file}"))
        assert config.training.learning_rate == rate
    with pytest.raises(SettingError, match=r"nothing was chosen for arm=dbn_relu.*It holds dbn, random_relu"):
        read_chosen(file, "digits", "dbn_relu", "100")
    with pytest.raises(
        SettingError, match=r"data=digits with data\.n_labelled=200\. It holds digits with 100, .*sweep=tune"
    ):
        read_chosen(file, "digits", "dbn", "200")
    with pytest.raises(SettingError, match="not both"):
        searched(configuration(f"search.chosen={file}", "search.trial=0"))


def test_a_setting_that_every_layer_has_of_its_own_is_not_searched() -> None:
    own = "stack.layers=[{n_hidden: 20, learning_rate: 0.5}, {n_hidden: 10, learning_rate: 0.05}]"
    given = "search.settings={stack.every_layer.learning_rate: 0.3}"
    with pytest.raises(SettingError, match=r"each of stack\.layers has a learning_rate of its own.*stack_space=none"):
        searched(configuration("arm=dbn", own, given))
    reached = searched(configuration("arm=dbn", "stack.layers=[{n_hidden: 20, learning_rate: 0.5}, 10]", given))
    assert reached.stack.every_layer.learning_rate == 0.3


def test_files_that_hold_no_choice_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_chosen(tmp_path / "chosen.json", "digits", "dbn", "all")
    (tmp_path / "chosen.json").write_text('{"dbn": 3}')
    with pytest.raises(DataError, match="cannot be used"):
        read_chosen(tmp_path / "chosen.json", "digits", "dbn", "all")


def test_what_the_command_line_says_is_no_part_of_a_trial() -> None:
    words = ["search.trial=3", "training.learning_rate=0.5"]
    config = searched(configuration("arm=dbn", *words), words)
    assert config.training.learning_rate == 0.5
    stack = {"stack.every_layer.learning_rate", "stack.every_layer.epochs", "sampler.steps"}
    assert set(config.searched) == {"optimizer.weight_decay", "training.label_smoothing", *stack}


def test_a_key_of_the_space_that_is_no_setting_is_named() -> None:
    with pytest.raises(SettingError, match=r"space.optimizer.rate: no such setting"):
        searched(configuration("search.trial=0", "+space.optimizer.rate={low:0,high:1}"))


def test_a_search_ends_in_a_run_with_what_it_chose(tmp_path: Path) -> None:
    """Trials, the report's choice by validation, and a final run on another seed: each through the real commands."""
    small = ["sweep=tune", "arm=random_relu", "stack.layers=[12]", "training.epochs=2", f"paths.runs={tmp_path}"]
    small += ["progress=false", "search.rung=0", "n_parallel_seeds=1"]
    errors = {}
    for trial in (0, 1):
        (result,) = finetune_seeds(resolve_config(searched(configuration(*small, f"search.trial={trial}"))))
        errors[trial] = result["metrics"]["validation/error"]
    files = write_report(tmp_path / "tune")
    best = min(errors, key=lambda trial: (errors[trial], trial))
    assert files.chosen is not None
    assert json.loads(files.chosen.read_text())["digits"]["all"]["random_relu"]["trial"] == best
    final = ["sweep=final", *small[1:], "search.rung=null", "seed=7"]
    (result,) = finetune_seeds(resolve_config(searched(configuration(*final))))
    space = OmegaConf.to_container(configuration(*small).space)
    settings = draw(space, best, arm="random_relu", labels="all")  # type: ignore[arg-type]
    assert result["config"]["searched"] == settings
    assert result["config"]["training"]["learning_rate"] == settings["training.learning_rate"]
    assert result["trial"] is None
    assert write_report(tmp_path / "final").chosen is None


def test_a_run_chooses_by_no_more_labels_than_it_is_trained_on(tmp_path: Path) -> None:
    """The rest of the validation images takes no part; each class keeps its share; a number or null says otherwise."""
    small = ["arm=random_relu", "stack.layers=[12]", "training.epochs=2", f"paths.runs={tmp_path}", "progress=false"]
    found = {}
    for labels in ("as_training", "50", "null"):
        words = [f"data.n_validation={labels}", f"study=s_{labels}", "data.n_labelled=100"]
        (result,) = finetune_seeds(resolve_config(configuration(*small, *words)))
        found[labels] = result["n_validation"], round(result["metrics"]["validation/error"] * result["n_validation"], 6)
    assert [n for n, _ in found.values()] == [100, 50, 288]
    assert all(wrong == int(wrong) for _, wrong in found.values())


def test_validation_images_that_choose_nothing_are_the_others(tmp_path: Path) -> None:
    """Mistakes among those that choose and the spare ones add up to those among all, for the same last weights."""
    small = ["arm=random_relu", "stack.layers=[12]", "training.epochs=2", f"paths.runs={tmp_path}", "progress=false"]
    small += ["data.n_labelled=100", "training.weights=last"]
    metrics = {
        chosen: finetune_seeds(
            resolve_config(configuration(*small, f"study=s_{chosen}", f"data.n_validation={chosen}"))
        )[0]["metrics"]
        for chosen in ("50", "null")
    }
    mistakes = 50 * metrics["50"]["validation/error"] + (288 - 50) * metrics["50"]["spare/error"]
    assert mistakes == pytest.approx(288 * metrics["null"]["validation/error"])
    assert "spare/error" not in metrics["null"]


def test_a_number_of_validation_images_below_the_classes_is_refused(tmp_path: Path) -> None:
    small = ["arm=random_relu", "stack.layers=[12]", "training.epochs=2", f"paths.runs={tmp_path}", "progress=false"]
    (all_labels,) = finetune_seeds(resolve_config(configuration(*small)))
    assert all_labels["n_validation"] == 288
    config = resolve_config(configuration(*small, "study=few", "data.n_labelled=100", "data.n_validation=9"))
    with pytest.raises(SettingError, match=r"data\.n_validation=9: every one of the 10 classes"):
        finetune_seeds(config)


def test_an_npz_file_s_own_key_for_validation_labels_is_no_number_of_them(tmp_path: Path) -> None:
    """``data.validation_labels`` names an array there: a classifier of such a file trains as of any other."""
    rng = np.random.default_rng(0)
    images, labels = rng.random((120, 6, 6)).astype(np.float32), np.arange(120) % 3
    np.savez(tmp_path / "mine.npz", images=images, labels=labels)
    words = ["data=npz", f"data.path={tmp_path}/mine.npz", "data.n_labelled=30", "arm=random_relu", "stack.layers=[5]"]
    config = configuration(*words, "training.epochs=1", "progress=false", f"paths.runs={tmp_path}/runs")
    (result,) = finetune_seeds(resolve_config(config))
    assert result["n_validation"] <= 30
    assert 0 <= result["metrics"]["validation/error"] <= 1
