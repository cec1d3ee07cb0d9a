"""What sweepers of other packages see of a job: the objective, or infinity; with training replaced."""

import math
import sys
from pathlib import Path
from typing import Any

import pytest
from hydra.core.plugins import Plugins
from hydra.core.utils import JobStatus

from dbn.errors import DivergenceError, SettingError
from dbn.runs.naming import folder_name
from finetune import train
from own.sweeper import Recording

COMMAND = [
    "dbn-finetune",
    "-m",
    "arm=random_relu",
    "hydra.sweeper._target_=hydra_plugins.recording.Recording",
    "study=s",
]
COMMAND += ["training.learning_rate=interval(0.01,1)"]


@pytest.fixture(autouse=True)
def _sweeper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    monkeypatch.setitem(sys.modules, "hydra_plugins.recording", sys.modules["own.sweeper"])
    Plugins.instance().register(Recording)


def two_seeds(config: dict[str, Any], overrides: list[str]) -> list[dict[str, Any]]:
    """In place of training: two seeds whose error is the learning rate plus or minus 0.01."""
    rate = config["training"]["learning_rate"]
    if rate > 0.5:
        raise DivergenceError("diverged")
    return [
        {
            "metrics": {"validation/error": rate + shift, "validation/nll": math.nan},
            "flops": {"pretraining": 100, "fine_tuning": 10}, "n_parameters": 7, "name": config["name"],
        }
        for shift in (-0.01, 0.01)
    ]  # fmt: skip


def returned(monkeypatch: pytest.MonkeyPatch, *more: str, rates: tuple[float, ...] = (0.1, 0.3)) -> list[Any]:
    """What the sweeper's jobs return."""
    monkeypatch.setattr("finetune.runs.network_run.finetune_seeds", two_seeds)
    monkeypatch.setattr(Recording, "rates", rates)
    monkeypatch.setattr(sys, "argv", [*COMMAND, *more])
    train.main()
    assert all(record.status == JobStatus.COMPLETED for record in Recording.records)
    return [record.return_value for record in Recording.records]


def test_it_sees_the_mean_over_seeds_that_train_together(monkeypatch: pytest.MonkeyPatch) -> None:
    assert returned(monkeypatch) == pytest.approx([0.1, 0.3])
    assert returned(monkeypatch, "objective=validation/error") == pytest.approx([0.1, 0.3])


def test_it_sees_a_list_of_several_objectives(monkeypatch: pytest.MonkeyPatch) -> None:
    (values,) = returned(monkeypatch, "objective=[validation/error,operations,n_parameters]", rates=(0.1,))
    assert values == pytest.approx([0.1, 110.0, 7.0])


def test_what_diverges_or_is_not_finite_is_infinitely_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    assert returned(monkeypatch, rates=(0.1, 0.7)) == [pytest.approx(0.1), math.inf]
    assert returned(monkeypatch, "objective=[validation/error,operations]", rates=(0.7,)) == [[math.inf, math.inf]]
    assert returned(monkeypatch, "objective=validation/nll", rates=(0.1,)) == [math.inf]


def test_a_metric_that_runs_do_not_have_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AssertionError):
        returned(monkeypatch, "objective=validation/balanced_error")
    with pytest.raises(SettingError, match="has no such metric"):
        _ = Recording.records[0].return_value


def test_its_jobs_have_directories_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A range tells names apart as a list of values does."""
    returned(monkeypatch, rates=(0.1, 0.123456789))
    names = [record.cfg.name for record in Recording.records]
    assert len({folder_name(name) for name in names}) == 2
    assert all("training.learning_rate" in name for name in names)
    assert not Path("runs/s/sweep.json").exists(), "nobody knows its jobs before they start"


def test_without_a_sweeper_a_run_that_diverges_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("finetune.runs.network_run.finetune_seeds", two_seeds)
    for more in ([], ["-m"]):
        monkeypatch.setenv("HYDRA_FULL_ERROR", "0")  # the command sets it
        monkeypatch.setattr(sys, "argv", ["dbn-finetune", *more, "arm=random_relu", "training.learning_rate=0.7"])
        with pytest.raises(SystemExit, match="2"):
            train.main()
        assert "diverged" in capsys.readouterr().err
