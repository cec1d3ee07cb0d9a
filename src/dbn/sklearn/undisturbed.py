"""Training within an estimator, which leaves no trace but the fitted model."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from dbn.errors import DivergenceError


@contextmanager
def undisturbed(estimator: Any, rate: str) -> Iterator[None]:
    """Context of a fit: torch's global random state is restored, and divergence is told in the estimator's words.

    Messages about the health of layers, which name settings of the command line, are not logged.

    Args:
        estimator: what is fitted.
        rate: name of its parameter for the learning rate.

    Raises:
        DivergenceError: parameters became infinite or NaN.
    """
    logger = logging.getLogger("dbn")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    except DivergenceError as error:
        raise DivergenceError(
            f"{type(estimator).__name__} diverged: its parameters are no longer finite. Lower {rate} (it is "
            f"{getattr(estimator, rate)})."
        ) from error
    finally:
        logger.setLevel(level)
