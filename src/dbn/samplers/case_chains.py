"""Persistent chains of which each belongs to a training case, for models that side information makes others."""

from typing import ClassVar

from torch import Tensor

from dbn.models.phases import Phase
from dbn.models.rbm import RBM
from dbn.random.streams import Noise
from dbn.samplers.steps import GibbsSampler, Steps


class CaseChains(GibbsSampler):
    """Persistent contrastive divergence with a chain for each training case, which goes on when the case comes again.

    Side information makes a distribution of its own for each case. A chain that goes on from minibatch to minibatch, as
    those of :class:`dbn.samplers.PersistentContrastiveDivergence` do, would carry states of one case's distribution to
    another's; one for each case stays with its own, which moves slowly. It is as large as the training data.

    Args:
        v: first states of all chains, ``(cases, n_visible)``, such as the data; copied.
        steps: of Gibbs sampling for each minibatch, or a schedule.

    Attributes:
        cases: numbers of the minibatch's cases ``(batch,)`` int64, set before each step.

    References:
        Tieleman (2008), *Training RBMs using approximations to the likelihood gradient*, ICML; on conditional models:
        Mnih, Larochelle & Hinton (2011), section 4.
    """

    chains_of_images: ClassVar[bool] = True

    cases: Tensor

    def __init__(self, v: Tensor, steps: Steps = 1) -> None:
        super().__init__(steps)
        self.chains = v.clone()

    @property
    def products(self) -> int:
        """Two for each step."""
        return 2 * self.steps

    def write_negative_states(self, rbm: RBM, positive: Phase, out: Tensor, generator: Noise = None) -> None:
        """See :meth:`dbn.samplers.base.Sampler.write_negative_states`."""
        v = self.chains[self.cases]
        for _ in range(self.steps):
            h = rbm.hidden.sample(rbm.hidden_field(v), generator)
            v = rbm.visible.sample(rbm.visible_field(h), generator)
        self.chains[self.cases] = v
        out.copy_(v)
