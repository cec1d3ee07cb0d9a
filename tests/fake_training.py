"""In place of training, for tests of sweepers: results are a known function of the settings."""

import math
from abc import ABC, abstractmethod
from typing import Any

from dbn.files import write_json
from dbn.runs.seeds import by_seed
from finetune.runs.network_run import finetuning_directory, trial_of


class FakeTraining(ABC):
    """Takes the place of :func:`finetune.runs.network_run.finetune_seeds`.

    Attributes:
        started: name, first seed and epochs of every job that was not done before, in order.
        stop_after: number of jobs after which the user interrupts.
    """

    def __init__(self) -> None:
        self.started: list[tuple[str, int, int]] = []
        self.stop_after = math.inf

    @abstractmethod
    def result(self, config: dict[str, Any]) -> dict[str, Any]:
        """What result.json holds of a seed's run beside its configuration; raises where training fails."""

    def __call__(self, config: dict[str, Any], _: list[str]) -> list[dict[str, Any]]:
        """Write the results of all seeds of a job, unless they are there."""
        directories = [finetuning_directory(own) for own in by_seed(config)]
        if all((directory / "result.json").is_file() for directory in directories):
            return []
        if len(self.started) == self.stop_after:
            raise KeyboardInterrupt
        self.started.append((config["name"], config["seed"], config["training"]["epochs"]))
        for own, directory in zip(by_seed(config), directories, strict=True):
            common = {
                "study": own["study"], "stage": "finetune", "task": "classifier", "name": own["name"],
                "arm": own["arm"]["name"], "seed": own["seed"], "data": "digits",
                "n_labelled": own["data"]["n_labelled"], "trial": trial_of(own), "config": own,
            }  # fmt: skip
            write_json(directory / "result.json", common | self.result(own))
        return []
