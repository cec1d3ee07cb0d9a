"""Filling in missing visible units: Gibbs sampling with the observed ones clamped to their values."""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from dbn.errors import DataError, SettingError
from dbn.models.dbn import DBN
from dbn.models.rbm import RBM
from dbn.models.untied import Untied
from dbn.random.streams import Noise
from dbn.settings import check_number


class Filled(NamedTuple):
    """Visible states in which missing units have been filled in, ``(batch, n_visible)`` each.

    Observed units have their values in all of them.

    Attributes:
        states: after the last step, a sample.
        means: the missing units at their means given the hidden states of the last step: a sample without the noise of
            single units, for pictures.
        expected: the average of these means over the second half of the steps, which estimates the expectation of the
            missing units given the observed ones: the best guess by squared error.
    """

    states: Tensor
    means: Tensor
    expected: Tensor


@torch.no_grad()
def clamped_gibbs(
    model: RBM | DBN,
    v: Tensor,
    missing: Tensor,
    steps: int = 1000,
    generator: Noise = None,
    after_step: Callable[[], None] | None = None,
) -> Filled:
    """Sample the missing visible units given the observed ones.

    For an RBM, a step samples the hidden units given all visible ones, then the missing visible units given the hidden
    ones. Both are exact conditionals of the RBM, so the chain converges to the exact ``p(missing | observed)``.

    For a stack of several RBMs, a step samples a pass up through all layers by their recognition weights, and a pass
    down to the missing units. The pass up takes ``p(hidden | visible)`` of each layer's RBM for the stack's posterior,
    which it only approximates, as in greedy learning (Hinton et al. 2006, section 4): the chain converges to an
    approximation of ``p(missing | observed)`` that is the better the better the recognition is (Rezende et al. 2014,
    appendix F, where such a chain fills in images).

    Args:
        model: the RBM or stack.
        v: visible states ``(batch, n_visible)``; values of missing units are not used.
        missing: true where a unit is missing, ``(batch, n_visible)`` bool.
        steps: from a sample of the missing units without field.
        generator: source of randomness (default: torch's global one).
        after_step: called after every step, such as to show progress.

    Raises:
        SettingError: ``steps`` is not a whole number from 1, or a layer of the stack is no RBM.
        DataError: ``v`` cannot be visible states, or ``missing`` is not of their shape.

    References:
        Hinton, Osindero & Teh (2006), Neural Computation 18:1527; Rezende, Mohamed & Wierstra (2014), *Stochastic
        backpropagation and approximate inference in deep generative models*, ICML.
    """
    check_number("steps", steps, low=1, whole=True)
    layers = [model] if isinstance(model, RBM) else [model[k] for k in range(len(model))]
    if not all(isinstance(layer, RBM | Untied) for layer in layers):
        raise SettingError("This stack cannot fill in what is missing: only RBMs have a distribution.")
    first = layers[0]
    if not isinstance(missing, Tensor) or missing.dtype != torch.bool or missing.shape != v.shape:
        raise DataError(f"missing must be a tensor of true and false of the shape of v, {tuple(v.shape)}.")
    observed = first.visible_states(torch.where(missing, torch.zeros_like(v), v))
    states = torch.where(missing, first.visible.sample(torch.zeros_like(observed), generator), observed)
    means, total = states, torch.zeros_like(states)
    for step in range(steps):
        x = states
        for layer in layers[:-1]:
            x = layer.hidden.states_above(layer.sample_hidden(x, generator))
        x = layers[-1].sample_hidden(x, generator)
        for below, layer in reversed([*pairwise(layers)]):
            x = below.hidden.states_below(layer.sample_visible(x, generator), generator)
        field = first.visible_field(x)
        means = torch.where(missing, first.visible.mean(field), observed)
        states = torch.where(missing, first.visible.sample(field, generator), observed)
        if step >= steps // 2:
            total += means
        if after_step is not None:
            after_step()
    expected = torch.where(missing, total / (steps - steps // 2), observed)
    return Filled(states, means, expected)
