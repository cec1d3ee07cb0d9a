"""Small studies made by hand: result.json files whose numbers the tests choose."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


class FakeStudy:
    """Writes runs into a study's directory; ``run`` takes what its result.json shall say."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True)

    def run(self, name: str, seed: int, error: float | None = None, stage: str = "finetune", **content: Any) -> Path:
        """One finished run; ``error`` is the test error, None leaves metrics to ``content``."""
        directory = self.directory / stage / f"{name}_seed{seed}"
        directory.mkdir(parents=True)
        result: dict[str, Any] = {
            "study": self.directory.name,
            "stage": stage,
            "task": "classifier",
            "name": name,
            "arm": name,
            "seed": seed,
            "data": "digits",
            "n_labelled": 100,
            "pretrained": name.startswith("dbn"),
            "metrics": {} if error is None else {"test/error": error},
            "seconds": 10.0,
            "pretrain_seconds": 20.0 if name.startswith("dbn") else 0.0,
            "n_parameters": 1234,
            "config": {"arm": {"activation": "sigmoid"}, "seed": seed},
            "versions": {"python": "3.11.7"},
            "git": {"commit": "0123456789abcdef", "dirty": False},
            "machine": {"cpu": "a processor"},
        }
        (directory / "result.json").write_text(json.dumps(result | content), encoding="utf-8")
        return directory

    def arm(self, name: str, errors: list[float], **content: Any) -> None:
        """Finished runs of seeds 0, 1, ... with these test errors."""
        for seed, error in enumerate(errors):
            self.run(name, seed, error, **content)

    def unfinished(self, name: str, seed: int, error: str | None = None, stage: str = "finetune") -> Path:
        """A run without a result, with ``error.txt`` if it failed."""
        directory = self.directory / stage / f"{name}_seed{seed}"
        directory.mkdir(parents=True)
        if error is not None:
            (directory / "error.txt").write_text(error, encoding="utf-8")
        return directory


@pytest.fixture
def study(tmp_path: Path) -> FakeStudy:
    return FakeStudy(tmp_path / "runs" / "toy")


@pytest.fixture(scope="session")
def make_study(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], FakeStudy]:
    return lambda name: FakeStudy(tmp_path_factory.mktemp("runs") / name)
