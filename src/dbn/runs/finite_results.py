"""Results whose numbers are finite: a run that has diverged ends with an error, not with a result."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from dbn.errors import DivergenceError

ADVICE = {
    "pretrain": "Lower the learning rate of its layers, stack.every_layer.learning_rate.",
    "finetune": "Lower training.learning_rate, or set training.max_norm.",
}
"""What to do, by the stage of the run."""


def check_finite(name: str, result: Mapping[str, Any]) -> None:
    """Check that all numbers of a result are finite.

    Parameters are checked after every epoch; of finite ones, which are very large, the metrics may still not be.

    Args:
        name: of the run's directory.
        result: content of ``result.json``, without the configuration.

    Raises:
        DivergenceError: a number is infinite or NaN.
    """
    found = list(_not_finite(result, ""))
    if not found:
        return
    key, value = found[0]
    more = f" ({len(found) - 1} more numbers are not finite)" if len(found) > 1 else ""
    advice = ADVICE.get(str(result.get("stage")), "Check the data and the settings of the baseline.")
    raise DivergenceError(f"{name} diverged: {key} is {value}{more}. {advice}")


def _not_finite(content: Any, key: str) -> Iterator[tuple[str, float]]:
    """Dotted key and value of each number that is infinite or NaN."""
    if isinstance(content, Mapping):
        for name, value in content.items():
            yield from _not_finite(value, f"{key}.{name}".lstrip("."))
    elif isinstance(content, list | tuple):
        for place, value in enumerate(content):
            yield from _not_finite(value, f"{key}[{place}]")
    elif isinstance(content, float) and not math.isfinite(content):
        yield key, content
