"""How an RBM's Gibbs chains mix: autocorrelations, visits of modes, and how long chains need to forget their start."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dbn.diagnostics.autocorrelation import AutocorrelationTime, autocorrelation_time
from dbn.errors import DataError
from dbn.likelihood.enumeration import check_single
from dbn.models.rbm import RBM
from dbn.random.streams import stream
from dbn.settings import check_number

COMPONENTS = 5
"""Principal components of the data that are watched beside the free energy."""
CONVERGED = 1.01
"""R-hat that chains have to stay below."""


@dataclass(frozen=True, eq=False)
class Chains:
    """What was seen of the chains from one start.

    Attributes:
        values: of each quantity by step, ``(steps, chains, quantities)``.
        modes: nearest mode by step, ``(steps, chains)`` from 0.
    """

    values: Tensor
    modes: Tensor


@dataclass(frozen=True, eq=False)
class Mixing:
    """How Gibbs chains mix.

    Attributes:
        quantities: names of what is watched: the free energy, and components of the data.
        from_data: chains that start at data.
        from_noise: chains that start at units without field, as samples are drawn.
        times: autocorrelation time of every quantity, of the second half of all chains.
        shares: part of the data that is nearest to each mode, ``(modes,)``.
        r_hat: largest R-hat of all quantities and chains after a number of steps: ``(steps, R-hat)``.
    """

    quantities: tuple[str, ...]
    from_data: Chains
    from_noise: Chains
    times: tuple[AutocorrelationTime, ...]
    shares: Tensor
    r_hat: tuple[tuple[int, float], ...]

    @property
    def slowest(self) -> int:
        """Number of the quantity with the longest autocorrelation time."""
        return max(range(len(self.times)), key=lambda k: self.times[k].steps.value)

    @property
    def steps_needed(self) -> int | None:
        """Steps after which R-hat stays below 1.01; None: the chains would have to run for longer."""
        needed = None
        for steps, value in reversed(self.r_hat):
            if not value < CONVERGED:
                break
            needed = steps
        return needed

    @property
    def visited(self) -> float:
        """Modes that a chain visits in its second half, on average."""
        modes = self._second_half()
        return sum(len(own.unique()) for own in modes.T) / modes.shape[1]

    @property
    def switches(self) -> float:
        """Moves from mode to mode per step, on average, in the second half of the chains."""
        modes = self._second_half()
        return float((modes[1:] != modes[:-1]).double().mean())

    @property
    def misplaced(self) -> float:
        """Total variation between the modes of chains that start at noise, in their second half, and the data's."""
        modes = self.from_noise.modes[len(self.from_noise.modes) // 2 :]
        found = torch.bincount(modes.flatten(), minlength=len(self.shares)) / modes.numel()
        return float((found - self.shares).abs().sum() / 2)

    def _second_half(self) -> Tensor:
        both = torch.cat([self.from_data.modes, self.from_noise.modes], 1)
        return both[len(both) // 2 :]


@torch.no_grad()
def measure_mixing(
    rbm: RBM,
    data: Tensor,
    *,
    chains: int = 100,
    steps: int = 1000,
    modes: int = 10,
    generator: torch.Generator | None = None,
    after_step: Callable[[int], None] | None = None,
) -> Mixing:
    """Run Gibbs chains from data and from units without field, and compare them.

    Modes are clusters of the data (k-means); a chain is in that whose centre is nearest. R-hat compares the chains of
    both starts with each other: means of chains in the second half of the steps so far with how much each chain varies.

    Args:
        rbm: the model; of a deep belief network its top RBM.
        data: visible states ``(n, n_visible)``, at least as many as chains.
        chains: from each start.
        steps: Gibbs steps, at least 8.
        modes: clusters of the data that count as modes; of the first 10,000 at most, in an order drawn once for all.
        generator: source of randomness (default: torch's global one).
        after_step: called after each step with 1, such as to show progress.

    Raises:
        SettingError: ``chains``, ``steps`` or ``modes`` is too small, or the RBM is a group.
        DataError: fewer data than chains, or they cannot be states of the visible units.

    References:
        Gelman & Rubin (1992), *Inference from iterative simulation using multiple sequences*; Vehtari, Gelman, Simpson,
        Carpenter & Bürkner (2021), *Rank-normalization, folding, and localization: an improved R-hat*, for the limit.
    """
    check_single(rbm)
    check_number("chains", chains, low=2, whole=True)
    check_number("steps", steps, low=8, whole=True)
    check_number("modes", modes, low=2, whole=True)
    data = rbm.visible_states(data)
    if len(data) < chains:
        raise DataError(f"data: {len(data)} states for chains={chains} that start at data. Use fewer chains.")
    centres, axes, mean = _modes(data, modes), _components(data), data.mean(0)
    v = torch.cat([data[:chains], rbm.visible.sample(data.new_zeros(chains, rbm.n_visible), generator)])
    values, near = [], []
    for _ in range(steps):
        v = rbm.gibbs(v, 1, generator)
        values.append(torch.cat([rbm.free_energy(v)[:, None], (v - mean) @ axes], 1).cpu())
        near.append(torch.cdist(v, centres).argmin(1).cpu())
        if after_step is not None:
            after_step(1)
    both, nearest = torch.stack(values), torch.stack(near)
    late = both[steps // 2 :]
    return Mixing(
        quantities=("free energy", *(f"component {k}" for k in range(1, axes.shape[1] + 1))),
        from_data=Chains(both[:, :chains], nearest[:, :chains]),
        from_noise=Chains(both[:, chains:], nearest[:, chains:]),
        times=tuple(autocorrelation_time(late[..., k]) for k in range(late.shape[2])),
        shares=torch.bincount(torch.cdist(data, centres).argmin(1).cpu(), minlength=len(centres)) / len(data),
        r_hat=tuple((n, _largest_r_hat(both[n // 2 : n])) for n in _grid(steps)),
    )


def _grid(steps: int) -> Sequence[int]:
    """Numbers of steps at which R-hat is computed: eight a doubling."""
    points = {round(8 * 2 ** (k / 8)) for k in range(8 * 60) if 8 * 2 ** (k / 8) <= steps}
    return sorted(points | {steps})


def _largest_r_hat(values: Tensor) -> float:
    """R-hat of each quantity, the largest: ``values`` ``(steps, chains, quantities)``."""
    n = len(values)
    within = values.double().var(0).mean(0)
    between = values.double().mean(0).var(0)
    ratios = ((n - 1) / n + between / within.clamp(min=1e-300)).sqrt()
    return float(ratios.max())


def _components(data: Tensor) -> Tensor:
    """Directions in which data vary most, ``(n_visible, components)``."""
    centred = (data - data.mean(0)).double()
    _, vectors = torch.linalg.eigh(centred.T @ centred)
    largest: Tensor = vectors[:, -min(COMPONENTS, data.shape[1]) :].flip(1).to(data)
    return largest


def _modes(data: Tensor, modes: int) -> Tensor:
    """Centres of clusters of the data, ``(modes, n_visible)``."""
    from sklearn.cluster import KMeans  # here: what only trains has no use for it

    rows = data[torch.randperm(len(data), generator=stream(0, "modes"))[:10_000].to(data.device)].double().cpu().numpy()
    found = KMeans(min(modes, len(np.unique(rows, axis=0))), n_init=3, random_state=0).fit(rows)
    return torch.from_numpy(found.cluster_centers_).to(data)
