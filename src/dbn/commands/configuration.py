"""The configuration tree ``conf/``: its folder, its keys, its values as plain Python objects."""

from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dbn.errors import SettingError
from dbn.files import config_directory as config_directory


def known_keys(config_name: str) -> list[str]:
    """All dotted keys of the configuration without overrides, and all groups."""
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(config_directory()), version_base="1.3"):
        config = hydra.compose(config_name, return_hydra_config=False)
        groups = GlobalHydra.instance().config_loader().list_groups("")
    return [*flatten(config), *(group for group in groups if group != "hydra")]


def flatten(config: Any, prefix: str = "") -> list[str]:
    """Dotted keys of a nested configuration, branches included."""
    keys = []
    if isinstance(config, DictConfig):
        for name in map(str, config):
            key = f"{prefix}.{name}".lstrip(".")
            node = config._get_node(name)
            keys += [key, *(flatten(node, key) if isinstance(node, DictConfig) and not node._is_none() else [])]
    return keys


def resolve_config(config: DictConfig | ListConfig) -> Any:
    """A configuration as plain dicts and lists, every interpolation resolved.

    Raises:
        SettingError: a value is missing.
    """
    try:
        return OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException:
        missing = OmegaConf.missing_keys(config)  # only now: it resolves everything once more
        if not missing:
            raise
    key = sorted(missing)[0]
    raise SettingError(f"{key}: this needs a value. Give it as {key}=... on the command line.")
