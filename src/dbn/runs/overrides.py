"""The overrides of the command that asked for a run, as its directory keeps them."""

from pathlib import Path

import yaml

OVERRIDES = Path(".hydra") / "overrides.yaml"


def overrides_of(directory: Path) -> list[str]:
    """Overrides of the command that made a run or last asked for it; none of a run that was made from Python."""
    try:
        return [str(one) for one in yaml.safe_load((directory / OVERRIDES).read_text(encoding="utf-8"))]
    except FileNotFoundError:
        return []
