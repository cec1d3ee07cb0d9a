"""Evaluation of a stack's Gibbs chains: how they mix, as a table and a figure."""

import math
from dataclasses import asdict

from dbn.diagnostics.mixing import CONVERGED, Mixing, measure_mixing
from dbn.errors import SettingError
from dbn.likelihood.intervals import Estimate
from dbn.models.dbm_layer import is_of_dbm
from dbn.models.dbn import DBN
from dbn.random.streams import stream
from dbn.use.blocks import progress_bar
from dbn.use.evaluation_settings import EvaluationSettings
from dbn.use.evaluation_table import Evaluation, Row
from dbn.use.states_to_evaluate import StatesToEvaluate, states_at_top

APART = 1.1
"""R-hat from which chains are taken not to mix at all in these steps, rather than to have been too short."""


def evaluate_mixing(
    stack: DBN, states: StatesToEvaluate, settings: EvaluationSettings, *, progress: bool = False
) -> Evaluation:
    """How the Gibbs chains of a stack's top RBM mix, see :func:`dbn.diagnostics.measure_mixing`.

    Args:
        stack: RBMs.
        states: visible states, at least as many as chains.
        settings: how to measure; ``chains`` is a number.
        progress: show a progress bar on a terminal.

    Raises:
        SettingError: a layer is no RBM, or ``chains`` is None.
        DataError: fewer states than chains.
    """
    if is_of_dbm(list(stack.layers)):
        raise SettingError(
            f"chains={settings.chains}: how chains mix is measured of RBMs, and this is a deep Boltzmann machine. Use "
            "chains=null, whose two directions of annealing show whether its chains do."
        )
    if not stack.is_generative:
        raise SettingError("This stack has no chains: only RBMs have a distribution.")
    if settings.chains is None:
        raise SettingError("chains=null: give the number of chains from each start, such as chains=100.")
    top = stack[len(stack) - 1]
    with progress_bar("steps", settings.steps, wanted=progress) as advance:
        found = measure_mixing(
            top, states_at_top(stack, states.v, settings.seed), chains=settings.chains, steps=settings.steps,
            modes=settings.modes, generator=stream(settings.seed, "chains", device=top.weight.device),
            after_step=advance,
        )  # fmt: skip
    of_what = "the RBM" if len(stack) == 1 else f"the top RBM of {len(stack)}"
    title = f"Chains of {of_what}, {settings.chains} from each start; {states.words}"
    level, words = _trust(found, settings.steps)
    return Evaluation(title, _rows(found, settings.steps), level, words, (), asdict(settings), found)


def _rows(found: Mixing, steps: int) -> list[Row]:
    """The table."""
    rows = [
        Row(f"autocorrelation time, {name}", time.steps, "steps", "" if time.long_enough else "at least")
        for name, time in zip(found.quantities, found.times, strict=True)
    ]
    needed = found.steps_needed
    until = f"more than {steps}" if needed is None else f"until R-hat stays below {CONVERGED}"
    return [
        *rows,
        Row(f"R-hat after {steps} steps", Estimate(found.r_hat[-1][1]), "", "1 where both starts agree"),
        Row("steps that chains need", Estimate(math.nan if needed is None else needed), "steps", until),
        Row("modes a chain visits", Estimate(found.visited), "", f"of {len(found.shares)}, in {steps // 2} steps"),
        Row("moves between modes", Estimate(100 * found.switches), "per 100 steps"),
        Row("mode shares differ by", Estimate(100 * found.misplaced), "%", "chains from noise, from data"),
    ]


def _trust(found: Mixing, steps: int) -> tuple[str, str]:
    """How far chains of this model can be trusted, in a word and in words."""
    slowest, needed = found.times[found.slowest].steps.value, found.steps_needed
    long_enough = found.times[found.slowest].long_enough
    if needed is not None and long_enough:
        return "good", (
            f"Chains from data and from noise agree after {needed} steps; {slowest:.0f} steps are worth one "
            "independent sample."
        )
    if found.r_hat[-1][1] > APART:
        return "doubtful", (
            f"Chains do not mix within {steps} steps: what they say depends on where they start. Autocorrelation times "
            "are lower limits, and samples after as many steps are not samples of the model. Run them for longer, "
            f"steps={10 * steps}, and do not trust annealing without its reverse."
        )
    return "doubtful", (
        f"{steps} steps are too few to tell: chains should last at least 50 autocorrelation times, {50 * slowest:.0f} "
        f"steps after as many to forget their start. Run them for longer: steps={max(2 * steps, round(100 * slowest))}."
    )
