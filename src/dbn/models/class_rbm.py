"""The class RBM: an RBM of images and their labels, which classifies by free energy and draws images of a class.

It is an RBM whose hidden units are :class:`dbn.models.units.BernoulliWithLabel`; at the top of a DBN it sees what the
layers below make of an image. All functions take such an RBM, or a DBN with one at the top.
"""

import torch
from torch import Tensor

from dbn.errors import DataError, SettingError
from dbn.models.conditional_rbm import ConditionalRBM
from dbn.models.dbn import DBN
from dbn.models.rbm import RBM
from dbn.models.units import Bernoulli, BernoulliWithLabel
from dbn.settings import check_number


def class_rbm_of(model: RBM | DBN) -> RBM:
    """The class RBM itself, or that at the top of a DBN.

    Raises:
        SettingError: there is none.
    """
    top = model[len(model) - 1] if isinstance(model, DBN) else model
    if not isinstance(top, RBM) or not isinstance(top.hidden, BernoulliWithLabel):
        raise SettingError(
            "This model knows no labels. Train one: RBM(Bernoulli(784), BernoulliWithLabel(500, n_labels=10)),"
            " or with method=class_rbm a stack whose top layer has hidden: {kind: bernoulli_with_label, n_labels: 10}."
        )
    return top


def class_scores(model: RBM | DBN, v: Tensor) -> Tensor:
    """``-F(v, y)`` of every class up to a constant of ``v``, ``(batch, n_visible)`` -> ``(batch, n_labels)`` in nats.

    In a DBN ``v`` passes through the layers below at their means, which is an approximation; the rest is exact.

    Raises:
        SettingError: the model is no class RBM.
        DataError: ``v`` cannot be visible states.
    """
    top = class_rbm_of(model)
    x = model.up(v, len(model) - 1) if isinstance(model, DBN) else v
    hidden = top.hidden
    assert isinstance(hidden, BernoulliWithLabel)
    return hidden.label_scores(top.hidden_field(x))


def class_log_probabilities(model: RBM | DBN, v: Tensor) -> Tensor:
    """``log p(y | v)`` of every class, ``(batch, n_visible)`` -> ``(batch, n_labels)``; errors as :func:`class_scores`.

    References:
        Larochelle & Bengio (2008), equation 2; Hinton, Osindero & Teh (2006), section 6, by free energies.
    """
    return class_scores(model, v).log_softmax(-1)


def joint_free_energy(rbm: RBM, v: Tensor, labels: Tensor) -> Tensor:
    """``F(v, y) = -log sum_h exp(-E(v, h, y))``, ``(batch,)`` in nats.

    Args:
        rbm: a class RBM.
        v: visible states ``(batch, n_visible)``.
        labels: class numbers ``(batch,)`` int64.

    Raises:
        SettingError: the model is no class RBM.
        DataError: ``v`` cannot be visible states, or a label is no class of the model.
    """
    states = rbm.visible_states(v)
    scores = class_scores(rbm, states)
    check_labels(labels, scores.shape[-1])
    return rbm.visible.energy(states) - scores.gather(-1, labels.unsqueeze(-1)).squeeze(-1)


def check_labels(labels: Tensor, n_labels: int) -> None:
    """Raise :class:`DataError` unless all ``labels`` ``(n,)`` are numbers of ``n_labels`` classes."""
    if labels.is_floating_point() or (len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < n_labels):
        raise DataError(
            f"labels go from {float(labels.min()):g} to {float(labels.max()):g}: give numbers of classes, whole ones "
            f"from 0 to {n_labels - 1}."
        )


@torch.no_grad()
def given_label(rbm: RBM, label: int) -> RBM:
    """The RBM of a class: its states have the distribution ``p(v, h | y = label)`` of the class RBM, exactly.

    It is an RBM with plain binary hidden units, whose biases are shifted by the label's weights; everything that draws
    from RBMs draws images of the class from it. Its visible units and weight are the class RBM's own.

    Raises:
        SettingError: the model is no class RBM, or has no such class.
    """
    hidden = class_rbm_of(rbm).hidden
    assert isinstance(hidden, BernoulliWithLabel)
    check_number("label", label, low=0, high=hidden.n_labels - 1, whole=True)
    binary = Bernoulli(hidden.shape).to(hidden.bias)
    binary.bias.copy_(hidden.bias + hidden.label_weight[label])
    return RBM(rbm.visible, binary, rbm.connection)


def stack_given_label(stack: DBN, label: int) -> DBN:
    """The DBN whose top RBM is :func:`given_label`; its samples are images of the class.

    A conditional RBM as its top layer becomes the RBM of that class.

    Raises:
        SettingError: as :func:`given_label`.
    """
    top = stack[len(stack) - 1]
    if isinstance(top, ConditionalRBM):
        check_number("label", label, low=0, high=top.n_conditions - 1, whole=True)
        return DBN([*(stack[k] for k in range(len(stack) - 1)), top.given_conditions([label])], stack.scaling)
    layers = [stack[k] for k in range(len(stack) - 1)]
    return DBN([*layers, given_label(class_rbm_of(stack), label)], stack.scaling)
