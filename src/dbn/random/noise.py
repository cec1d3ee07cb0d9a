"""Random numbers for units: uniform, normal, and zeros and ones, at a third of what uniform numbers would cost."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from dbn.random.streams import Noise

SMALL = 8192
"""Below this many numbers, more calls cost more than cheaper bits save."""


def uniform(like: Tensor, generator: Noise = None, out: Tensor | None = None) -> Tensor:
    """Uniform numbers in [0, 1) of the shape, dtype and device of ``like``.

    From several generators, each member (first dimension) gets those of its own: as if it drew by itself.
    """
    return _fill(like, generator, Tensor.uniform_, out)


def normal(like: Tensor, generator: Noise = None) -> Tensor:
    """Standard normal numbers; otherwise as :func:`uniform`."""
    return _fill(like, generator, Tensor.normal_)


def _fill(like: Tensor, generator: Noise, fill: Callable[..., Tensor], out: Tensor | None = None) -> Tensor:
    noise = torch.empty_like(like, memory_format=torch.contiguous_format) if out is None else out
    if isinstance(generator, Sequence):
        for member, own in zip(noise, generator, strict=True):
            fill(member, generator=own)
        return noise
    return fill(noise, generator=generator)


def bernoulli(mean: Tensor, generator: Noise = None, out: Tensor | None = None) -> Tensor:
    """One draw of zeros and ones, each a one with its own probability.

    On a CPU a float32 uniform number costs more than all else a draw does, and most of its 24 bits decide nothing. So
    each unit gets 16 random bits of its own, and the units of a row share 8 more behind them: every unit by itself is
    drawn with all 24 bits, and two units of a row depend on each other only where their 16 bits tie with the
    probability (a chance of 2^-16 each). Small arrays, other dtypes and devices take uniform numbers.

    Args:
        mean: probabilities ``(..., n)`` in [0, 1]: exactly 0 never gives a one, exactly 1 always.
        generator: source of randomness, on the device of ``mean`` (default: torch's global one). Of several, each
            draws for its member ``mean[k]`` what it would draw for that alone.
        out: where to write, contiguous, of the shape and dtype of ``mean``; may be ``mean`` itself, but not overlap it.

    Returns:
        Zeros and ones of the shape and dtype of ``mean``.
    """
    each = mean[0].numel() if isinstance(generator, Sequence) else mean.numel()
    if mean.device.type != "cpu" or mean.dtype != torch.float32 or each < SMALL:
        noise = uniform(mean, generator, None if out is mean else out)
        return torch.lt(noise, mean, out=noise if out is None else out)
    if isinstance(generator, Sequence):
        out = torch.empty_like(mean) if out is None else out
        for k, own in enumerate(generator):
            bernoulli(mean[k], own, out[k])
        return out
    words = torch.empty(-(-mean.numel() // 4), dtype=torch.int64)
    words.random_(-(2**63), None, generator=generator)  # without bounds torch leaves the sign bit at zero
    bits = words.view(torch.int16)[: mean.numel()].view(mean.shape)  # -2^15 to 2^15 - 1
    shared = torch.empty(*mean.shape[:-1], 1).random_(-(2**23) - 255, -(2**23) + 1, generator=generator).div_(256)
    # A one where (bits + 2^15 + k/256) / 2^16 < mean. shared is -2^15 - k/256, k from 0 to 255, exact in float32.
    threshold = torch.add(shared, mean, alpha=2**16)
    return torch.lt(bits, threshold, out=threshold if out is None else out)
