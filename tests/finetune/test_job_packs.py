"""Runs in jobs: by number, by time, and within what a site allows."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from dbn.errors import SettingError
from finetune.job_packs import at_most, packs_by_time, packs_of, seconds_of_runs

SECONDS = some.lists(some.floats(0.1, 100.0), max_size=30)


@given(SECONDS, some.floats(1.0, 200.0))
def test_packs_by_time_hold_every_run_in_order_and_keep_to_the_time(seconds: list[float], limit: float) -> None:
    packs = packs_by_time(range(len(seconds)), seconds, limit)
    assert [run for pack in packs for run in pack] == list(range(len(seconds)))
    for pack in packs:
        assert len(pack) == 1 or sum(seconds[run] for run in pack) <= limit * (1 + 1e-9)
    for pack, following in pairwise(packs):
        assert sum(seconds[run] for run in pack) + seconds[following[0]] > limit * (1 - 1e-9), "room was left"


@given(some.integers(1, 200), some.integers(1, 9), some.integers(1, 50))
def test_at_most_so_many_jobs(n: int, runs_per_job: int, largest: int) -> None:
    packs = at_most(packs_of(range(n), runs_per_job), largest)
    assert len(packs) <= largest
    assert [run for pack in packs for run in pack] == list(range(n))
    if -(-n // runs_per_job) <= largest:
        assert max(map(len, packs)) <= runs_per_job


def test_times_are_those_of_runs_of_the_study_by_arm_and_epochs(tmp_path: Path) -> None:
    jobs = [
        {"arm": arm, "name": name, "seed": 0, "overrides": [], "command": "", "epochs": epochs, "labels": "100"}
        for arm, name, epochs in (("dbn", "a", 4), ("dbn", "b", 40), ("other", "c", 4))
    ]
    (tmp_path / "sweep.json").write_text(json.dumps({"jobs": jobs}))
    with pytest.raises(SettingError, match=r"job_minutes: no run .* is done.*runs_per_job=10"):
        seconds_of_runs(tmp_path)
    result = {"study": "s", "stage": "finetune", "name": "a", "arm": "dbn", "seed": 0, "metrics": {}, "epochs": 4,
              "n_labelled": 100, "seconds": 6.0, "pretrain_seconds": 4.0}  # fmt: skip
    (tmp_path / "finetune/a_seed0").mkdir(parents=True)
    (tmp_path / "finetune/a_seed0/result.json").write_text(json.dumps(result))
    assert seconds_of_runs(tmp_path) == pytest.approx({"a_seed0": 10.0, "b_seed0": 100.0, "c_seed0": 10.0})
