"""The plan of a sweep: every run of every sweep has a directory of its own, and is the one that its command starts."""

import shlex

import hydra
import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbn.command import config_directory
from dbn.errors import SettingError
from dbn.naming import folder_name, swept_override, value_text
from finetune.sweep import Job, check_directories, planned_jobs

SWEEPS = sorted(path.stem for path in (config_directory() / "sweep").glob("*.yaml"))

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


@pytest.mark.parametrize("sweep", SWEEPS)
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
    jobs = planned("sweep=hidden_units", "stack.layers=[5]", "optimizer.lr=0.1,0.3")
    assert {job.name for job in jobs} == {"ladder_2_5_optimizer.lr=0.1", "ladder_2_5_optimizer.lr=0.3"}


AWKWARD = [
    ["data=npz", "data.path=sub/a.npz,sub-a.npz,../sub/a.npz"],
    ["init.stack=null,'null',a/b.safetensors"],
    [f"data=npz data.path={'x' * 300}.npz,{'x' * 299}y.npz".split()[0], f"data.path={'x' * 300}.npz,{'x' * 299}y.npz"],
    ["data=npz", "data.path='',' ',a b,a  b"],
    ["stack.layers=[8],[8,8],[{n_hidden:8,hidden:relu}],[{n_hidden:8}]"],
    ["augment@stack.augment=none,affine"],
    ["arm=glob(random_relu_dropout*)", "optimizer.lr=0.1,0.10001"],
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


def test_one_job_always_finds_its_own_directory() -> None:
    """Its command, alone, is the job it was."""
    for job in planned("arm=dbn,random_relu", "optimizer.lr=0.1,0.3", "augment@stack.augment=none,affine"):
        (again,) = planned(*shlex.split(job.planned["command"])[1:])
        assert (again.study, again.name, again.seed) == (job.study, job.name, job.seed)


def test_jobs_that_would_share_a_directory_are_refused_and_the_advice_helps() -> None:
    swept = ["arm=dbn", "optimizer.lr=0.1,0.3"]
    with pytest.raises(SettingError, match=r"name=mine.*optimizer\.lr=0\.1.*optimizer\.lr=0\.3.*base_name=mine"):
        check_directories(planned("name=mine", *swept))
    for cure in ("base_name=mine", "name='mine_${optimizer.lr}'"):
        jobs = planned(cure, *swept)
        check_directories(jobs)
        assert len(folders(jobs)) == 2


def test_a_job_that_has_no_name_does_not_keep_the_others_from_theirs() -> None:
    jobs = planned("name='${arm.name}_${data.maximum}'", "data=digits,npz")
    check_directories(jobs)
    assert [job.arm for job in jobs] == ["", "dbn"]


texts = st.text(max_size=80) | st.sampled_from(["null", "true", "1", "1.0", "[1,2]", "a/b", "a-b", "é" * 60, "..", "."])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
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
