"""Integrated autocorrelation times of Markov chains."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dbn.errors import DataError
from dbn.likelihood.intervals import Estimate

WINDOW = 5
"""Autocorrelations are added up to this many times the autocorrelation time: beyond, they are noise."""
LONG_ENOUGH = 50
"""Autocorrelation times that chains must last for the estimate to be trusted, as emcee asks."""


@dataclass(frozen=True, eq=False)
class AutocorrelationTime:
    r"""Integrated autocorrelation time of a quantity along chains.

    Attributes:
        steps: :math:`\tau = 1 + 2\sum_t \rho(t)`: steps of a chain that are worth one independent sample, with a 95 %
            interval.
        function: :math:`\rho(t)` by lag from 0, ``(lags,)``.
        long_enough: the chains last 50 times as long; otherwise the time is at least about ``steps``, and may be much
            longer.
    """

    steps: Estimate
    function: Tensor
    long_enough: bool


def autocorrelation_time(series: Tensor) -> AutocorrelationTime:
    """Integrated autocorrelation time, by Sokal's window.

    Deviations are those from the mean of all chains: where chains stay apart, in modes of their own, correlations do
    not end, which deviations from each chain's own mean would hide.

    Args:
        series: a quantity by step and chain, ``(steps, chains)``.

    Raises:
        DataError: fewer than 4 steps, or a quantity that never changes or is not finite.

    Example:
        >>> import torch
        >>> noise = torch.randn(1000, 20, generator=torch.Generator().manual_seed(0))
        >>> round(autocorrelation_time(noise).steps.value)
        1

    References:
        Sokal (1997), *Monte Carlo methods in statistical mechanics*, section 3; Goodman & Weare (2010), *Ensemble
        samplers with affine invariance*, section 5.
    """
    x = series.double()
    n, chains = x.shape
    if n < 4:
        raise DataError(f"series of {n} steps: autocorrelations take at least 4. Run the chains for longer.")
    x = x - x.mean()
    if not x.isfinite().all() or not x.any():
        raise DataError("series: the quantity never changes, or is not finite. Measure another one.")
    spectrum = torch.fft.rfft(x, n=2 * n, dim=0)
    sums = torch.fft.irfft(spectrum.abs().square(), n=2 * n, dim=0)[:n].sum(1)
    covariance = sums / (torch.arange(n, 0, -1, device=x.device) * chains)
    function = covariance / covariance[0]
    times = 2 * function.cumsum(0) - 1
    inside = torch.arange(n, device=x.device) < WINDOW * times.clamp(min=1)
    window = int((~inside).nonzero()[0]) if not bool(inside.all()) else n - 1
    tau = max(float(times[window]), 1e-3)
    error = tau * math.sqrt(2 * (2 * window + 1) / (n * chains))
    steps = Estimate(tau, max(tau - 1.96 * error, 0.0), tau + 1.96 * error)
    return AutocorrelationTime(steps, function.cpu(), n >= LONG_ENOUGH * tau)
