"""The samplers that estimators offer by name."""

from collections.abc import Callable

from dbn.samplers import ContrastiveDivergence, HiddenChains, Sampler

SAMPLERS: dict[str, Callable[[int], Sampler]] = {"cd": ContrastiveDivergence, "pcd": HiddenChains}
"""From a number of Gibbs steps."""
