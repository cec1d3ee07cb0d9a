"""Linear or logarithmic axes, and their ticks."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator, NullFormatter, NullLocator, ScalarFormatter


def is_wide_range(values: Sequence[float]) -> bool:
    """Whether positive ``values`` span more than a factor of 6, so that small ones need a logarithmic axis."""
    return bool(values) and min(values) > 0 and max(values) > 6 * min(values)


def set_log_ticks(axes: Axes, which: str, low: float, high: float) -> None:
    """Plain numbers (2, 5, 10, ...) as ticks from ``low`` to ``high`` on a logarithmic axis, ``x`` or ``y``."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    decades = math.log10(high / low)
    subs = (1.0, 2.0, 3.0, 4.0, 6.0) if decades < 0.9 else (1.0, 2.0, 5.0) if decades < 2.2 else (1.0,)
    axis.set_major_locator(LogLocator(base=10, subs=subs, numticks=12))
    axis.set_minor_locator(LogLocator(base=10, subs=(), numticks=2))
    formatter = ScalarFormatter()
    formatter.set_scientific(False)
    axis.set_major_formatter(formatter)
    axis.set_minor_formatter(NullFormatter())


def scale_axis(axes: Axes, which: str, values: Sequence[float]) -> bool:
    """Make the axis ``which``, ``x`` or ``y``, logarithmic if ``values`` have a wide range; returns whether it is."""
    logarithmic = is_wide_range(values)
    if logarithmic:
        (axes.set_xscale if which == "x" else axes.set_yscale)("log")
        set_log_ticks(axes, which, min(values), max(values))
    else:
        (axes.xaxis if which == "x" else axes.yaxis).set_major_locator(MaxNLocator(5))
    return logarithmic


def set_named_ticks(axes: Axes, positions: Sequence[float], names: Sequence[str]) -> None:
    """Ticks of the x axis at ``positions`` only, with these names."""
    axes.xaxis.set_major_locator(FixedLocator(positions))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xticklabels(list(names))
