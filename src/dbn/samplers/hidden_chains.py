"""Persistent contrastive divergence with chains of hidden states, which saves a product with the weights."""

from typing import ClassVar

import torch
from torch import Tensor

from dbn.errors import SettingError
from dbn.models.phases import Phase, Phases
from dbn.models.rbm import RBM
from dbn.random.streams import Noise
from dbn.samplers.persistent import PersistentContrastiveDivergence
from dbn.samplers.steps import Steps


class HiddenChains(PersistentContrastiveDivergence):
    """PCD-k whose chains are hidden states, the algorithm of scikit-learn's ``BernoulliRBM`` for ``k`` = 1.

    A chain's hidden state is sampled from the field that the gradient needs anyway, before the update, so that a step
    takes one product less than with chains of visible states. The chains start at zeros. A minibatch that is larger
    than all before adds chains, a smaller one updates only the first.

    Args:
        steps: ``k``, from 1, or a schedule of it, see :class:`dbn.samplers.steps.GibbsSampler`.

    Attributes:
        chains: hidden states ``(chains, n_hidden)``, with the members first in a group of models; None before the first
            minibatch.

    Raises:
        SettingError: ``steps`` is no whole number from 1, and no schedule of such numbers.

    References:
        Tieleman (2008), *Training restricted Boltzmann machines using approximations to the likelihood gradient*, ICML.
    """

    starts_at_data: ClassVar[bool] = False

    def __init__(self, steps: Steps = 1) -> None:
        super().__init__(steps)

    @property
    def products(self) -> int:
        """``2k - 1``: one for the visible states, two for each further step."""
        return 2 * self.steps - 1

    def write_negative_states(self, rbm: RBM, positive: Phase, out: Tensor, generator: Noise = None) -> None:
        """Write visible states given the chains' hidden ones, after ``k - 1`` further steps, into ``out``."""
        v, h = out, positive.h
        rbm.visible.sample(rbm.visible_field(self.first(h), out=v), generator, out=v)
        for _ in range(self.steps - 1):
            rbm.hidden.sample(rbm.hidden_field(v, out=h), generator, out=h)
            rbm.visible.sample(rbm.visible_field(h, out=v), generator, out=v)

    def continue_chains(self, rbm: RBM, phases: Phases, generator: Noise = None) -> None:
        """Sample the chains' hidden states given the negative phase's visible ones."""
        if rbm.write_gradients_of_units is None:
            phases.mean  # noqa: B018  # of both phases at once, for the gradient
        negative = phases.negative
        chains = self.first(negative.h)
        if chains.is_contiguous():
            negative.sample_hidden(rbm, generator, chains)
        else:  # some of the chains of each member of a group
            negative.sample_hidden(rbm, generator)
            chains.copy_(negative.h)

    def first(self, like: Tensor) -> Tensor:
        """The first chains, a view of the shape of ``like`` ``(batch, n_hidden)``; missing ones are added.

        Raises:
            SettingError: the chains belong to another RBM.
        """
        if self.chains is not None and self.chains.shape == like.shape:
            return self.chains  # the usual case
        n = like.shape[-2]
        if self.chains is not None and self.chains.shape[-1] != like.shape[-1]:
            raise SettingError(
                f"sampler: its chains have {self.chains.shape[-1]} hidden units, those of another RBM; this one has "
                f"{like.shape[-1]}. Give every RBM a sampler of its own."
            )
        with torch.inference_mode(False):  # chains outlive training
            if self.chains is None:
                self.chains = torch.zeros_like(like)
            elif self.chains.shape[-2] < n:
                self.chains = torch.cat([self.chains, torch.zeros_like(like[..., self.chains.shape[-2] :, :])], -2)
        return self.chains[..., :n, :]
