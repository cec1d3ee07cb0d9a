"""Runs that an agent of a sweep in Weights & Biases has started: which of them belong to the sweep.

The agent tells by environment variables which run of the sweep it waits for, and within a sweep Weights & Biases gives
every run of the process the identity of that one. A job may track several: its stack's pretraining is another run.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from dbn.errors import SettingError

SWEEP, RUN, PARAMETERS = "WANDB_SWEEP_ID", "WANDB_RUN_ID", "WANDB_SWEEP_PARAM_PATH"
STAGE = "finetune"
"""Stage of the run that the sweep's metric is of."""


def agent_run(stage: str) -> str | None:
    """Identity that an agent has given to this process's run; None without an agent, and for other stages."""
    return os.environ.get(RUN) if stage == STAGE and os.environ.get(SWEEP) else None


@contextmanager
def outside_sweep(stage: str) -> Iterator[None]:
    """Within it, runs of other stages than the sweep's are no part of the sweep."""
    if stage == STAGE or not os.environ.get(SWEEP):
        yield
        return
    import wandb

    hidden = {name: os.environ.pop(name) for name in (SWEEP, RUN, PARAMETERS) if name in os.environ}
    wandb.teardown()  # it has read the environment
    try:
        yield
    finally:
        wandb.teardown()
        os.environ.update(hidden)


def check_one_run(n: int) -> None:
    """Refuse several seeds that train together in a run of a sweep.

    Raises:
        SettingError: an agent waits for one run.
    """
    if n > 1 and os.environ.get(SWEEP):
        raise SettingError(
            f"n_parallel_seeds={n}: an agent of Weights & Biases waits for one run, and these are {n}. Use "
            "n_parallel_seeds=1, with seed among the sweep's parameters; sweep=optuna takes several."
        )
