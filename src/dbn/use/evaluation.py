"""Evaluation of a stack: likelihoods of data with intervals, and its samples."""

from copy import deepcopy
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from dbn.diagnostics.sample_quality import Difference, compare_samples
from dbn.errors import SettingError
from dbn.likelihood.annealed_sampling import (
    LogPartitionEstimate,
    annealed_importance_sampling,
    reverse_annealed_importance_sampling,
)
from dbn.likelihood.averages import average_log_likelihood, free_energy_gap
from dbn.likelihood.base_rates import BaseRates
from dbn.likelihood.dbn_bound import check_stack, dbn_log_likelihood_bound
from dbn.likelihood.enumeration import Enumeration
from dbn.likelihood.intervals import Estimate, estimate_mean, exactly
from dbn.likelihood.pseudo_likelihood import pseudo_log_likelihood
from dbn.likelihood.trust import how_far_to_trust
from dbn.models.dbm import DBM
from dbn.models.dbn import DBN
from dbn.models.layer import Layer
from dbn.models.rbm import RBM
from dbn.random.streams import stream
from dbn.use.blocks import Advance, progress_bar
from dbn.use.evaluation_settings import EvaluationSettings
from dbn.use.evaluation_table import Evaluation, Row
from dbn.use.states_to_evaluate import StatesToEvaluate, states_at_top

NATS = "nats"


@dataclass(frozen=True, eq=False)
class Partition:
    """What is known of the log Z of an RBM.

    Attributes:
        forward: by annealing from the base rates.
        reverse: by annealing towards them.
        exact: by enumeration; None where that is not feasible.
    """

    forward: LogPartitionEstimate
    reverse: LogPartitionEstimate
    exact: float | None

    def ways(self) -> dict[str, Estimate]:
        """The estimates to use, by the way they were found."""
        if self.exact is not None:
            return {"exact": exactly(self.exact)}
        return {"forward": self.forward.estimate, "reverse": self.reverse.estimate}


def evaluate_likelihood(
    stack: DBN, states: StatesToEvaluate, settings: EvaluationSettings, *, progress: bool = False
) -> Evaluation:
    """Likelihoods of data under a stack, and how its samples differ from the data.

    The log partition function of the top RBM is summed exactly where one of its layers has at most 2^20 states, and
    estimated by annealing in both directions in any case. Reverse chains start at exact samples then, otherwise at
    data, after ``steps`` Gibbs steps.

    Args:
        stack: RBMs whose units have likelihoods.
        states: visible states.
        settings: how to measure.
        progress: show a progress bar on a terminal.

    Raises:
        SettingError: a layer has no likelihood, or is pooled.
    """
    check_stack(stack)
    v, deep = states.v, len(stack) > 1
    total = 2 * (settings.temperatures - 1) + settings.steps * (1 + (settings.samples > 0))
    with progress_bar("evaluating", total + settings.bound_samples * deep, wanted=progress) as advance:
        at_top = states_at_top(stack, v, settings.seed)
        partition = estimate_partition(stack[len(stack) - 1], at_top, settings, advance)
        rows = rows_of_partition(partition, "of the top RBM" if deep else "")
        rows += (_rows_of_bound if deep else _rows_of_likelihood)(stack, v, partition, settings, advance)
        others, left_out = _rows_without_partition(stack[0], states, settings, " of the first RBM" if deep else "")
        rows += others
        if settings.samples:
            rows += rows_of_samples(stack, v, settings, advance)
    trust = how_far_to_trust(
        partition.forward, partition.reverse, partition.exact, starts_are_exact=partition.exact is not None
    )
    title = f"{' - '.join(map(str, stack.sizes))} on {states.words}"
    return Evaluation(title, rows, trust.level, trust.words, left_out, asdict(settings))


def estimate_partition(rbm: RBM, data: Tensor, settings: EvaluationSettings, advance: Advance) -> Partition:
    """The log partition function of an RBM in every way there is.

    Args:
        rbm: the model.
        data: visible states ``(n, n_visible)``: their means are the base rates, and some of them starts of chains.
        settings: how to measure.
        advance: called with the number of temperatures or Gibbs steps done.
    """
    try:
        enumeration = Enumeration(deepcopy(rbm).double())
    except SettingError:  # too many states; that units have likelihoods has been checked
        enumeration = None
    device, seed, chains = rbm.weight.device, settings.seed, settings.annealing_chains
    base, betas = BaseRates.fitted(rbm, data), torch.linspace(0, 1, settings.temperatures, dtype=torch.float64)
    forward = annealed_importance_sampling(
        rbm, betas, chains, stream(seed, "forward annealing", device=device), base=base, after_step=advance
    )
    noise = stream(seed, "reverse annealing", device=device)
    if enumeration is not None:
        starts = enumeration.sample(chains, noise).to(rbm.weight)
        advance(settings.steps)
    else:
        starts = data[torch.randint(len(data), (chains,), generator=stream(seed, "starts")).to(device)]
        for _ in range(settings.steps):
            starts = rbm.gibbs(starts, 1, noise)
            advance(1)
    reverse = reverse_annealed_importance_sampling(rbm, starts, betas, noise, base=base, after_step=advance)
    return Partition(forward, reverse, None if enumeration is None else float(enumeration.log_z))


def rows_of_partition(partition: Partition, of_what: str) -> list[Row]:
    """Log Z in every way."""
    name = f"log Z {of_what}".strip()
    rows = (
        [] if partition.exact is None else [Row(f"{name}, exact", exactly(partition.exact), NATS, "all states summed")]
    )
    for way, found in (("forward", partition.forward), ("reverse", partition.reverse)):
        note = f"{found.effective_chains:.0f} of {len(found.log_weights)} chains"
        rows.append(Row(f"{name}, {way} annealing", found.estimate, NATS, note))
    return rows


NOTES = {
    "exact": "average over the data",
    "forward": "too high where modes are missed",
    "reverse": "too low where annealing is short",
}
"""What errors of log Z do to likelihoods."""


def _rows_of_likelihood(
    stack: DBN, v: Tensor, partition: Partition, settings: EvaluationSettings, advance: Advance
) -> list[Row]:
    """Average log-likelihood of an RBM."""
    return [
        Row(f"log-likelihood, {way}", average_log_likelihood(stack[0], v, log_z), NATS, NOTES[way])
        for way, log_z in partition.ways().items()
    ]


def _rows_of_bound(
    stack: DBN, v: Tensor, partition: Partition, settings: EvaluationSettings, advance: Advance
) -> list[Row]:
    """Average bounds of the log-likelihood of a DBN."""
    noise = stream(settings.seed, "bound", device=v.device)
    found = dbn_log_likelihood_bound(stack, v, 0.0, settings.bound_samples, noise, advance)
    rows = []
    for name, values in (("variational", found.variational), ("importance-weighted", found.importance_weighted)):
        for way, log_z in partition.ways().items():
            estimate = estimate_mean(values) - log_z
            rows.append(Row(f"log-likelihood, {name} bound, {way}", estimate, NATS, NOTES[way]))
    return rows


def _rows_without_partition(
    rbm: Layer, states: StatesToEvaluate, settings: EvaluationSettings, of_what: str
) -> tuple[list[Row], list[str]]:
    """Pseudo-likelihood and free-energy gap of the first RBM; and what is left out."""
    rows, left_out, v = [], [], states.v
    if not isinstance(rbm, RBM):
        return [], ["The lowest layer's weights are not tied: it has no free energy or pseudo-likelihood."]
    units = None
    if settings.pseudo_likelihood == "stochastic":
        units = torch.randint(rbm.n_visible, (len(v),), generator=stream(settings.seed, "units")).to(v.device)
    try:
        found = estimate_mean(pseudo_log_likelihood(rbm, v, units))
        rows.append(Row(f"log pseudo-likelihood{of_what}, {settings.pseudo_likelihood}", found, NATS))
    except SettingError as error:
        left_out.append(str(error))
    if states.train is None:
        left_out.append("The free-energy gap compares held-out with training images: use split=test or validation.")
    else:
        gap = free_energy_gap(rbm, states.train, v)
        rows.append(Row(f"free-energy gap{of_what}", gap, NATS, "held-out less training; large: overfitted"))
    return rows, left_out


def rows_of_samples(stack: DBN | DBM, v: Tensor, settings: EvaluationSettings, advance: Advance) -> list[Row]:
    """How samples differ from the data."""
    n = min(settings.samples, len(v))
    noise = stream(settings.seed, "samples", device=v.device)
    samples = stack.sample(n, settings.steps, noise, lambda: advance(1), means=False)
    found = compare_samples(samples, v[:n])

    def row(name: str, difference: Difference) -> Row:
        return Row(f"samples: {name}", Estimate(difference.value), "", f"{difference.floor:.3g} among data")

    accuracy = found.adversarial_accuracy
    return [
        Row("samples: adversarial accuracy", accuracy, "", "0.5: like data; 1: unlike; 0: copies"),
        Row("samples: data next to data", found.data_accuracy, "", "0.5; more: samples leave data out"),
        Row("samples: samples next to samples", found.sample_accuracy, "", "0.5; more: samples are unlike data"),
        row("means differ by", found.means),
        row("covariances differ by", found.covariances),
        row("spectra differ by", found.spectrum),
    ]
