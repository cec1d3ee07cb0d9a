"""Training within an estimator, which leaves no trace but the fitted model."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from dbn.errors import DivergenceError


@contextmanager
def undisturbed(estimator: Any, rate: str) -> Iterator[None]:
    """Context of a fit: torch's global random state is restored, and divergence is told in the estimator's words.

    Args:
        estimator: what is fitted.
        rate: name of its parameter for the learning rate.

    Raises:
        DivergenceError: parameters became infinite or NaN.
    """
    with torch.random.fork_rng(devices=[]):
        try:
            yield
        except DivergenceError as error:
            raise DivergenceError(
                f"{type(estimator).__name__} diverged: its parameters are no longer finite. Lower {rate} (it is "
                f"{getattr(estimator, rate)})."
            ) from error
