"""Evaluation of a deep Boltzmann machine: bounds of the likelihood of data with intervals, and its samples."""

from copy import deepcopy
from dataclasses import asdict

import torch
from torch import Tensor

from dbn.errors import SettingError
from dbn.likelihood.dbm_annealing import anneal_dbm, anneal_dbm_in_reverse
from dbn.likelihood.dbm_enumeration import DBMEnumeration, check_dbm
from dbn.likelihood.intervals import estimate_mean
from dbn.likelihood.trust import how_far_to_trust
from dbn.models.dbm import DBM
from dbn.models.dbn import DBN
from dbn.models.mean_field import TOLERANCE, bound
from dbn.random.streams import stream
from dbn.use.blocks import Advance, progress_bar
from dbn.use.evaluation import NATS, NOTES, Partition, rows_of_partition, rows_of_samples
from dbn.use.evaluation_settings import EvaluationSettings
from dbn.use.evaluation_table import Evaluation, Row
from dbn.use.states_to_evaluate import StatesToEvaluate

MOST_TERMS = 2**24
"""Largest number of terms, over all images, of which likelihoods are summed exactly."""


def evaluate_dbm(
    stack: DBN, states: StatesToEvaluate, settings: EvaluationSettings, *, progress: bool = False
) -> Evaluation:
    """Variational bounds of the likelihood of data under a deep Boltzmann machine, and how its samples differ.

    Its log partition function is summed exactly where the even or the odd layers have at most 2^20 states, and
    estimated by annealing in both directions in any case. Reverse chains start at exact samples then, otherwise at data
    with hidden states from their mean-field distributions, after ``steps`` Gibbs steps.

    Args:
        stack: the machine, as :meth:`DBN.load` reads it.
        states: visible states.
        settings: how to measure.
        progress: show a progress bar on a terminal.

    Raises:
        SettingError: units have no likelihood.
    """
    dbm, v = DBM.of_stack(stack), states.v
    check_dbm(dbm)
    total = 2 * (settings.temperatures - 1) + settings.steps * (1 + (settings.samples > 0))
    with torch.no_grad(), progress_bar("evaluating", total, wanted=progress) as advance:
        exact = enumerated(dbm)
        partition = partition_of(dbm, exact, v, settings, advance)
        found = dbm.mean_field(v)
        bounds = bound(dbm, v, found)
        rows = rows_of_partition(partition, "")
        if exact is not None and exact.terms * len(v) <= MOST_TERMS:
            exact_values = exact.log_likelihood(v.double())
            rows.append(Row("log-likelihood, exact", estimate_mean(exact_values), NATS, NOTES["exact"]))
        rows += [
            Row(f"log-likelihood, variational bound, {way}", estimate_mean(bounds) - log_z, NATS, NOTES[way])
            for way, log_z in partition.ways().items()
        ]
        left_out = [
            "Pseudo-likelihoods, free energies and importance-weighted bounds are those of RBMs and their stacks."
        ]
        if states.train is None:
            left_out.append("The bound gap compares held-out with training images: use split=test or validation.")
        else:
            of_train = estimate_mean(bound(dbm, states.train, dbm.mean_field(states.train)))
            rows.append(
                Row("bound gap", of_train - estimate_mean(bounds), NATS, "training less held-out; large: overfitted")
            )
        open_ones = int((~found.converged()).sum())
        if open_ones:
            left_out.append(
                f"Mean-field inference of {open_ones} of {len(v)} images still changed by more than {TOLERANCE:g} "
                f"after {found.steps} steps: their bounds hold, but are not the best."
            )
        if settings.samples:
            rows += rows_of_samples(dbm, v, settings, advance)
    trust = how_far_to_trust(partition.forward, partition.reverse, partition.exact, starts_are_exact=exact is not None)
    title = f"deep Boltzmann machine {' - '.join(map(str, dbm.sizes))} on {states.words}"
    return Evaluation(title, rows, trust.level, trust.words, left_out, asdict(settings))


def enumerated(dbm: DBM) -> DBMEnumeration | None:
    """Sums over all states; None where there are too many."""
    try:
        return DBMEnumeration(deepcopy(dbm).double())
    except SettingError:  # that units have likelihoods has been checked
        return None


def partition_of(
    dbm: DBM, exact: DBMEnumeration | None, v: Tensor, settings: EvaluationSettings, advance: Advance
) -> Partition:
    """The log partition function in every way there is, see :func:`dbn.use.evaluation.estimate_partition`."""
    device, seed, chains = v.device, settings.seed, settings.annealing_chains
    betas = torch.linspace(0, 1, settings.temperatures, dtype=torch.float64)
    noise = stream(seed, "forward annealing", device=device)
    forward = anneal_dbm(dbm, betas, chains, noise, v=v, after_step=advance)
    noise = stream(seed, "reverse annealing", device=device)
    if exact is not None:
        starts = [own.to(v) for own in exact.sample(chains, noise)]
        advance(settings.steps)
    else:
        images = v[torch.randint(len(v), (chains,), generator=stream(seed, "starts")).to(device)]
        fields = dbm.mean_field(images).fields
        starts = [images, *(dbm[k].sample(field, noise) for k, field in enumerate(fields, start=1))]
        for _ in range(settings.steps):
            starts = dbm.gibbs(starts, 1, noise)
            advance(1)
    reverse = anneal_dbm_in_reverse(dbm, starts, betas, noise, v=v, after_step=advance)
    return Partition(forward, reverse, None if exact is None else float(exact.log_z))
