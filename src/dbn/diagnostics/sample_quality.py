"""How samples differ from data: nearest neighbours, pairwise moments, spectra of the covariance."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dbn.errors import DataError
from dbn.likelihood.intervals import Estimate, estimate_mean
from dbn.random.streams import stream


@dataclass(frozen=True)
class Difference:
    """A difference between samples and data, and how large it is between as many data and other data.

    Attributes:
        value: the difference, at least 0.
        floor: the same between the two halves of the data, divided by the root of 2, as halves are smaller.
    """

    value: float
    floor: float


@dataclass(frozen=True)
class SampleQuality:
    r"""How samples differ from data.

    Attributes:
        adversarial_accuracy: of telling samples from data by the nearest neighbour: 0.5 for samples like the data, 1
            for samples that are unlike them, below 0.5 for copies of them. The mean of the next two.
        data_accuracy: part of the data that are nearer to other data than to any sample; large: samples leave out
            some of the data.
        sample_accuracy: part of the samples that are nearer to other samples than to any datum; large: samples are
            unlike data, or like each other.
        means: root of the mean square of the differences of the units' means.
        covariances: :math:`|C_s - C_d| / |C_d|`, Frobenius norms of the covariance matrices: pairwise moments.
        spectrum: :math:`\sum|\lambda_s - \lambda_d| / \sum\lambda_d` of the eigenvalues of the covariance matrices, in
            order: whether samples vary along as many directions as data, whichever these are.
    """

    adversarial_accuracy: Estimate
    data_accuracy: Estimate
    sample_accuracy: Estimate
    means: Difference
    covariances: Difference
    spectrum: Difference


@torch.no_grad()
def compare_samples(samples: Tensor, data: Tensor) -> SampleQuality:
    """Compare samples with data that the model has not been trained on.

    Args:
        samples: states ``(n, n_visible)``, independent of each other.
        data: states ``(m, n_visible)``; of both, the first ``min(n, m)`` are taken.

    Raises:
        DataError: there are fewer than 10 of either, or they have another number of units.

    References:
        Yale et al. (2020), *Generation and evaluation of privacy preserving synthetic health data*, Neurocomputing
        416:244, equation 3; for RBMs Decelle, Furtlehner & Seoane (2021), *Equilibrium and non-equilibrium regimes in
        the learning of restricted Boltzmann machines*, NeurIPS.
    """
    n = min(len(samples), len(data))
    if n < 10 or samples.shape[1:] != data.shape[1:] or samples.ndim != 2:
        raise DataError(
            f"samples of shape {tuple(samples.shape)} and data of shape {tuple(data.shape)} cannot be compared: give "
            "at least 10 of either, with as many units."
        )
    samples, data = samples[:n].double(), data[:n].double()
    of_data = _nearer(_nearest(data, samples), _nearest(data, data, to_others=True))
    of_samples = _nearer(_nearest(samples, data), _nearest(samples, samples, to_others=True))
    halves = data[torch.randperm(n, generator=stream(0, "halves")).to(data.device)].split(n // 2)
    floors = _moments(halves[0], halves[1])
    found = [
        Difference(value, floor / math.sqrt(2)) for value, floor in zip(_moments(samples, data), floors, strict=True)
    ]
    return SampleQuality(
        adversarial_accuracy=estimate_mean((of_data + of_samples) / 2),
        data_accuracy=estimate_mean(of_data),
        sample_accuracy=estimate_mean(of_samples),
        means=found[0],
        covariances=found[1],
        spectrum=found[2],
    )


def _nearest(of: Tensor, to: Tensor, *, to_others: bool = False, at_once: int = 1000) -> Tensor:
    """Squared distance of each state ``(n, units)`` to the nearest of others, ``(n,)``."""
    squares, found = to.square().sum(1), []
    for start in range(0, len(of), at_once):
        part = of[start : start + at_once]
        distances = part.square().sum(1, keepdim=True) + squares - 2 * part @ to.T
        if to_others:
            distances[torch.arange(len(part)), torch.arange(start, start + len(part))] = math.inf
        found.append(distances.amin(1))
    return torch.cat(found)


def _nearer(to_others: Tensor, to_own: Tensor) -> Tensor:
    """One where the nearest neighbour is of the own kind, half where there is no difference."""
    difference = to_others - to_own
    return torch.where(difference.abs() < 1e-9, 0.5, (difference > 0).double())


def _moments(a: Tensor, b: Tensor) -> tuple[float, float, float]:
    """Differences of means, covariances and spectra of states ``a`` from those of ``b``."""
    of_a, of_b = torch.cov(a.T), torch.cov(b.T)
    means = (a.mean(0) - b.mean(0)).square().mean().sqrt()
    spectra = torch.linalg.eigvalsh(of_a), torch.linalg.eigvalsh(of_b)
    scale = of_b.norm().clamp(min=1e-300), spectra[1].sum().clamp(min=1e-300)
    return (
        float(means),
        float((of_a - of_b).norm() / scale[0]),
        float((spectra[0] - spectra[1]).abs().sum() / scale[1]),
    )
