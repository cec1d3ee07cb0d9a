"""The plan of a sweep: every run of every sweep has a name of its own, and is the one that its command starts."""

import hydra
import pytest

from dbn.command import config_directory
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
