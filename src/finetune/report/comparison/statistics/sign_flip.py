"""The sign-flip permutation test of paired differences: their mean against that under all patterns of signs."""

from collections.abc import Sequence

import numpy as np

MAX_EXACT = 20
"""Number of differences up to which all sign patterns are enumerated."""
PATTERNS = 100_000
"""Sign patterns drawn, with a fixed seed, where there are more differences."""


def sign_flip_test(differences: Sequence[float]) -> float | None:
    """Two-sided p value: share of sign patterns whose mean is at least as far from zero as the observed one.

    It is exact where the differences are symmetric about zero, whatever their distribution: as those of two arms that
    are alike. The smallest possible p of n differences is 2 / 2^n: one sixteenth for five seeds.

    Returns:
        None where all differences are zero, or there is none.

    References:
        Fisher (1935), *The design of experiments*, section 21; Phipson & Smyth (2010), *Permutation p-values should
        never be zero*, for sampled patterns.
    """
    values = np.asarray(differences, np.float64)
    largest = np.abs(values).max(initial=0.0)
    if largest == 0:
        return None
    values = values / largest
    observed = abs(float(values.sum())) - 1e-9 * len(values)  # differences that tie as counts tie here
    if len(values) <= MAX_EXACT:
        sums = np.zeros(1)
        for value in values:
            sums = np.concatenate([sums - value, sums + value])
        return float((np.abs(sums) >= observed).mean())
    rng = np.random.default_rng(0)
    signs = rng.integers(0, 2, (PATTERNS, len(values)), dtype=np.int8) * np.int8(2) - np.int8(1)
    return float((1 + (np.abs(signs @ values) >= observed).sum()) / (1 + PATTERNS))
