"""How far estimates of a partition function can be trusted, in plain words."""

from dataclasses import dataclass

from dbn.likelihood.annealed_sampling import LogPartitionEstimate

CLOSE = 1.0
"""Largest gap in nats between the directions of annealing that leaves an average log-likelihood usable."""
SMALL = 0.1
"""Error in nats of forward annealing that is not worth a word where the exact value is known."""
FEW = 0.1
"""Fraction of effective chains below which a few chains decide."""


@dataclass(frozen=True)
class Trust:
    """A judgement of estimates of ``log Z``.

    Attributes:
        level: ``exact``; ``good``: the two directions agree; ``doubtful``: they do not, or few chains decide.
        words: one or several sentences for a person.
    """

    level: str
    words: str


def how_far_to_trust(
    forward: LogPartitionEstimate,
    reverse: LogPartitionEstimate,
    exact: float | None = None,
    *,
    starts_are_exact: bool = False,
) -> Trust:
    """Judge annealed importance sampling by its two directions, or by the exact value.

    Forward annealing misses modes that open up suddenly: then its ``log_z`` is too low, likelihoods are too high, and
    its interval, made of chains that all miss the same modes, says nothing of that. Reverse annealing starts within
    these modes and errs upwards, so the gap between the two shows it.

    Args:
        forward: of :func:`dbn.likelihood.annealed_importance_sampling`.
        reverse: of :func:`dbn.likelihood.reverse_annealed_importance_sampling`.
        exact: log Z by enumeration, where that is feasible.
        starts_are_exact: the reverse chains started at exact samples of the model, not at chains from the data.

    References:
        Grosse, Ancha & Roy (2016), *Measuring the reliability of MCMC inference with bidirectional Monte Carlo*.
    """
    if exact is not None:
        return _beside_exact(forward, reverse, exact)
    gap = reverse.log_z - forward.log_z
    words, good = [], True
    error = (
        (forward.log_z_standard_error**2 + reverse.log_z_standard_error**2) ** 0.5
        if len(forward.log_weights) > 1 and len(reverse.log_weights) > 1
        else 0.0
    )
    if gap > CLOSE:
        good = False
        words.append(
            f"Forward and reverse annealing are {gap:.1f} nats apart: forward chains miss part of the model. The "
            "average log-likelihood is between the two values at best; quote the reverse one. Use more temperatures, "
            "or chains, and see whether the gap closes."
        )
    elif gap < -max(CLOSE, 4 * error):
        good = False
        words.append(
            f"Reverse annealing lies {-gap:.1f} nats below forward annealing, which it cannot if its chains start at "
            "samples of the model: they have not reached all of it. Give them more steps before annealing."
        )
    else:
        words.append(f"Forward and reverse annealing agree within {abs(gap):.2f} nats.")
        if not starts_are_exact:
            words.append(
                "Reverse chains started at data, by Gibbs steps; modes without data that neither direction has been in "
                "would not show."
            )
    for name, found in (("forward", forward), ("reverse", reverse)):
        n = len(found.log_weights)
        if found.effective_chains < FEW * n:
            good = False
            words.append(
                f"Only {found.effective_chains:.1f} of {n} chains count in the {name} estimate: its interval is too "
                "narrow. Use more temperatures."
            )
    return Trust("good" if good else "doubtful", " ".join(words))


def _beside_exact(forward: LogPartitionEstimate, reverse: LogPartitionEstimate, exact: float) -> Trust:
    """The exact value, and how far off annealing would have been."""
    words = ["log Z is exact: the sum over all states of the smaller layer."]
    low, high = exact - forward.log_z, reverse.log_z - exact
    unsaid = exact not in forward.estimate
    if abs(low) <= SMALL or (abs(low) <= CLOSE and not unsaid):
        words.append(
            f"Forward annealing is within {abs(low):.2f} nats of it, reverse annealing within {abs(high):.2f}."
        )
    elif low > 0:
        said = ", with an interval that does not say so" if unsaid else ""
        words.append(
            f"Forward annealing alone would be {low:.1f} nats below it and flatter the model{said}: its chains miss "
            "modes of the model. Do not trust it for larger models trained like this one."
        )
    else:
        words.append(f"Forward annealing alone would be {-low:.1f} nats above it, by a few chains that dominate.")
    return Trust("exact", " ".join(words))
