"""Search by Optuna through the command, with training replaced by a known function of the settings."""

import json
import math
import shlex
import sys
from pathlib import Path
from typing import Any

import optuna
import pytest

from dbn.errors import DivergenceError
from fake_training import FakeTraining
from finetune import train
from finetune.runs.optuna_study import storage_of

SEARCH = ["dbn-finetune", "sweep=optuna", "arm=random_relu", "stack.layers=[9]", "search.pruner=null"]
SEARCH += ["hydra.sweeper.n_trials=8", "hydra.sweeper.sampler.n_startup_trials=5", "n_parallel_seeds=2"]


@pytest.fixture(autouse=True)
def _messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tracebacks: the command sets the variable for good."""
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")


class Training(FakeTraining):
    """Runs are best at a learning rate of 0.05, and may diverge.

    Args:
        diverging: learning rate above which training diverges.
    """

    def __init__(self, diverging: float = math.inf) -> None:
        super().__init__()
        self.diverging = diverging

    def result(self, config: dict[str, Any]) -> dict[str, Any]:
        rate = config["training"]["learning_rate"]
        if rate > self.diverging:
            raise DivergenceError("diverged")
        error = abs(math.log(rate / 0.05)) + (config["seed"] - 1000.5) * 0.2
        return {
            "pretrained": False, "metrics": {"validation/error": error, "validation/nll": -error, "test/error": 1.0},
            "flops": {"pretraining": 0, "fine_tuning": 1000 * rate}, "n_parameters": 7,
        }  # fmt: skip


def search(monkeypatch: pytest.MonkeyPatch, training: Training, *more: str) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")  # the command sets it
    monkeypatch.setattr("finetune.runs.network_run.finetune_seeds", training)
    monkeypatch.setattr(sys, "argv", [*SEARCH, *more])
    train.main()


def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    with pytest.raises(SystemExit, match="2"):
        search(monkeypatch, Training(0.0), *more)
    return capsys.readouterr().err


def study_of(name: str = "random_relu_all", study: str = "optuna", runs: str = "runs") -> optuna.Study:
    return optuna.load_study(study_name=name, storage=storage_of(Path(runs, study, "optuna", "journal.log")))


def results(study: str = "optuna") -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in Path("runs", study, "finetune").glob("*/result.json")]


def test_optuna_is_told_the_mean_over_seeds_of_what_each_trial_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    training = Training()
    search(monkeypatch, training, "hydra.sweeper.n_trials=12")
    trials = study_of().trials
    assert len(trials) == 12
    for trial in trials:
        own = [one for one in results() if one["trial"]["number"] == trial.number]
        assert {one["seed"] for one in own} == {1000, 1001}
        rate = own[0]["config"]["training"]["learning_rate"]
        assert rate == pytest.approx(trial.params["training.learning_rate"], rel=1e-3)
        assert trial.value == pytest.approx(abs(math.log(rate / 0.05)))
    chosen = json.loads(Path("runs/optuna/chosen.json").read_text())["digits"]["all"]["random_relu"]
    assert (chosen["trial"], chosen["trials"]) == (study_of().best_trial.number, 12)
    page = Path("runs/optuna/report.html").read_text()
    assert "Search with 12 trials for every arm" in page
    assert "learning_rate 100 %" in page or "learning_rate 9" in page, "nothing else matters"


def test_the_sampler_goes_where_trials_were_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """After five at random: the median of the last ten is better than three in four draws of a random search."""
    search(monkeypatch, Training(), "hydra.sweeper.n_trials=15")
    values = [trial.value for trial in study_of().trials]
    random = sorted(abs(math.log(0.003 * (1 / 0.003) ** (u / 1000) / 0.05)) for u in range(1000))
    assert sorted(values[5:])[5] < random[250]


def test_a_search_that_was_interrupted_goes_on_and_draws_what_it_would_have_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Among random trials and among those of the model, and for more trials; what is done is not done again."""
    whole, training = Training(), Training()
    for stop in (2, 6):
        training.stop_after = stop
        with pytest.raises(SystemExit):
            search(monkeypatch, training)
    training.stop_after = math.inf
    search(monkeypatch, training)
    search(monkeypatch, training, "hydra.sweeper.n_trials=9")
    search(monkeypatch, whole, "hydra.sweeper.n_trials=9", "paths.runs=whole")
    assert training.started == whole.started
    assert len(training.started) == 9
    here, there = study_of().trials, study_of(runs="whole").trials
    assert [trial.params for trial in here] == [trial.params for trial in there]
    assert Path("runs/optuna/chosen.json").read_bytes() == Path("whole/optuna/chosen.json").read_bytes()


def test_trials_that_diverge_are_the_worst_and_not_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    search(monkeypatch, Training(diverging=0.2), "hydra.sweeper.n_together=4")
    trials = study_of().trials
    diverged = [trial for trial in trials if trial.params["training.learning_rate"] > 0.2]
    assert len(trials) == 8
    assert diverged
    for trial in trials:
        assert (trial.value == math.inf) == (trial in diverged)
        assert ("diverged" in trial.user_attrs.get("failed", "")) == (trial in diverged)
    if trials[-1] not in diverged:
        assert f"{8 - len(diverged)} and {len(diverged)} failed" in Path("runs/optuna/report.html").read_text()


def test_several_objectives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Error and operations: the one has its best at a rate of 0.05, the other falls with the rate."""
    search(monkeypatch, Training(0.5), "objective=[validation/error,operations]")
    for trial in study_of().trials:
        rate = float(f"{trial.params['training.learning_rate']:.4g}")
        wanted = [abs(math.log(rate / 0.05)), 1000 * rate] if rate <= 0.5 else [math.inf, math.inf]
        assert trial.values == pytest.approx(wanted)
    found = {trial.number: trial.values for trial in study_of().trials}
    front = {
        number
        for number, (error, cost) in found.items()
        if not any(e <= error and c <= cost and (e, c) != (error, cost) for e, c in found.values())
    }
    assert {trial.number for trial in study_of().best_trials} == front


def test_the_objective_that_is_asked_for_chooses_and_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here the lowest NLL is that of the highest error."""
    search(monkeypatch, Training(), "objective=validation/nll", "hydra.sweeper.n_trials=5")
    highest = max(results(), key=lambda one: one["metrics"]["validation/error"] if one["seed"] == 1000 else -9)
    chosen = json.loads(Path("runs/optuna/chosen.json").read_text())["digits"]["all"]["random_relu"]
    assert chosen["trial"] == highest["trial"]["number"] == study_of().best_trial.number
    assert "validation/nll" in chosen


def test_every_arm_and_number_of_labels_has_trials_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is given is not searched."""
    more = ["arm=random_relu,random_sigmoid", "labels=n100,n300", "hydra.sweeper.n_trials=1"]
    search(monkeypatch, Training(), *more, "optimizer.weight_decay=0.5")
    drawn = set()
    for name in ("random_relu_100", "random_relu_300", "random_sigmoid_100", "random_sigmoid_300"):
        trials = study_of(name).trials
        assert [trial.params.keys() for trial in trials] == [{"training.learning_rate", "training.label_smoothing"}]
        drawn.add(trials[0].params["training.learning_rate"])
    assert len(drawn) == 4
    assert {one["config"]["optimizer"]["weight_decay"] for one in results()} == {0.5}


def test_the_plan_holds_every_trial_and_its_command_does_one(monkeypatch: pytest.MonkeyPatch) -> None:
    training = Training()
    search(monkeypatch, training, "hydra.sweeper.n_trials=3")
    jobs = json.loads(Path("runs/optuna/sweep.json").read_text())["jobs"]
    assert {(job["name"], job["seed"]) for job in jobs if job["seed"] == 1000} == {own[:2] for own in training.started}
    job = next(job for job in jobs if (job["name"], job["seed"]) == training.started[-1][:2])
    before = [one for one in results() if one["name"] == job["name"]]
    for path in Path("runs/optuna/finetune").glob(f"{job['name']}_seed*/result.json"):
        path.unlink()
    monkeypatch.setattr(sys, "argv", shlex.split(job["command"]))
    train.main()
    assert len(training.started) == 4
    assert [one for one in results() if one["name"] == job["name"]] == before


def test_a_study_of_another_search_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    search(monkeypatch, Training(), "hydra.sweeper.n_trials=1")
    assert "objective=" in refused(monkeypatch, capsys, "objective=validation/nll")
    assert "training.epochs=100" in refused(monkeypatch, capsys, "training.epochs=7")
    assert "space.training.mixup" in refused(monkeypatch, capsys, "space=mixup")
    assert len(study_of().trials) == 1


def test_a_search_of_which_nothing_succeeds_ends_with_the_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After five trials, not after all."""
    training = Training(0.0)
    with pytest.raises(SystemExit, match="2"):
        search(monkeypatch, training)
    assert "diverged" in capsys.readouterr().err
    assert len(training.started) == 5


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("hydra.sweeper.n_trials=0", "hydra.sweeper.n_trials=0: it must be"),
        ("hydra.sweeper.sampler.n_startup_trials=many", "hydra.sweeper.sampler.n_startup_trials='many'"),
        ("data.validation=0", "data.validation=0"),
        ("objective=test/error", "cannot be judged"),
        ("objective=validation/errors", "Did you mean validation/error"),
        ("objective=[operations,validation/error]", "the first must be a metric"),
        ("pretrain_only=true", "pretrain_only=true"),
        ("name=mine", "ends with _trial"),
        ("space.training.label_smoothing.choices=[[1,2]]", "space.training.label_smoothing.choices"),
    ],
)
def test_a_search_that_cannot_be_is_refused_before_any_trial(
    override: str, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refused(monkeypatch, capsys, override)
    assert not list(Path().rglob("result.json"))


def test_a_sampler_that_goes_through_a_sequence_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Others are taken, without the settings of the default one."""
    monkeypatch.setattr(sys.modules[__name__], "SEARCH", [word for word in SEARCH if "n_startup" not in word])
    others = [f"~hydra.sweeper.sampler.{name}" for name in ("n_startup_trials", "multivariate")]
    said = refused(monkeypatch, capsys, "hydra.sweeper.sampler._target_=optuna.samplers.QMCSampler", *others)
    assert "sweep=tune" in said
    genetic = ["hydra.sweeper.sampler._target_=optuna.samplers.NSGAIISampler", "hydra.sweeper.n_trials=2"]
    search(monkeypatch, Training(), *genetic, *others)
    assert len(study_of().trials) == 2


def test_several_objectives_have_no_pruner(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pruner = "search.pruner={_target_:optuna.pruners.MedianPruner}"
    said = refused(monkeypatch, capsys, pruner, "objective=[validation/error,validation/nll]")
    assert "search.pruner=null" in said


def test_without_optuna_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert "pip install 'layerwise-dbn[sweepers]'" in refused(monkeypatch, capsys)
