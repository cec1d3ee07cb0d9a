"""Samples against data of which it is known how they differ."""

import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from dbn.diagnostics import compare_samples
from dbn.errors import DataError


def draws(n: int, seed: int, spread: float = 1.0) -> torch.Tensor:
    """Correlated normal states of six units."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return spread * torch.randn(n, 6, generator=generator, dtype=torch.float64) @ mixing


def test_samples_of_the_data_s_own_distribution() -> None:
    """Told from data half of the time, and no further apart than halves of the data are."""
    found = compare_samples(draws(2000, 1), draws(2000, 2))
    assert 0.5 in found.adversarial_accuracy
    for difference in (found.means, found.covariances, found.spectrum):
        assert 0.4 * difference.floor < difference.value < 2.5 * difference.floor


def test_other_samples_are_told_apart_and_copies_are_found_out() -> None:
    data = draws(500, 1)
    near = data + 1e-3
    copies = compare_samples(near, data).adversarial_accuracy
    assert copies.high < 0.05
    away = compare_samples(draws(500, 2) + 50, data)
    assert away.adversarial_accuracy.value == 1
    assert away.means.value == pytest.approx(50, rel=0.05)
    assert away.covariances.value < 3 * away.covariances.floor
    narrow = compare_samples(draws(500, 2, spread=0.3), data)
    assert narrow.sample_accuracy.value > 0.9 > 0.6 > 1 - narrow.data_accuracy.value
    assert narrow.covariances.value == pytest.approx(1 - 0.3**2, abs=0.05)
    assert narrow.spectrum.value == pytest.approx(1 - 0.3**2, abs=0.05)


def test_a_turned_spectrum_is_the_same_spectrum() -> None:
    """Samples whose units have changed places: the covariances differ, the spectrum does not."""
    data = draws(3000, 1)
    found = compare_samples(data.flip(1), data)
    assert found.covariances.value > 10 * found.covariances.floor
    assert found.spectrum.value < 1e-9


def test_accuracy_is_that_of_scikit_learn_s_neighbours() -> None:
    """By the formula of Yale et al., with the neighbours of another library; over a thousand, so in several blocks."""
    data, samples = draws(1300, 3), draws(1300, 4, spread=1.2)

    def nearest(of: torch.Tensor, to: torch.Tensor, own: bool) -> torch.Tensor:
        neighbours = NearestNeighbors(n_neighbors=2).fit(to.numpy())
        return torch.from_numpy(neighbours.kneighbors(of.numpy())[0][:, int(own)])

    expected = [
        float((nearest(a, b, False) > nearest(a, a, True)).double().mean())
        for a, b in ((data, samples), (samples, data))
    ]
    found = compare_samples(samples, data)
    assert [found.data_accuracy.value, found.sample_accuracy.value] == pytest.approx(expected)
    assert found.adversarial_accuracy.value == pytest.approx(sum(expected) / 2)


@pytest.mark.parametrize("samples", [torch.zeros(9, 6), torch.zeros(20, 5)])
def test_what_cannot_be_compared_is_refused(samples: torch.Tensor) -> None:
    with pytest.raises(DataError, match="cannot be compared"):
        compare_samples(samples, draws(30, 0))
