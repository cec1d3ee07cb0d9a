"""Small studies made by hand, whose result files hold the numbers that the tests choose."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from finetune.report.comparison.arm import Arm
from finetune.report.comparison.axes import Axis, find_axes
from finetune.report.comparison.sections import Section, make_sections
from finetune.report.results.study import read_study


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
            "other_load": 0.0,
            "pretrain_other_load": 0.0,
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

    def deep(self, arm: str, depth: int, errors: list[float], train: float = 0.0) -> None:
        """Finished runs of an arm with ``depth`` hidden layers of 20 units; ``errors`` are test errors."""
        for seed, error in enumerate(errors):
            self.run(
                f"{arm}_{depth}", seed, arm=arm, pretrained=arm == "dbn", sizes=[64, *[20] * depth, 10],
                metrics={"test/error": error, "train/error": train},
            )  # fmt: skip

    def unfinished(self, name: str, seed: int, error: str | None = None, stage: str = "finetune") -> Path:
        """A run without a result, with ``error.txt`` if it failed."""
        directory = self.directory / stage / f"{name}_seed{seed}"
        directory.mkdir(parents=True)
        if error is not None:
            (directory / "error.txt").write_text(error, encoding="utf-8")
        return directory

    def section(self, **options: Any) -> Section:
        """The only section of the study; ``options`` are those of :func:`make_sections`."""
        (section,) = make_sections(read_study(self.directory).compared, **options)
        return section

    def arm_named(self, name: str) -> Arm:
        """An arm of the only section."""
        return next(arm for arm in self.section().arms if arm.name == name)

    def axes(self) -> list[Axis]:
        """The axes of the study."""
        return find_axes(make_sections(read_study(self.directory).compared))


def scipy_interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """95 % t interval of a mean, by scipy."""
    low, high = stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))
    return float(low), float(high)
