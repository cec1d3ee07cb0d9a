"""A sweeper of another package, as Hydra's are for Optuna, Nevergrad and Ax: it minimises what jobs return."""

from typing import Any

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class Recording(Sweeper):
    """Launches a job for each of some learning rates, and keeps Hydra's records of them."""

    __module__ = "hydra_plugins.recording"  # Hydra takes no plugins from elsewhere
    rates: tuple[float, ...] = ()
    records: tuple[JobReturn, ...] = ()

    def __init__(self, **options: Any) -> None:
        self.launcher: Any = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        kept = [word for word in arguments if not word.startswith("training.learning_rate=")]
        jobs = [[*kept, f"training.learning_rate={rate}"] for rate in self.rates]
        type(self).records = tuple(self.launcher.launch(jobs, initial_job_idx=0))
