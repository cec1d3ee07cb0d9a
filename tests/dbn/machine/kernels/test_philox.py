"""Noise of kernels: the published generator, a stream for each member and call."""

import numpy as np
import pytest
import torch
from scipy import stats

from dbn.random.device_noise import DeviceNoise
from dbn.random.noise import bernoulli, normal, uniform
from dbn.random.streams import stream_seed
from helpers import Route
from reference_noise import normal as reference_normal
from reference_noise import philox
from reference_noise import uniform as reference_uniform


@pytest.fixture
def seeded(kernels: Route) -> object:
    """Makes a source from seeds."""
    from dbn.machine.kernels.philox import Philox

    return lambda *seeds: Philox.seeded(seeds, kernels.device)


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ([0] * 4, (0, 0), [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([2**32 - 1] * 4, (2**32 - 1, 2**32 - 1), [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            (0xA4093822, 0x299F31D0),
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)
def test_the_reference_gives_the_published_words(counter: list[int], key: tuple[int, int], expected: list[int]) -> None:
    """Known answers of the authors' Random123 library."""
    assert [int(word) for word in philox(tuple(np.uint64(c) for c in counter), key)] == expected


@pytest.mark.parametrize("n", [1, 31, 127, 128, 129, 1000])
def test_numbers_are_those_of_the_reference(n: int, kernels: Route, seeded: object) -> None:
    """Every bit of uniform numbers, for seeds of 64 bits, members and calls; normal ones within rounding."""
    seeds = (7, 2**64 - 3)
    noise = seeded(*seeds)  # type: ignore[operator]
    for call in range(3):
        found = uniform(torch.empty(2, n, device=kernels.device), noise)
        assert torch.equal(found.cpu().double(), torch.stack([reference_uniform(seed, call, n) for seed in seeds]))
    found = normal(torch.empty(2, n, device=kernels.device), noise)
    expected = torch.stack([reference_normal(seed, 3, n) for seed in seeds])
    torch.testing.assert_close(found.cpu().double(), expected, rtol=0, atol=1e-4)


def test_a_stream_s_numbers_are_those_of_its_seed(kernels: Route) -> None:
    noise = kernels.noise(3, 4)
    assert isinstance(noise, DeviceNoise)
    found = uniform(torch.empty(2, 50, device=kernels.device), noise).cpu().double()
    assert torch.equal(found[1], reference_uniform(stream_seed(4, "route"), 0, 50))


def test_new_seeds_at_the_same_address_give_the_numbers_of_a_new_source(kernels: Route, seeded: object) -> None:
    noise, like = seeded(1, 2), torch.empty(2, 40, device=kernels.device)  # type: ignore[operator]
    address = noise.seeds.data_ptr()
    first = uniform(like, noise)
    noise.reseed(seeded(5, 6))  # type: ignore[operator]
    assert noise.seeds.data_ptr() == address
    assert torch.equal(uniform(like, noise), uniform(like, seeded(5, 6)))  # type: ignore[operator]
    noise.reseed(seeded(1, 2))  # type: ignore[operator]
    assert torch.equal(uniform(like, noise), first)


def test_normal_numbers_are_normal_and_calls_are_independent(kernels: Route, seeded: object) -> None:
    noise, like = seeded(9), torch.empty(40_000, device=kernels.device)  # type: ignore[operator]
    one, other = normal(like, noise).cpu().numpy(), normal(like, noise).cpu().numpy()
    assert stats.kstest(one, "norm").pvalue > 1e-3
    assert abs(np.corrcoef(one, other)[0, 1]) < 4 / 200
    assert abs(np.corrcoef(one[:-1], one[1:])[0, 1]) < 4 / 200
    assert abs(np.corrcoef(one[:10_000], one[10_000:20_000])[0, 1]) < 4 / 100  # cosine and sine


def test_binary_draws_of_a_unit_type_of_one_s_own(kernels: Route, seeded: object) -> None:
    """What is not in a kernel draws from the same source by the functions of :mod:`dbn.random.noise`."""
    mean = torch.rand(2, 100, 99, device=kernels.device)
    expected = torch.stack([reference_uniform(seed, 0, 9900) for seed in (1, 2)]).view(2, 100, 99) < mean.cpu()
    assert torch.equal(bernoulli(mean, seeded(1, 2)).cpu(), expected.float())  # type: ignore[operator]
