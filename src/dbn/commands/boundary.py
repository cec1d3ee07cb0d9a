"""Where a configuration enters: checked as a whole before Hydra makes a folder for it and anything is trained."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.utils import get_method
from omegaconf import DictConfig, OmegaConf


class RefusedError(BaseException):
    """A configuration that cannot be used, met inside a callback of Hydra's.

    No :class:`Exception`: Hydra makes a warning of those, and goes on.

    Attributes:
        reason: the error, for :func:`dbn.commands.explain.explain`.
    """

    def __init__(self, reason: Exception) -> None:
        super().__init__(str(reason))
        self.reason = reason


class Boundary(Callback):
    """Hydra's callback: checks a run's settings before its folder is made. Those of a multirun's jobs are as they come.

    Args:
        check: dotted name of a function of the configuration as Hydra has composed it, its own part aside.
        place: of one that checks only where the runs of a multirun go.
    """

    def __init__(self, check: str, place: str) -> None:
        self.check = check
        self.place = place

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check everything."""
        HydraConfig.instance().set_config(config)  # for what refers to it
        with refusing():
            get_method(self.check)(OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"]))

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check what all jobs have in common."""
        with refusing():
            get_method(self.place)(config)


@contextmanager
def refusing() -> Iterator[None]:
    """Errors get past Hydra, ours as well as a person's: :func:`dbn.commands.explain.explain` tells them apart.

    Raises:
        RefusedError: there was one.
    """
    try:
        yield
    except Exception as error:
        raise RefusedError(error) from error
