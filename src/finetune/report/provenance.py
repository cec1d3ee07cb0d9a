"""What was run: versions, commit, machine, and the configuration of each arm."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import yaml

from finetune.report.read import Run

_SAID_ELSEWHERE = frozenset({"name", "arm", "seed"})


@dataclass(frozen=True)
class Fact:
    """One property of the runs, and every value it had: more than one is worth a look."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class ArmRecord:
    """One arm's configuration as YAML, and the links to its runs (seed, directory)."""

    name: str
    stage: str
    config: str
    runs: tuple[tuple[int, str, str], ...]


@dataclass(frozen=True)
class Provenance:
    """All of it; ``keys`` are the settings that differ between arms, ``settings`` their values by arm."""

    facts: tuple[Fact, ...]
    keys: tuple[str, ...]
    settings: tuple[tuple[str, tuple[str, ...]], ...]
    arms: tuple[ArmRecord, ...]


def provenance_of(runs: Sequence[Run]) -> Provenance:
    """What the result files say about how they came to be."""
    firsts: dict[tuple[str, str], Run] = {}
    for run in sorted(runs, key=lambda run: run.seed):
        firsts.setdefault((run.stage, run.name), run)
    firsts = {key: firsts[key] for key in dict.fromkeys((run.stage, run.name) for run in runs)}
    compared = [run for run in firsts.values() if run.stage != "pretrain" and run.config and run.trial is None]
    flat = [(run.name, flatten(run.config)) for run in compared]
    keys = tuple(
        key
        for key in differing_keys([settings for _, settings in flat])
        if any(settings.get(key) not in (run.name, run.arm) for run, (_, settings) in zip(compared, flat, strict=True))
    )
    return Provenance(
        facts=tuple(_facts(runs)),
        keys=keys,
        settings=tuple((name, tuple(settings.get(key, "") for key in keys)) for name, settings in flat),
        arms=tuple(
            ArmRecord(
                run.name,
                run.stage,
                yaml.safe_dump(_plain(run.config), sort_keys=False, allow_unicode=True) if run.config else "",
                tuple((one.seed, one.path, quote(one.path)) for one in runs if (one.stage, one.name) == key),
            )
            for key, run in firsts.items()
        ),
    )


def _facts(runs: Sequence[Run]) -> Iterable[Fact]:
    commits = [_commit(run.git) for run in runs if run.git]
    if commits:
        yield Fact("git commit", _distinct(commits))
    for group in ("versions", "machine"):
        for key in dict.fromkeys(key for run in runs for key in getattr(run, group)):
            yield Fact(
                str(key), _distinct(_short(getattr(run, group)[key]) for run in runs if key in getattr(run, group))
            )


def _commit(git: dict[str, Any]) -> str:
    commit = str(git.get("commit", "unknown"))[:12]
    return f"{commit} with uncommitted changes" if git.get("dirty") else commit


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


def _short(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _plain(value: object) -> Any:
    """Only what YAML has: JSON has nothing else, but says so."""
    return json.loads(json.dumps(value, default=str))


def flatten(config: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings -> ``{"optimizer.lr": "0.1"}``; lists stay in one piece."""
    flat: dict[str, str] = {}
    for key, value in config.items():
        if isinstance(value, dict) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = _short(value)
    return flat


def differing_keys(configs: Sequence[dict[str, str]]) -> tuple[str, ...]:
    """Keys that not all configurations have with the same value, in order, without name, arm and seed."""
    keys = dict.fromkeys(key for config in configs for key in config)
    return tuple(key for key in keys if key not in _SAID_ELSEWHERE and len({config.get(key) for config in configs}) > 1)
