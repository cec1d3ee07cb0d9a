"""The plan of a sweep: every run of every sweep has a name of its own, and is the one that its command starts."""

import json
import sys
from pathlib import Path
from typing import Any

import hydra
import pytest

from dbn.command import config_directory
from finetune import sweep, train
from finetune.sweep import planned_jobs

SWEEPS = sorted(path.stem for path in (config_directory() / "sweep").glob("*.yaml"))

FEWER = {"tune": ["arm=dbn"], "label_efficiency": ["arm=random_relu"]}
"""Long sweeps, with one of their arms: arms have names of their own in any case."""


def _planned(*overrides: str) -> list[dict[str, object]]:
    with hydra.initialize_config_dir(str(config_directory()), version_base="1.3"):
        return planned_jobs(hydra.compose("finetune", list(overrides), return_hydra_config=True))


@pytest.mark.parametrize("sweep", SWEEPS)
def test_no_two_runs_of_a_sweep_share_a_directory(sweep: str) -> None:
    jobs = _planned(f"sweep={sweep}", *FEWER.get(sweep, ()))
    assert len(jobs) > 1
    assert len({(job["name"], job["seed"]) for job in jobs}) == len(jobs)


def test_values_with_commas_are_one_value() -> None:
    jobs = _planned("sweep=depth", "arm=dbn")
    assert [job["name"] for job in jobs if job["seed"] == 0] == [f"dbn{'_200' * depth}" for depth in range(1, 6)]
    assert "'stack.layers=[200,200]'" in str(jobs[5]["command"])


def test_what_is_given_on_the_command_line_takes_the_place_of_what_is_swept() -> None:
    jobs = _planned("sweep=label_efficiency", "labels=n10000", "arm=dbn")
    assert [(job["name"], job["seed"]) for job in jobs] == [("dbn_10000", seed) for seed in range(5)]


RUN = ["dbn-finetune", "-m", "study=s", "arm=random_relu", "seed=0,1", "stack.layers=[9]", "training.epochs=1"]


@pytest.fixture(autouse=True)
def _messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tracebacks: the command sets the variable for good."""
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")


@pytest.mark.parametrize(("more", "n"), [([], 2), (["optimizer.lr=0.1,0.2", "schedule=constant,cosine"], 8)])
def test_a_multirun_has_its_plan_before_the_first_job(more: list[str], n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the names that the runs have, those of choices from a group among them."""
    plans = []

    def run(config: dict[str, Any], _: list[str]) -> list[dict[str, Any]]:
        plans.append((f"{config['name']}_seed{config['seed']}", Path("runs/s/sweep.json").read_text()))
        return []

    monkeypatch.setattr(train, "finetune_seeds", run)
    monkeypatch.setattr(sys, "argv", [*RUN, *more])
    train.main()
    assert len(plans) == n
    jobs = [f"{job['name']}_seed{job['seed']}" for job in json.loads(plans[0][1])["jobs"]]
    assert jobs == [name for name, _ in plans]


def test_a_multirun_without_a_plan_has_its_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hydra makes a warning of a callback's error, and goes on."""

    def fail(*_: object) -> None:
        raise OSError("no plan")

    monkeypatch.setattr(sweep, "merged", fail)
    monkeypatch.setattr(sys, "argv", RUN)
    with pytest.warns(UserWarning, match="no plan"):
        train.main()
    assert not Path("runs/s/sweep.json").exists()
    assert Path("runs/s/report.html").is_file()


def test_a_job_that_cannot_be_composed_is_refused_in_one_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setattr(sys, "argv", [*RUN, "sampler=cd,dc"])
    with pytest.raises(SystemExit, match="2"):
        train.main()
    assert capsys.readouterr().err.startswith("sampler=dc: no such choice.")
    assert not [str(warning.message) for warning in recwarn if "StudyReport" in str(warning.message)]
