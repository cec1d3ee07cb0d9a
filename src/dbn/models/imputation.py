"""Imputation: what a stack expects of visible units that are not known, given those that are."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from dbn.errors import DataError, SettingError
from dbn.models.dbn import DBN
from dbn.models.rbm import RBM
from dbn.random.streams import Noise, stream
from dbn.settings import check_choice, check_number

if TYPE_CHECKING:
    import pandas as pd

METHODS = ("gibbs", "mean_field")
TOLERANCE = 1e-5
"""Change of a feature in a step below which mean-field values have settled."""


@torch.no_grad()
def impute(
    model: DBN | RBM, v: Tensor, missing: Tensor, *, method: str = "gibbs", steps: int = 500, burn_in: int = 100,
    generator: Noise = None,
) -> Tensor:  # fmt: skip
    r"""Fill in missing visible units by what the model expects of them, with the others clamped to their values.

    ``gibbs``: block Gibbs sampling of hidden and missing visible units. The result is the mean over the steps after
    ``burn_in`` of the missing units' conditional mean :math:`E[v | h]`, which for an RBM tends to
    :math:`E[v_{missing} | v_{known}]`, the values of least expected squared error. ``mean_field``: hidden means and
    missing visible means are computed from each other until they settle; faster, without noise, and nearer to the most
    probable values than to the mean.

    In a stack of several layers a step samples upwards, then one Gibbs step of the top RBM, then downwards: upward
    sampling is the approximation of the layers' posterior that greedy pretraining makes (Hinton et al. 2006).

    Args:
        model: an RBM, or a stack of RBMs.
        v: visible states ``(batch, n_visible)``; those that are missing may be anything, NaN too.
        missing: ``(batch, n_visible)``, true where a unit is not known.
        method: ``gibbs`` or ``mean_field``.
        steps: Gibbs steps, or the largest number of mean-field steps.
        burn_in: first Gibbs steps, which do not enter the mean.
        generator: source of Gibbs noise (default: torch's global one).

    Returns:
        ``v`` with expected values of the missing units: probabilities of binary units and categories.

    Raises:
        SettingError: a setting is invalid, or a layer is no RBM.
        DataError: the shapes differ.

    Example:
        >>> import torch
        >>> from dbn import RBM, Bernoulli
        >>> from dbn.models.imputation import impute
        >>> rbm = RBM(Bernoulli(4), Bernoulli(3))
        >>> v = torch.tensor([[1.0, 0.0, torch.nan, torch.nan]])
        >>> impute(rbm, v, v.isnan())[0, :2]
        tensor([1., 0.])

    References:
        Salakhutdinov, Mnih & Hinton (2007), ICML, for RBMs with missing values; Hinton, Osindero & Teh (2006).
    """
    layers: list[RBM] = [model] if isinstance(model, RBM) else list(model.layers)  # type: ignore[arg-type]
    if not all(isinstance(layer, RBM) for layer in layers):
        raise SettingError("This stack cannot fill in values: only RBMs have a distribution.")
    check_choice("method", method, METHODS)
    check_number("steps", steps, low=1, whole=True)
    check_number("burn_in", burn_in, low=0, high=steps - 1, whole=True)
    if v.shape != missing.shape or missing.dtype != torch.bool:
        raise DataError(
            f"missing is {missing.dtype} of shape {tuple(missing.shape)}, visible states have {tuple(v.shape)}. Give a "
            "mask of booleans of their shape."
        )
    first = layers[0]
    start = first.visible.mean(first.weight.new_zeros(1, first.n_visible))
    filled = torch.where(missing, start, v.to(first.weight))
    if method == "mean_field":
        return _settled(layers, filled, missing, steps)
    total = torch.zeros_like(filled)
    for step in range(steps):
        field = first.visible_field(_sampled(layers, filled, generator))
        mean = first.visible.mean(field)
        if step >= burn_in:
            total += mean
        filled = torch.where(missing, first.visible.sample(field, generator, mean=mean), filled)
    return torch.where(missing, total / (steps - burn_in), filled)


def _settled(layers: list[RBM], v: Tensor, missing: Tensor, steps: int) -> Tensor:
    """Mean-field values."""
    for _ in range(steps):
        h = v
        for layer in layers:
            h = layer.up(h)
        for layer in reversed(layers):
            h = layer.down(h)
        before, v = v, torch.where(missing, h, v)
        if (v - before).abs().max() < TOLERANCE:
            break
    return v


def _sampled(layers: list[RBM], v: Tensor, generator: Noise) -> Tensor:
    """Hidden states of the first layer after a step of sampling up and down."""
    *lower, top = layers
    h = v
    for layer in lower:
        h = layer.sample_hidden(h, generator)
    h = top.sample_hidden(h, generator)
    for layer in reversed(layers[1:]):
        h = layer.sample_visible(h, generator)
    return h


def impute_table(
    stack: DBN, rows: "pd.DataFrame", *, method: str = "gibbs", steps: int = 500, burn_in: int = 100, seed: int = 0
) -> "pd.DataFrame":
    """A copy of a table whose missing values a stack has filled in, see :func:`impute`.

    Numbers become their expected value, binary values and categories the most probable one. Columns that are none of
    the stack's, and values that are there, stay as they are.

    Args:
        stack: pretrained on a table.
        rows: rows with its columns.
        method: as in :func:`impute`.
        steps: as in :func:`impute`.
        burn_in: as in :func:`impute`.
        seed: seed of the Gibbs noise.

    Raises:
        SettingError: the stack does not know a table's columns, or as :func:`impute`.
        DataError: a column is missing, or a value is none of its column's.
    """
    scaling = stack.scaling
    if scaling is None or scaling.columns is None:
        raise SettingError("This stack was not pretrained on a table. Use impute, for visible states.")
    columns, stored = scaling.columns, scaling.columns.encoded(rows)
    like = next(stack.parameters())
    features = scaling.features(columns.filled(stored)).to(like)
    missing, noise = stored.isnan().to(like.device), stream(seed, "imputation", device=like.device)
    found = impute(stack, features, missing, method=method, steps=steps, burn_in=burn_in, generator=noise)
    values = columns.decoded(scaling.stored(found.float().cpu()))
    filled = rows.copy()
    for name in columns.names:
        empty = rows[name].isna()
        if empty.any():
            own = values[name].to_numpy()[empty.to_numpy()]
            kept = rows[name].to_numpy(dtype=object).copy()
            kept[empty.to_numpy()] = own
            filled[name] = kept
            filled[name] = filled[name].infer_objects()
    return filled
