"""Compositions of configurations in a part of Hydra's time, for all tests.

Hydra reads and merges forty files for every job, although most jobs differ in numbers alone. Here what a file holds is
kept for as long as it does not change, what the files come to is kept for each choice of groups, and what an
interpolation says is kept for each text; copies of them are given out. Overrides are parsed and applied by Hydra
itself, job by job, as ever.
"""

import pickle
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import omegaconf._utils
import omegaconf.base
import pytest
from hydra._internal import config_loader_impl
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.core_plugins.importlib_resources_config_source import ImportlibResourcesConfigSource
from hydra._internal.defaults_list import DefaultsList, Overrides, create_defaults_list
from hydra.core.override_parser.types import Override
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig
from omegaconf.grammar_parser import parse

from dbn.commands.configuration import config_directory

_compose = ConfigLoaderImpl._compose_config_from_defaults_list
_search = ConfigLoaderImpl._process_config_searchpath
_load_file = FileConfigSource.load_config
_load_resource = ImportlibResourcesConfigSource.load_config
_plain: set[tuple[str, str]] = set()
"""Commands that add no folders of configurations, with the folder of theirs."""
_files: dict[Any, bytes] = {}
"""By path and time of change; pickled, since copies by pickle take least."""
_lists: dict[Any, DefaultsList] = {}
_of_lists: dict[int, Any] = {}
"""The key of a list in ``_lists``, which stays alive, by the identity of its files."""
_composed: dict[Any, bytes] = {}
MOST = 500
"""Choices of groups that are kept, in megabytes a tenth of that."""


def search_once(self: ConfigLoaderImpl, config_name: str, overrides: list[Override], repo: Any) -> None:
    """Add the folders that the command's own file or an override names."""
    key = config_name, str(self.config_search_path)
    if key in _plain and not any(override.get_key_element() == "hydra.searchpath" for override in overrides):
        return
    before = list(repo.get_sources())
    _search(self, config_name, overrides, repo)
    if list(repo.get_sources()) == before:
        _plain.add(key)


def kept(key: Any, read: Callable[[], ConfigResult]) -> ConfigResult:
    """A copy of what a file holds."""
    if key not in _files:
        _files[key] = pickle.dumps(read())
    result = pickle.loads(_files[key])
    assert isinstance(result, ConfigResult)
    return result


def load_file_once(self: FileConfigSource, config_path: str) -> ConfigResult:
    """What a file of a folder holds, read again if it changed."""
    path = Path(self.path, self._normalize_file_name(config_path))
    if not path.is_file():
        return _load_file(self, config_path)
    state = path.stat()
    key = self.provider, self.path, config_path, state.st_ino, state.st_mtime_ns, state.st_size
    return kept(key, lambda: _load_file(self, config_path))


def load_resource_once(self: ImportlibResourcesConfigSource, config_path: str) -> ConfigResult:
    """What a file of an installed package holds."""
    return kept((self.provider, self.path, config_path), lambda: _load_resource(self, config_path))


def list_once(
    repo: Any, config_name: str | None, overrides_list: list[Override], prepend_hydra: bool, skip_missing: bool
) -> DefaultsList:
    """The files that a configuration is made of, by the groups that are chosen; a test's own folders may change."""
    sources = tuple((source.scheme(), source.provider, source.path) for source in repo.get_sources())
    if any(scheme == "file" and Path(path) != config_directory() for scheme, _, path in sources):
        return create_defaults_list(repo, config_name, overrides_list, prepend_hydra, skip_missing)
    own = Overrides(repo=repo, overrides_list=overrides_list)
    others = {id(override) for override in own.config_overrides}
    chosen = tuple(override.input_line for override in overrides_list if id(override) not in others)
    key = config_name, chosen, prepend_hydra, skip_missing, sources
    if key not in _lists:
        if len(_lists) >= MOST:
            for cache in (_lists, _of_lists, _composed):
                cache.clear()
        _lists[key] = create_defaults_list(repo, config_name, overrides_list, prepend_hydra, skip_missing)
        _of_lists[id(_lists[key].defaults)] = key
    return replace(_lists[key], config_overrides=own.config_overrides)


def compose_once(self: ConfigLoaderImpl, defaults: list[Any], repo: Any) -> DictConfig:
    """What the files come to."""
    key = _of_lists.get(id(defaults))
    if key is None:
        return _compose(self, defaults, repo)
    if key not in _composed:
        _composed[key] = pickle.dumps(_compose(self, defaults, repo))
    config = pickle.loads(_composed[key])
    assert isinstance(config, DictConfig)
    return config


parse_once = lru_cache(maxsize=10_000)(parse)
"""What an interpolation says; nothing changes it."""

QUICK = [
    (ConfigLoaderImpl, "_process_config_searchpath", search_once, _search),
    (FileConfigSource, "load_config", load_file_once, _load_file),
    (ImportlibResourcesConfigSource, "load_config", load_resource_once, _load_resource),
    (config_loader_impl, "create_defaults_list", list_once, create_defaults_list),
    (ConfigLoaderImpl, "_compose_config_from_defaults_list", compose_once, _compose),
    (omegaconf.base, "parse", parse_once, parse),
    (omegaconf._utils, "parse", parse_once, parse),
]
"""Where a function is looked up, its name, the quick one, and the libraries' own."""


def compose_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Hydra compose so, for as long as the patches last."""
    for home, name, quick, _ in QUICK:
        monkeypatch.setattr(home, name, quick)


def compose_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Hydra compose as it does outside tests."""
    for home, name, _, own in QUICK:
        monkeypatch.setattr(home, name, own)
