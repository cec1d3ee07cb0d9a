"""Settings of a command that have the name of a group of ``conf/``, which other commands choose from.

Hydra takes ``stack=x`` for a choice of the group ``stack`` wherever that exists. In these commands it sets a value.
"""

from collections.abc import Sequence

SHORTHAND = {
    "predict": {"arm": "arm.name"},
    "features": {"stack": "stack.file"},
    "evaluate": {"stack": "stack.file"},
    "sample": {"stack": "stack.file", "task": "task.name"},
}
"""For each primary configuration: what is written, and the key that it sets."""


def expand(config_name: str, arguments: Sequence[str]) -> list[str]:
    """Arguments in which ``stack=x`` has become ``stack.file=x``, in the commands where it sets that."""
    keys = SHORTHAND.get(config_name, {})
    return [
        f"{keys[key]}={value}" if equals and key in keys else argument
        for argument in arguments
        for key, equals, value in [argument.partition("=")]
    ]
