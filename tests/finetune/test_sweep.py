"""The plan of a sweep: every run of every sweep has a directory of its own, and is the one that its command starts."""

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import hydra
import numpy as np
import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbn.commands.command import quoted
from dbn.commands.configuration import config_directory
from dbn.errors import SettingError
from dbn.runs.naming import folder_name, swept_override, value_text
from finetune import sweep, train
from finetune.runs import network_run
from finetune.sweep import Job, check_directories, planned_jobs

SWEEPS = sorted(path.stem for path in (config_directory() / "sweep").glob("*.yaml"))
PLANNED = [sweep for sweep in SWEEPS if sweep != "optuna"]
"""Sweeps whose runs are known beforehand."""

FEWER = {"tune": ["arm=dbn"], "label_efficiency": ["arm=random_relu"]}
"""Long sweeps, with one of their arms: arms have names of their own in any case."""


def planned(*overrides: str) -> list[Job]:
    """The jobs of a multirun, as the command plans them."""
    words = [*overrides, *swept_override(overrides)]
    with hydra.initialize_config_dir(str(config_directory()), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        return planned_jobs(loader.load_configuration("finetune", words, RunMode.MULTIRUN))


def folders(jobs: list[Job]) -> set[tuple[str, str, int]]:
    """What tells directories apart."""
    return {(str(job.study), folder_name(job.name), job.seed) for job in jobs}


@pytest.mark.parametrize("sweep", PLANNED)
def test_no_two_runs_of_a_sweep_share_a_directory(sweep: str) -> None:
    jobs = planned(f"sweep={sweep}", *FEWER.get(sweep, ()))
    assert len(jobs) > 1
    assert len(folders(jobs)) == len(jobs)


def test_values_with_commas_are_one_value() -> None:
    jobs = planned("sweep=depth", "arm=dbn")
    assert [job.name for job in jobs if job.seed == 0] == [f"dbn{'_200' * depth}" for depth in range(1, 6)]
    assert "'stack.layers=[200,200]'" in jobs[5].planned["command"]


def test_what_is_given_on_the_command_line_takes_the_place_of_what_is_swept() -> None:
    jobs = planned("sweep=label_efficiency", "labels=n10000", "arm=dbn")
    assert [(job.name, job.seed) for job in jobs] == [("dbn_10000", seed) for seed in range(5)]


def test_what_a_sweep_s_name_says_is_not_said_twice() -> None:
    """So that a part of a sweep, done by itself, is found by the whole."""
    names = {job.name for job in planned("sweep=depth", "arm=dbn,random_relu", "stack.layers=[200],[200,200]")}
    assert names == {"dbn_200", "dbn_200_200", "random_relu_200", "random_relu_200_200"}


def test_a_sweep_of_a_sweep_says_both() -> None:
    jobs = planned("sweep=hidden_units", "stack.layers=[5]", "training.learning_rate=0.1,0.3")
    assert {job.name for job in jobs} == {
        "ladder_2_5_training.learning_rate=0.1",
        "ladder_2_5_training.learning_rate=0.3",
    }


AWKWARD = [
    ["data=npz", "data.path=sub/a.npz,sub-a.npz,../sub/a.npz"],
    ["init.stack=null,'null',a/b.safetensors"],
    [f"data=npz data.path={'x' * 300}.npz,{'x' * 299}y.npz".split()[0], f"data.path={'x' * 300}.npz,{'x' * 299}y.npz"],
    ["data=npz", "data.path='',' ',a b,a  b"],
    ["stack.layers=[8],[8,8],[{n_hidden:8,hidden:relu}],[{n_hidden:8}]"],
    ["augment@stack.augment=none,affine"],
    ["arm=glob(random_relu_dropout*)", "training.learning_rate=0.1,0.10001"],
    ["search.trial=range(3)"],
    ["study=a,b", "optimizer=sgd,adam"],
    ["network.activation=sigmoid,tanh", "training.max_norm=null,1,1.5"],
    ["name=a/b,a-b"],
    ["base_name=.a,a", "seed=0,1"],
]


@pytest.mark.parametrize("overrides", AWKWARD, ids=lambda words: " ".join(words)[:60])
def test_any_override_can_be_swept(overrides: list[str]) -> None:
    jobs = planned(*overrides)
    check_directories(jobs)
    assert len(jobs) > 1
    assert len(folders(jobs)) == len(jobs)
    for _, folder, _ in folders(jobs):
        assert 0 < len(folder.encode()) <= 200
        assert "/" not in folder
        assert not folder.startswith(".")


POOL = {
    "data.path": ["a/b", "a-b", "", " ", "1", "1.0", "null", "x" * 250, "x" * 251, "é", "e", "[1,2]", "{a: 1}", ".a"],
    "init.stack": ["null", "'null'", "''", "a", "/a"],
    "training.learning_rate": ["1", "1.0", "0.1", "1e-1", "0.10000001"],
    "stack.layers": ["[8]", "[8,8]", "[{n_hidden:8}]", "[[8]]", "[]"],
    "augment@stack.augment": ["none", "affine"],
    "seed": ["0", "1", "7"],
    "study": ["s", "s/t", "s-t", "2026"],
    "arm": ["dbn", "marginals"],
}  # fmt: skip


@pytest.mark.parametrize("number", range(8))
def test_no_two_jobs_of_a_random_multirun_share_a_directory(number: int) -> None:
    """Jobs that are the same, such as 1 and 1.0 of a learning rate, or of no study of their own, do."""
    rng = np.random.default_rng(number)
    words = ["data=npz"]
    for key in rng.choice(list(POOL), size=2, replace=False):
        values = [str(value) for value in rng.choice(POOL[key], size=3)]
        words.append(f"{key}={','.join(map(quoted, values) if key == 'data.path' else values)}")
    jobs = planned(*words)
    check_directories(jobs)
    assert len(jobs) == 9
    different = {(json.dumps(job.settings, sort_keys=True), job.seed) for job in jobs}
    assert len(folders(jobs)) == len(different)


def test_one_job_always_finds_its_own_directory() -> None:
    """Its command, alone, is the job it was."""
    for job in planned("arm=dbn,random_relu", "training.learning_rate=0.1,0.3", "augment@stack.augment=none,affine"):
        (again,) = planned(*shlex.split(job.planned["command"])[1:])
        assert (again.study, again.name, again.seed) == (job.study, job.name, job.seed)


def test_jobs_that_would_share_a_directory_are_refused_and_the_advice_helps() -> None:
    swept = ["arm=dbn", "training.learning_rate=0.1,0.3"]
    with pytest.raises(
        SettingError, match=r"name=mine.*training\.learning_rate=0\.1.*training\.learning_rate=0\.3.*base_name=mine"
    ):
        check_directories(planned("name=mine", *swept))
    for cure in ("base_name=mine", "name='mine_${training.learning_rate}'"):
        jobs = planned(cure, *swept)
        check_directories(jobs)
        assert len(folders(jobs)) == 2


def test_a_job_that_has_no_name_does_not_keep_the_others_from_theirs() -> None:
    jobs = planned("name='${arm.name}_${data.maximum}'", "data=digits,npz")
    check_directories(jobs)
    assert [job.arm for job in jobs] == ["", "dbn"]


texts = st.text(max_size=80) | st.sampled_from(["null", "true", "1", "1.0", "[1,2]", "a/b", "a-b", "é" * 60, "..", "."])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_subnormal=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(min_size=1, max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(one=values, other=values)
def test_different_values_have_different_texts(one: object, other: object) -> None:
    assert (value_text(one) == value_text(other)) == (repr(one) == repr(other))
    assert 0 < len(value_text(one).encode()) <= 49


@settings(max_examples=300)
@given(one=texts, other=texts)
def test_different_names_have_different_folders(one: str, other: str) -> None:
    assert (folder_name(one) == folder_name(other)) == (one == other)


RUN = ["dbn-finetune", "-m", "study=s", "arm=random_relu", "seed=0,1", "stack.layers=[9]", "training.epochs=1"]


@pytest.fixture(autouse=True)
def _messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tracebacks: the command sets the variable for good."""
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")


@pytest.mark.parametrize(("more", "n"), [([], 2), (["training.learning_rate=0.1,0.2", "schedule=constant,cosine"], 8)])
def test_a_multirun_has_its_plan_before_the_first_job(more: list[str], n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the names that the runs have, those of choices from a group among them."""
    plans = []

    def run(config: dict[str, Any], _: list[str]) -> list[dict[str, Any]]:
        plans.append((f"{config['name']}_seed{config['seed']}", Path("runs/s/sweep.json").read_text()))
        return []

    monkeypatch.setattr(network_run, "finetune_seeds", run)
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
