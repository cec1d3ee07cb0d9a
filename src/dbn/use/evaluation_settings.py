"""How a stack is evaluated."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class EvaluationSettings:
    """Settings of :mod:`dbn.use.evaluation`, those of ``conf/evaluate.yaml``, which says what they are."""

    chains: int | None = None
    temperatures: int = 10000
    annealing_chains: int = 100
    bound_samples: int = 20
    pseudo_likelihood: str = "stochastic"
    samples: int = 1000
    steps: int = 1000
    modes: int = 10
    seed: int = 0

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "EvaluationSettings":
        """Those of a command, which has others as well."""
        return cls(**{field.name: settings[field.name] for field in fields(cls)})
