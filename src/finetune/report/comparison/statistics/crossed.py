"""Means over seeds and test images that are crossed: every network of every seed classifies every test image."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from finetune.report.comparison.statistics.intervals import ConfidenceInterval, Estimate, t_p_value, t_quantile


@dataclass(frozen=True)
class Crossed:
    """Mean of a table of seeds by test images, and its standard errors.

    Attributes:
        standard_error: for new seeds and new images.
        freedom: degrees of freedom of its square, by Satterthwaite's approximation.
        seed_error: for new seeds and these images: standard deviation of the seeds' means over the root of their
            number.
        image_error: for new images and these networks, likewise.
        image_part: estimated part of the images alone, which more seeds would not make smaller; a standard error.
    """

    mean: float
    n_seeds: int
    n_images: int
    standard_error: float
    freedom: float
    seed_error: float
    image_error: float
    image_part: float

    @property
    def interval(self) -> ConfidenceInterval:
        """95 % t interval of the mean over new seeds and new images."""
        half_width = t_quantile(self.freedom) * self.standard_error
        return ConfidenceInterval(self.mean - half_width, self.mean + half_width)

    @property
    def p_value(self) -> float | None:
        """Two-sided p value of a mean of zero; None where nothing varies."""
        return t_p_value(self.mean / self.standard_error, self.freedom) if self.standard_error > 0 else None

    @property
    def estimate(self) -> Estimate:
        """Mean, interval and both standard errors."""
        return Estimate(self.mean, self.n_seeds, self.interval, self.seed_error, self.image_error, self.n_images)


def crossed_mean(wrong: NDArray[np.bool_]) -> Crossed:
    """Mean error over seeds and images; ``wrong`` ``(S, I)``, see :func:`crossed`."""
    by_seed, by_image = _sums(wrong)
    return crossed(by_seed, by_image, int(by_seed.sum()))


def crossed_difference(wrong: NDArray[np.bool_], other: NDArray[np.bool_]) -> Crossed:
    """Mean difference of errors over seeds and images; both ``(S, I)``, with the same seeds and images."""
    (by_seed, by_image), (other_by_seed, other_by_image) = _sums(wrong), _sums(other)
    differing = int(np.count_nonzero(wrong ^ other))  # the differences are -1, 0 and 1: the sum of their squares
    return crossed(by_seed - other_by_seed, by_image - other_by_image, differing)


def _sums(wrong: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return np.count_nonzero(wrong, 1).astype(np.int64), wrong.sum(0, dtype=np.int32).astype(np.int64)


def crossed(by_seed: NDArray[np.int64], by_image: NDArray[np.int64], squares: int) -> Crossed:
    r"""Mean over seeds and images with its standard error, from the two-way analysis of variance.

    With :math:`x_{si} = \mu + a_s + b_i + e_{si}`, the variance of the mean over new seeds and images is
    :math:`\sigma_a^2 / S + \sigma_b^2 / I + \sigma_e^2 / (S I)`, whose unbiased estimate is
    :math:`(M_a + M_b - M_e) / (S I)` with the mean squares of seeds, images and residual. A negative estimate of
    :math:`\sigma_a^2` or :math:`\sigma_b^2` counts as zero, so that the standard error is never below that over seeds
    alone or images alone. Its degrees of freedom are Satterthwaite's.

    Args:
        by_seed: sum of the whole numbers :math:`x_{si}` over images, ``(S,)``, at least two seeds.
        by_image: their sum over seeds, ``(I,)``, at least two images.
        squares: sum of all their squares.

    References:
        Searle, Casella & McCulloch (1992), *Variance components*, chapter 4; Satterthwaite (1946), *An approximate
        distribution of estimates of variance components*; Owen (2007), *The pigeonhole bootstrap*, for the same
        variance by resampling both seeds and images.
    """
    n_seeds, n_images = len(by_seed), len(by_image)
    n, total = n_seeds * n_images, int(by_seed.sum())
    # whole numbers throughout, so that what does not vary has a variance of exactly zero; all times S I
    seeds = n_seeds * int(by_seed @ by_seed) - total**2
    images = n_images * int(by_image @ by_image) - total**2
    rest = n * squares - total**2 - seeds - images
    freedoms = n_seeds - 1, n_images - 1, (n_seeds - 1) * (n_images - 1)
    ms_seed, ms_image, ms_rest = (
        max(square, 0) / n / own for square, own in zip((seeds, images, rest), freedoms, strict=True)
    )
    ms_rest = min(ms_rest, ms_seed, ms_image)
    square = ms_seed + ms_image - ms_rest
    freedom = n_seeds - 1.0
    if square > 0:
        freedom = square**2 / sum(ms**2 / own for ms, own in zip((ms_seed, ms_image, ms_rest), freedoms, strict=True))
    return Crossed(
        mean=total / n,
        n_seeds=n_seeds,
        n_images=n_images,
        standard_error=math.sqrt(square / n),
        freedom=freedom,
        seed_error=math.sqrt(ms_seed / n),
        image_error=math.sqrt(ms_image / n),
        image_part=math.sqrt((ms_image - ms_rest) / n),
    )
