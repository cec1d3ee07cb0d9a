"""Random numbers for units: uniform, normal and Bernoulli, the last at a third of the cost of uniform numbers."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from dbn.random.device_noise import DeviceNoise
from dbn.random.streams import Noise

SMALL = 8192
"""Below this many numbers, the overhead of the cheaper Bernoulli draw exceeds its gain."""
CONTIGUOUS = torch.contiguous_format


def uniform(like: Tensor, generator: Noise = None, out: Tensor | None = None) -> Tensor:
    """Uniform numbers in [0, 1) of the shape, dtype and device of ``like``.

    With several generators, each member (first dimension) draws from its own, as it would alone.
    """
    return _fill(like, generator, Tensor.uniform_, out)


def normal(like: Tensor, generator: Noise = None) -> Tensor:
    """Standard normal numbers; arguments as for :func:`uniform`."""
    return _fill(like, generator, Tensor.normal_)


def _fill(like: Tensor, generator: Noise, fill: Callable[..., Tensor], out: Tensor | None = None) -> Tensor:
    noise = torch.empty_like(like, memory_format=CONTIGUOUS) if out is None else out
    if generator is None or type(generator) is torch.Generator:  # asking for an abstract class takes microseconds
        return fill(noise, generator=generator)
    if isinstance(generator, DeviceNoise):
        return generator.fill(noise, normal=fill is Tensor.normal_)
    if isinstance(generator, Sequence):
        for member, own in zip(noise, generator, strict=True):
            fill(member, generator=own)
        return noise
    return fill(noise, generator=generator)


def uniform_in_rows(like: Tensor, generator: Noise = None) -> Tensor:
    """Uniform numbers as :func:`uniform`'s, on a CPU at half the cost: each is a multiple of 2^-24, as torch's are.

    As in :func:`bernoulli` each number draws 16 bits, and those of a row share 8 lower ones. So what comparing two
    numbers of a row with bounds decides is dependent only where their 16 bits equal those of the bounds. Small arrays,
    other dtypes and devices use :func:`uniform`.

    Args:
        like: ``(..., n)``, in rows of ``n``.
        generator: source of randomness, see :func:`uniform`.
    """
    if isinstance(generator, Sequence):
        return torch.stack([uniform_in_rows(own, noise) for own, noise in zip(like, generator, strict=True)])
    is_cheaper = like.device.type == "cpu" and like.dtype == torch.float32 and like.numel() >= SMALL
    if not is_cheaper or isinstance(generator, DeviceNoise):
        return uniform(like, generator)
    bits = _sixteen_bits(like, generator)
    shared = torch.empty(*like.shape[:-1], 1).random_(2**23, 2**23 + 256, generator=generator).div_(2**24)
    return shared.add(bits, alpha=2**-16)  # exact in float32


def _sixteen_bits(like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Whole numbers from -2^15 to 2^15 - 1 of the shape of ``like``, all equally probable."""
    words = torch.empty(-(-like.numel() // 4), dtype=torch.int64)
    words.random_(-(2**63), None, generator=generator)  # without bounds torch leaves the sign bit at zero
    return words.view(torch.int16)[: like.numel()].view(like.shape)


def bernoulli(mean: Tensor, generator: Noise = None, out: Tensor | None = None) -> Tensor:
    """Independent Bernoulli draws, zeros and ones.

    On a CPU, drawing float32 uniform numbers takes most of the time, and few of their 24 bits matter. So each unit
    draws 16 random bits, and the units of a row share 8 lower ones: each unit has the exact 24-bit probability, and two
    units of a row are dependent only if their 16 bits equal those of their probabilities (2^-16 each). Small arrays,
    other dtypes and devices use uniform numbers.

    Args:
        mean: probabilities ``(..., n)`` in [0, 1]; 0 never gives a one, 1 always does.
        generator: source of randomness, on the device of ``mean`` (default: torch's global one). Of several, each
            draws for its member ``mean[k]`` what it would draw for that alone.
        out: destination, contiguous, of the shape and dtype of ``mean``; ``mean`` itself or not overlapping it.

    Returns:
        Zeros and ones of the shape and dtype of ``mean``.
    """
    if (generator is None or type(generator) is torch.Generator) and mean.numel() < SMALL:  # the fastest, see _fill
        noise = out if out is not None and out is not mean else torch.empty_like(mean, memory_format=CONTIGUOUS)
        noise.uniform_(generator=generator)
        return torch.lt(noise, mean, out=noise if out is None else out)
    each = mean[0].numel() if isinstance(generator, Sequence) else mean.numel()
    if mean.device.type != "cpu" or mean.dtype != torch.float32 or each < SMALL or isinstance(generator, DeviceNoise):
        noise = uniform(mean, generator, None if out is mean else out)
        return torch.lt(noise, mean, out=noise if out is None else out)
    if isinstance(generator, Sequence):
        out = torch.empty_like(mean) if out is None else out
        for k, own in enumerate(generator):
            bernoulli(mean[k], own, out[k])
        return out
    bits = _sixteen_bits(mean, generator)
    shared = torch.empty(*mean.shape[:-1], 1).random_(-(2**23) - 255, -(2**23) + 1, generator=generator).div_(256)
    # A one where (bits + 2^15 + k/256) / 2^16 < mean. shared is -2^15 - k/256, k from 0 to 255, exact in float32.
    threshold = torch.add(shared, mean, alpha=2**16)
    return torch.lt(bits, threshold, out=threshold if out is None else out)
