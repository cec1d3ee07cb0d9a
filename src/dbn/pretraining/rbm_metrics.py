"""What is watched while an RBM trains: metrics of a few images."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from dbn.likelihood import pseudo_log_likelihood
from dbn.models.rbm import RBM
from dbn.random.streams import stream

WATCHED_TERMS = 2000
"""Terms of the pseudo-likelihood that are watched, at least."""


def watched_likelihood(rbm: RBM, images: Tensor) -> float:
    """Mean log pseudo-likelihood of ``images`` ``(n, n_visible)``, in nats, estimated from a few terms.

    Each image stands for a few randomly drawn units, at least :data:`WATCHED_TERMS` in all. These are the same in every
    epoch, arm, seed and resumed fit, so that two epochs differ by what the layer learned, not by the draw.
    """
    images = images.repeat(-(-WATCHED_TERMS // len(images)), 1)
    units = torch.randint(rbm.n_visible, (len(images),), generator=stream(0, "watched_units"))
    return float(pseudo_log_likelihood(rbm, images, units.to(images.device)).mean())


@torch.no_grad()
def rbm_metrics(rbm: RBM, train: Tensor, validation: Tensor | None = None) -> dict[str, float]:
    """Metrics of an RBM for monitoring.

    Args:
        rbm: the model.
        train: training images ``(n, n_visible)``.
        validation: validation images ``(m, n_visible)``, or None.

    Returns:
        ``reconstruction_error``: squared error of the mean-field reconstruction, summed over pixels, mean over images.
        ``free_energy_gap``: mean free energy of validation images minus that of training images, in nats; a growing
        gap shows overfitting (Hinton 2012, section 6). (Free energies themselves are no metric: they lack log Z, so
        that those of different models or epochs are not comparable.)
        ``weight_norm``: Frobenius norm.
        ``fraction_inactive``, ``fraction_saturated``: fraction of hidden units with mean activation below 0.01, above
        0.99, of their interval where it is finite.
    """
    field = rbm.hidden_field(train)
    h = rbm.hidden.mean(field)
    low, high = rbm.hidden.interval
    activation = (h.mean(0) - low) / (high - low) if math.isfinite(high - low) else h.mean(0)
    metrics = {
        "reconstruction_error": F.mse_loss(rbm.given(train).mean_visible(h), train) * rbm.n_visible,
        "weight_norm": rbm.weight.norm(),
        "fraction_inactive": (activation < 0.01).float().mean(),
        "fraction_saturated": (activation > 0.99).float().mean(),
    }
    if validation is not None and len(validation):
        free_energy = rbm.visible.energy(train) - rbm.hidden.log_partition(field)
        metrics["free_energy_gap"] = rbm.free_energy(validation).mean() - free_energy.mean()
    return {name: float(value) for name, value in metrics.items()}
