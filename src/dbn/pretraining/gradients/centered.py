"""The centered and the enhanced gradient of an RBM."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from dbn.errors import SettingError
from dbn.models.rbm import RBM
from dbn.pretraining.gradients.base import Gradient, PhaseStates
from dbn.settings import check_choice, check_number

OFFSETS = ("data", "model", "average")


class Centered(Gradient):
    r"""The gradient of an RBM whose energy is one of centered states, with :math:`(v-\mu)^T W (h-\lambda)` in it.

    Such an RBM is another parametrisation of an ordinary one, whose biases are :math:`b - W\lambda` and
    :math:`c - W^T\mu`. So its gradient can be taken in terms of the ordinary parameters, without changing the model:

    .. math::
        \nabla W &= \langle (v-\mu)(h-\lambda)^T \rangle_{data} - \langle (v-\mu)(h-\lambda)^T \rangle_{model}, \\
        \nabla b &= \langle v \rangle_{data} - \langle v \rangle_{model} - \nabla W \lambda, \\
        \nabla c &= \langle h \rangle_{data} - \langle h \rangle_{model} - \nabla W^T \mu.

    (Units that scale their field, see :meth:`dbn.models.units.Units.gain`, scale :math:`\nabla W \lambda` alike; their
    variances keep their own gradient.) Training then does not depend on whether 0 or 1 means that a pixel is black:
    where offsets are flipped with the data, so is all that is learned.

    Offsets are running averages of the means of minibatches, which is what keeps offsets of the model stable. They
    start at the visible units' means without a field, which are the data's with ``bias_from_data``, and at the hidden
    units' means where the visible units have these. The weight cost and the L1 penalty apply to the ordinary weights,
    and move no bias.

    Args:
        offsets: which means are subtracted: of the ``data``, of the ``model``, or the ``average`` of both.
        rate: of the running averages, in (0, 1]; 1: the means of the minibatch itself.

    Attributes:
        visible: offsets :math:`\mu` ``(1, n_visible)``, in a group ``(members, 1, n_visible)``; None before training.
        hidden: offsets :math:`\lambda`.

    Raises:
        SettingError: an option is invalid.

    References:
        Melchior, Fischer & Wiskott (2016), *How to center deep Boltzmann machines*, JMLR 17(99), equations 8 to 10 and
        algorithm 1; Montavon & Müller (2012), *Deep Boltzmann machines and the centering trick*.
    """

    kind: ClassVar[str] = "centered"
    options: ClassVar[tuple[str, ...]] = ("offsets", "rate")

    def __init__(self, offsets: str = "data", rate: float = 0.01) -> None:
        check_choice("gradient.offsets", offsets, OFFSETS)
        check_number("gradient.rate", rate, low=0, high=1, above=True)
        self.offsets = offsets
        self.rate = rate
        self.visible: Tensor | None = None
        self.hidden: Tensor | None = None

    def check(self, rbm: RBM) -> None:
        """See :meth:`Gradient.check`: layers are dense."""
        shared = max(rbm.visible.positions, rbm.hidden.positions) > 1
        if shared or not rbm.connection.can_be_centered:
            raise SettingError(
                f"gradient={self.kind}: {type(rbm.connection).__name__} layers have no biases that could take up what "
                "centering moves: it needs one for every unit, and a weight for every pair. Use gradient=plain, or "
                "connection=dense."
            )
        if rbm.visible.scales_hidden_bias:
            raise SettingError(
                f"gradient={self.kind}: beside {rbm.visible.kind} units the hidden units' bias counts once for each "
                "word, which centering does not know. Use gradient=plain."
            )

    def start(self, rbm: RBM) -> None:
        """See :meth:`Gradient.start`."""
        if self.visible is None:
            with torch.inference_mode(False), torch.no_grad():  # offsets outlive training
                self.visible = rbm.visible.mean(rbm.weight.new_zeros(*rbm.connection.members, 1, rbm.n_visible))
                self.hidden = rbm.hidden.mean(rbm.connection.hidden_field(self.visible))

    def statistics(self, phases: PhaseStates) -> Sequence[Tensor]:
        """Weighted sums of visible and hidden states for each phase ``(2, 1, n)``, and the weights' ``(2, 1, 1)``."""
        sums = []
        for v, h, state_weights in phases:
            weights = state_weights.unsqueeze(-2)
            sums.append((weights @ v.to(weights), weights @ h.to(weights), weights.sum(-1, keepdim=True)))
        return [torch.stack(own) for own in zip(*sums, strict=True)]

    def transform(self, rbm: RBM, statistics: Sequence[Tensor]) -> None:
        """Move the offsets, and replace the gradients of the weight and of both biases."""
        assert self.visible is not None
        assert self.hidden is not None
        v, h, total = statistics
        for offset, sums in ((self.visible, v), (self.hidden, h)):
            means = sums / total
            if self.weighted:  # images that all weigh nothing have no mean
                means = torch.where(total == 0, offset, means)
            offset.lerp_(self._means(means), self.rate)
        of_visible, of_hidden = rbm.connection.center_gradient(self.visible, self.hidden, v.sum(0), h.sum(0))
        rbm.visible.add_field_gradient(of_visible.neg_())
        rbm.hidden.add_field_gradient(of_hidden.neg_())

    def _means(self, means: Tensor) -> Tensor:
        """Those of the means of both phases that offsets follow, ``(1, n)``; in a group ``(members, 1, n)``."""
        if self.offsets == "average":
            return means.mean(0)
        return means[0 if self.offsets == "data" else 1]

    def state_dict(self) -> dict[str, Tensor]:
        """The offsets."""
        return {} if self.visible is None or self.hidden is None else {"visible": self.visible, "hidden": self.hidden}

    def load_state_dict(self, state_dict: dict[str, Tensor], device: torch.device) -> None:
        """Restore the offsets of a checkpoint."""
        if state_dict:
            self.visible, self.hidden = (state_dict[name].to(device) for name in ("visible", "hidden"))


class Enhanced(Centered):
    r"""The enhanced gradient: differences of covariances for the weights, and for the biases what remains.

    .. math::
        \nabla W &= Cov_{data}(v, h) - Cov_{model}(v, h), \\
        \nabla b &= \langle v \rangle_{data} - \langle v \rangle_{model}
            - \nabla W\,\tfrac12(\langle h \rangle_{data} + \langle h \rangle_{model}),

    and :math:`\nabla c` alike. It is the average of the gradients of all RBMs that flips of units make of this one, and
    the centered gradient with the averages of both phases' means of the minibatch itself as offsets. Those are noisy:
    :class:`Centered` with running averages is more stable (Melchior et al. 2016, section 5).

    References:
        Cho, Raiko & Ilin (2011), *Enhanced gradient and adaptive learning rate for training restricted Boltzmann
        machines*, ICML, equations 8 to 10.
    """

    kind: ClassVar[str] = "enhanced"
    options: ClassVar[tuple[str, ...]] = ()

    def __init__(self) -> None:
        super().__init__("average", 1.0)
