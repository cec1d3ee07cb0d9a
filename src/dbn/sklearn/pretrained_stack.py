"""A stack from rows of ``X``, for the estimators that have one."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from dbn.data.images import DataSet, Images
from dbn.models.dbn import DBN
from dbn.pretraining.contrastive import RBMPretraining
from dbn.pretraining.greedy import pretrain_stack
from dbn.pretraining.settings import LayerSettings
from dbn.sklearn.inputs import Inputs
from dbn.sklearn.samplers import SAMPLERS


def data_set(inputs: Inputs, X: Any, weights: Tensor | None = None) -> DataSet:
    """The validated rows ``X`` as training images of a data set, without labels, with weights ``(n,)`` or None."""
    train = inputs.images(X, weights=weights)
    none = Images(torch.empty(0, train.n_features), None, train.offset, train.factor)
    return DataSet("X", train, none, none, inputs.scaling.shape, ())


def pretrained(
    inputs: Inputs,
    X: Any,
    sizes: Sequence[int],
    *,
    seed: int,
    learning_rates: Sequence[float],
    sampler: str,
    gibbs_steps: int,
    progress: bool,
    weights: Tensor | None = None,
    **settings: Any,
) -> DBN:
    """Pretrain a stack greedily on validated rows ``X``.

    Args:
        inputs: their scaling.
        X: ``(n_samples, n_features)``, dense or sparse.
        sizes: hidden units of each layer.
        seed: of the run.
        learning_rates: of each layer; on real visible units a hundredth.
        sampler: ``cd`` or ``pcd``.
        gibbs_steps: steps of Gibbs sampling per update.
        progress: show a bar.
        weights: of the rows, ``(n_samples,)``; None: all weigh the same.
        **settings: further settings of each layer, see :class:`dbn.pretraining.settings.LayerSettings`.
    """
    factors = [inputs.rate_factor, *[1.0] * (len(sizes) - 1)]
    layers = [
        LayerSettings(n_hidden=n, learning_rate=rate * factor, **settings)
        for n, rate, factor in zip(sizes, learning_rates, factors, strict=True)
    ]
    stack = pretrain_stack(
        data_set(inputs, X, weights), layers, seed=seed, visible=inputs.visible, progress=progress,
        method=RBMPretraining(partial(SAMPLERS[sampler], gibbs_steps)),
    )  # fmt: skip
    stack.zero_grad(set_to_none=True)
    return stack
