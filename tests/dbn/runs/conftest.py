"""A stand-in of Weights & Biases' service, and the environment of somebody who has logged in to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dbn.runs import wandb_run
from wandb_service import KEY, Service, served

SHORT_WAITS = {
    f"WANDB__{kind}_RETRY_WAIT_{end}_SECONDS": "1"
    for kind in ("GRAPHQL", "FILE_STREAM", "FILE_TRANSFER")
    for end in ("MIN", "MAX")
}
"""The client takes whole seconds."""


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """A service that is not up yet, and must know every operation that it is asked for."""
    import wandb

    own = Service()
    with served(own):
        pass  # it has an address now
    environment = {"WANDB_BASE_URL": own.url, "WANDB_API_KEY": KEY, "HOME": str(tmp_path), **SHORT_WAITS}
    environment["WANDB__FILE_STREAM_TRANSMIT_INTERVAL"] = "1"
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(wandb_run, "_asked_again_at", 0.0)
    wandb.teardown()  # it reads the environment once
    yield own
    wandb.teardown()
    assert not own.unknown
