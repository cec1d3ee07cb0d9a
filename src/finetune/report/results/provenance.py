"""What was run: versions, commit, machine, and the configuration of each arm."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import yaml

from finetune.report.results.run_result import RunResult

_NOT_SETTINGS = frozenset({"name", "arm", "seed"})


@dataclass(frozen=True)
class Fact:
    """A property of the software or machine, and the distinct values that it had over the runs."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class ArmRecord:
    """An arm's configuration as YAML, and its runs as tuples (seed, path, quoted path for a link)."""

    name: str
    stage: str
    config: str
    runs: tuple[tuple[int, str, str], ...]


@dataclass(frozen=True)
class Provenance:
    """How runs were made; ``keys`` are the settings that differ between arms, ``settings`` their values by arm."""

    facts: tuple[Fact, ...]
    keys: tuple[str, ...]
    settings: tuple[tuple[str, tuple[str, ...]], ...]
    arms: tuple[ArmRecord, ...]


def collect_provenance(runs: Sequence[RunResult]) -> Provenance:
    """Collect versions, machines and configurations from the result files."""
    firsts: dict[tuple[str, str], RunResult] = {}
    for run in sorted(runs, key=lambda run: run.seed):
        firsts.setdefault((run.stage, run.name), run)
    firsts = {key: firsts[key] for key in dict.fromkeys((run.stage, run.name) for run in runs)}
    compared = [run for run in firsts.values() if run.stage != "pretrain" and run.config and run.trial is None]
    flat = [(run.name, dotted_settings(run.config)) for run in compared]
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
                yaml.safe_dump(_json_types(run.config), sort_keys=False, allow_unicode=True) if run.config else "",
                tuple((one.seed, one.path, quote(one.path)) for one in runs if (one.stage, one.name) == key),
            )
            for key, run in firsts.items()
        ),
    )


def _facts(runs: Sequence[RunResult]) -> Iterable[Fact]:
    commits = [_commit(run.git) for run in runs if run.git]
    if commits:
        yield Fact("git commit", _distinct(commits))
    for group in ("versions", "machine"):
        for key in dict.fromkeys(key for run in runs for key in getattr(run, group)):
            yield Fact(
                str(key), _distinct(_as_text(getattr(run, group)[key]) for run in runs if key in getattr(run, group))
            )


def _commit(git: dict[str, Any]) -> str:
    commit = str(git.get("commit", "unknown"))[:12]
    return f"{commit} with uncommitted changes" if git.get("dirty") else commit


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _json_types(value: object) -> Any:
    """Only types that JSON and YAML share; others become text."""
    return json.loads(json.dumps(value, default=str))


def dotted_settings(config: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as ``{"optimizer.lr": "0.1"}``; a list is one value."""
    flat: dict[str, str] = {}
    for key, value in config.items():
        if isinstance(value, dict) and value:
            flat |= dotted_settings(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = _as_text(value)
    return flat


def differing_keys(configs: Sequence[dict[str, str]]) -> tuple[str, ...]:
    """Keys whose value differs between configurations, or is absent from some; without name, arm and seed."""
    keys = dict.fromkeys(key for config in configs for key in config)
    return tuple(key for key in keys if key not in _NOT_SETTINGS and len({config.get(key) for config in configs}) > 1)
