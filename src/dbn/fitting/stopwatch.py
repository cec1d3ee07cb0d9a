"""Duration of a fit, and how busy other processes kept the machine meanwhile."""

import time
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from dbn.machine.other_load import seconds_of_others


class Stopwatch(Callback):
    """Measures a fit, including the time before interruptions.

    A duration depends on what else the machine does, so the load of other processes is measured with it.
    """

    def __init__(self) -> None:
        self.before = 0.0
        self.others_before: float | None = 0.0
        self.n_processes = 1
        self.started, self.others_started = time.perf_counter(), seconds_of_others()

    @property
    def seconds(self) -> float:
        """Seconds until now."""
        return self.before + time.perf_counter() - self.started

    @property
    def seconds_of_others(self) -> float | None:
        """Processor time of other processes until now, over all cores, in seconds; None where it is not known."""
        now = seconds_of_others(self.n_processes)
        if now is None or self.others_started is None or self.others_before is None:
            return None
        return max(0.0, self.others_before + now - self.others_started)

    @property
    def other_load(self) -> float | None:
        """Cores that other processes kept busy, mean over the duration; None where it is not known."""
        others = self.seconds_of_others
        return None if others is None else others / max(self.seconds, 1e-9)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Count the fit's own processes on this machine, which are not others."""
        self.n_processes = trainer.num_devices
        self.others_started = seconds_of_others(self.n_processes)

    def state_dict(self) -> dict[str, Any]:
        """Duration and processor time of others, for a checkpoint."""
        return {"seconds": self.seconds, "seconds_of_others": self.seconds_of_others}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore them; a checkpoint of an earlier version does not know the others."""
        self.before, self.others_before = state_dict["seconds"], state_dict.get("seconds_of_others")
