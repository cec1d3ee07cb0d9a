"""Quick compositions, in which all tests run, are Hydra's."""

from pathlib import Path
from typing import Any

import hydra
import pytest
from hydra.errors import ConfigCompositionException
from omegaconf import OmegaConf

from dbn.commands.configuration import config_directory
from quick_composition import compose_as_ever

JOBS = [
    ["arm=dbn", "seed=3"],
    ["arm=random_relu_dropout", "training.epochs=7", "optimizer.weight_decay=0.001"],
    ["arm=random_relu_dropout", "training.epochs=9", "+search.trial=1", "labels=n100"],
    ["experiment=mnist_2006", "arm=random_relu", "seed=1"],
    ["sweep=tune", "arm=dbn_relu_augment_both", "stack.layers=[9,{n_hidden:3}]", "~report"],
    ["sweep=compute", "hydra.sweeper.times=[1,3]", "study=mine"],
    ["experiment=label_efficiency", "labels=n1000", "arm=random_relu", "data.root=/nowhere"],
]


def composed(job: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """As written, with Hydra's own settings; and what interpolations come to."""
    with hydra.initialize_config_dir(str(config_directory()), version_base="1.3"):
        config = hydra.compose("finetune", job, return_hydra_config=True)
    found = OmegaConf.to_container(config, resolve=False)
    assert isinstance(found, dict)
    own = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    resolved = OmegaConf.to_container(own, resolve=True)
    assert isinstance(resolved, dict)
    return found, resolved


def test_they_are_those_of_hydra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when asked twice, in another order, and when a copy was changed."""
    found = [composed(job) for job in JOBS]
    composed(JOBS[0])[0]["training"]["epochs"] = -1
    again = [composed(job) for job in reversed(JOBS)]
    compose_as_ever(monkeypatch)
    expected = [composed(job) for job in JOBS]
    assert found == expected
    assert again == expected[::-1]


@pytest.mark.parametrize("job", [["arm=nosuch"], ["training.nosuch=3"], ["nosuch=3"], ["~nosuch"], ["labels@x=n100"]])
def test_what_hydra_refuses_is_refused(job: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    composed(["arm=dbn"])
    with pytest.raises(ConfigCompositionException) as found:
        composed(job)
    compose_as_ever(monkeypatch)
    with pytest.raises(ConfigCompositionException) as expected:
        composed(job)
    assert str(found.value) == str(expected.value)


def test_a_file_of_one_s_own_that_changed_is_read_again(tmp_path: Path) -> None:
    """Also one that stands in for a choice of the package's."""
    added = f"hydra.searchpath=[file://{tmp_path}]"
    own = tmp_path / "labels" / "mine.yaml"
    own.parent.mkdir()
    for n in (30, 50):
        own.write_text(f"# @package _global_\ndata:\n  n_labelled: {n}\n")
        assert composed(["labels=mine", added])[1]["data"]["n_labelled"] == n
        (tmp_path / "labels" / f"of_{n}.yaml").write_text(f"# @package _global_\ndefaults: [mine]\nseed: {n}\n")
        assert composed([f"labels=of_{n}", added])[1]["seed"] == n
    own.unlink()
    with pytest.raises(ConfigCompositionException):
        composed(["labels=mine", added])
