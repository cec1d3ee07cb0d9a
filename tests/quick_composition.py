"""Compositions of configurations in a part of Hydra's time, for tests of multiruns with a hundred jobs.

Hydra reads and merges forty files for every job, although most jobs differ in numbers alone. Here what the files come
to is kept for each choice of groups, and copied. Overrides are parsed and applied by Hydra itself, job by job, as ever.
"""

import pickle
from dataclasses import replace
from typing import Any

import pytest
from hydra._internal import config_loader_impl
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.defaults_list import DefaultsList, Overrides, create_defaults_list
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

_compose = ConfigLoaderImpl._compose_config_from_defaults_list
_search = ConfigLoaderImpl._process_config_searchpath
_plain: set[tuple[str, str]] = set()
"""Commands that add no folders of configurations, with the folder of theirs."""
_lists: dict[Any, DefaultsList] = {}
_composed: dict[int, bytes] = {}
"""By the identity of a list in ``_lists``, which stays alive; pickled, since copies by pickle take least."""


def search_once(self: ConfigLoaderImpl, config_name: str, overrides: list[Override], repo: Any) -> None:
    """Add the folders that the command's own file or an override names."""
    key = config_name, str(self.config_search_path)
    if key in _plain and not any(override.get_key_element() == "hydra.searchpath" for override in overrides):
        return
    before = list(repo.get_sources())
    _search(self, config_name, overrides, repo)
    if list(repo.get_sources()) == before:
        _plain.add(key)


def list_once(
    repo: Any, config_name: str | None, overrides_list: list[Override], prepend_hydra: bool, skip_missing: bool
) -> DefaultsList:
    """The files that a configuration is made of, by the groups that are chosen."""
    own = Overrides(repo=repo, overrides_list=overrides_list)
    others = {id(override) for override in own.config_overrides}
    chosen = tuple(override.input_line for override in overrides_list if id(override) not in others)
    sources = tuple((source.provider, source.path) for source in repo.get_sources())
    key = config_name, chosen, prepend_hydra, skip_missing, sources
    if key not in _lists:
        _lists[key] = create_defaults_list(repo, config_name, overrides_list, prepend_hydra, skip_missing)
    known = _lists[key]
    return replace(known, config_overrides=own.config_overrides)


def compose_once(self: ConfigLoaderImpl, defaults: list[Any], repo: Any) -> DictConfig:
    """What the files come to."""
    if not any(defaults is known.defaults for known in _lists.values()):
        return _compose(self, defaults, repo)
    if id(defaults) not in _composed:
        _composed[id(defaults)] = pickle.dumps(_compose(self, defaults, repo))
    config = pickle.loads(_composed[id(defaults)])
    assert isinstance(config, DictConfig)
    return config


def compose_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Hydra compose so, for as long as a test lasts."""
    monkeypatch.setattr(ConfigLoaderImpl, "_process_config_searchpath", search_once)
    monkeypatch.setattr(config_loader_impl, "create_defaults_list", list_once)
    monkeypatch.setattr(ConfigLoaderImpl, "_compose_config_from_defaults_list", compose_once)
