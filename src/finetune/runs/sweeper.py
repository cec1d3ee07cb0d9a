"""Which sweeper drives a multirun: one of Hydra's or of this package, or one that minimises what jobs return."""

from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

KNOWN = ("hydra._internal.core_plugins.basic_sweeper.", "hydra_plugins.layerwise_dbn.")
"""Sweepers that do not read what jobs return."""


def is_foreign(config: DictConfig | Any) -> bool:
    """Whether the sweeper of a configuration, with Hydra's own part, is of another package, such as Nevergrad's."""
    target = str(config.hydra.sweeper.get("_target_", ""))
    return config.hydra.mode == RunMode.MULTIRUN and not target.startswith(KNOWN)


def minimised_elsewhere() -> bool:
    """Whether the current job is one of a multirun of such a sweeper."""
    found = HydraConfig.instance().cfg
    return found is not None and is_foreign(found)
