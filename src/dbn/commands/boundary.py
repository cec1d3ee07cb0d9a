"""Validation of the whole configuration, before Hydra makes the run's folder and before training."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.utils import get_method
from omegaconf import DictConfig, OmegaConf

from dbn.commands.importing import importing


class RefusedError(BaseException):
    """An invalid configuration, found inside a Hydra callback.

    Not an :class:`Exception`: Hydra turns those into warnings and continues.

    Attributes:
        reason: the original error, for :func:`dbn.commands.explain.explain`.
    """

    def __init__(self, reason: Exception) -> None:
        super().__init__(str(reason))
        self.reason = reason


class Boundary(Callback):
    """Hydra callback that checks settings before the run's folder is made; jobs of a multirun check their own.

    Args:
        check: dotted name of the function that checks a composed configuration (without Hydra's own part).
        check_location: dotted name of the function that checks where the runs of a multirun are written.
    """

    def __init__(self, check: str, check_location: str) -> None:
        self.check = check
        self.check_location = check_location

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check the whole configuration."""
        HydraConfig.instance().set_config(config)  # interpolations may refer to it
        with bypassing_hydra():
            with importing():
                check = get_method(self.check)
            check(OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"]))

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check what all jobs share."""
        with bypassing_hydra():
            get_method(self.check_location)(config)


@contextmanager
def bypassing_hydra() -> Iterator[None]:
    """Re-raise any exception as :class:`RefusedError`, which Hydra does not catch.

    Raises:
        RefusedError: the block raised an exception.
    """
    try:
        yield
    except Exception as error:
        raise RefusedError(error) from error
