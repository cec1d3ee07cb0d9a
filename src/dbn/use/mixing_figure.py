"""A figure of how chains mix: what they are worth, where they are, and when they forget their start."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from dbn.diagnostics.mixing import CONVERGED, Chains, Mixing
from dbn.files import replacing

DATA, NOISE, QUIET, HAIRLINE = "#1b5e9e", "#bf4d12", "#5f666e", "#e3e6e9"
OTHERS = ("#1d2126", "#3b93a6", "#7a6db5", "#5f6b1a", "#8a3a8f", "#8aa9c9")
PLAIN = FuncFormatter(lambda value, place: f"{value:g}")
"""Numbers of logarithmic axes without powers, which need the mathematical notation that names are kept from."""
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "layerwise-dbn",
    "text.parse_math": False,
    "font.size": 9,
    "axes.edgecolor": HAIRLINE,
    "axes.labelcolor": QUIET,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "grid.color": HAIRLINE,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "legend.frameon": False,
}


def write_mixing_figure(path: Path, mixing: Mixing, title: str) -> None:
    """Write a figure of four panels: free energies, autocorrelations, R-hat, modes.

    Args:
        path: of the file, ``.svg``, ``.png`` or ``.pdf``, written whole or not at all.
        mixing: the chains.
        title: what they are.
    """
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        figure = Figure((10, 7), dpi=120, layout="constrained")
        figure.suptitle(title, size=11)
        panels = figure.subplots(2, 2)
        _draw_free_energies(panels[0, 0], mixing)
        _draw_autocorrelations(panels[0, 1], mixing)
        _draw_r_hat(panels[1, 0], mixing)
        _draw_modes(panels[1, 1], mixing)
        undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}
        kind = path.suffix[1:]
        with replacing(path) as temporary:
            figure.savefig(temporary, format=kind, metadata=undated[kind])


def _draw_free_energies(axes: Axes, mixing: Mixing) -> None:
    """Median and quartiles over chains of the free energy, from both starts."""
    grid = [*range(1, 8), *(steps for steps, _ in mixing.r_hat)]
    for chains, colour, name in ((mixing.from_data, DATA, "from data"), (mixing.from_noise, NOISE, "from noise")):
        shown = chains.values[[step - 1 for step in grid], :, 0].double()
        low, middle, high = shown.quantile(torch.tensor([0.25, 0.5, 0.75]).double(), dim=1).tolist()
        axes.fill_between(grid, low, high, color=colour, alpha=0.2, linewidth=0)
        axes.plot(grid, middle, color=colour, linewidth=1.2, label=name)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(PLAIN)
    axes.set(title="Free energy: median and quartiles of the chains", xlabel="Gibbs steps", ylabel="nats")
    axes.legend()


def _draw_autocorrelations(axes: Axes, mixing: Mixing) -> None:
    """Autocorrelation of each quantity by lag, up to ten times the longest time."""
    longest = mixing.times[mixing.slowest]
    lags = int(min(len(longest.function), max(10 * longest.steps.value, 20)))
    for name, time, colour in zip(mixing.quantities, mixing.times, OTHERS, strict=False):
        tau = f"{time.steps.value:.3g}" if time.long_enough else f"over {time.steps.value:.3g}"
        axes.plot(time.function[:lags].numpy(), color=colour, linewidth=1.2, label=f"{name}: {tau} steps")
    axes.axhline(0, color=QUIET, linewidth=0.8)
    axes.set(title="Autocorrelations", xlabel="lag in Gibbs steps")
    axes.legend()


def _draw_r_hat(axes: Axes, mixing: Mixing) -> None:
    """R-hat by number of steps, and its limit."""
    steps, values = zip(*mixing.r_hat, strict=True)
    excess = [max(value - 1, 1e-6) for value in values]
    axes.plot(steps, excess, color=OTHERS[0], linewidth=1.2)
    axes.axhline(CONVERGED - 1, color=QUIET, linewidth=0.8, linestyle="--")
    needed = mixing.steps_needed
    said = f"agree after {needed} steps" if needed is not None else f"do not agree within {steps[-1]} steps"
    axes.set(title=f"Both starts {said}", xlabel="Gibbs steps", ylabel="R-hat less 1", xscale="log", yscale="log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PLAIN)
        axis.set_minor_formatter(NullFormatter())


def _draw_modes(axes: Axes, mixing: Mixing) -> None:
    """Part of the data, and of the chains' second half, in each mode."""
    k = len(mixing.shares)
    order = mixing.shares.argsort(descending=True)
    shown = [("data", mixing.shares, QUIET)]
    for name, chains, colour in (("from data", mixing.from_data, DATA), ("from noise", mixing.from_noise, NOISE)):
        shown.append((f"chains {name}", _shares(chains, k), colour))
    for place, (name, shares, colour) in enumerate(shown):
        where = [number + 0.27 * (place - 1) for number in range(1, k + 1)]
        axes.bar(where, (100 * shares[order]).tolist(), 0.25, color=colour, label=name)
    axes.set(title=f"Modes: a chain visits {mixing.visited:.1f} of {k}", xlabel="cluster of the data", ylabel="%")
    axes.legend()


def _shares(chains: Chains, k: int) -> torch.Tensor:
    """Part of the second half of the chains in each mode."""
    late = chains.modes[len(chains.modes) // 2 :]
    return torch.bincount(late.flatten(), minlength=k) / late.numel()
