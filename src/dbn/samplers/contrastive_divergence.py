"""Contrastive divergence: short chains that start at the data."""

from typing import ClassVar

from torch import Tensor

from dbn.models.phases import Phase
from dbn.models.rbm import RBM
from dbn.random.streams import Noise
from dbn.samplers.steps import GibbsSampler, Steps


class ContrastiveDivergence(GibbsSampler):
    """CD-k: ``k`` steps of Gibbs sampling from the minibatch.

    Hidden states are always sampled: real-valued ones would carry more than one bit each from the data to the
    reconstruction. The visible states of the last step are means by default, which removes sampling noise from the
    statistics (Hinton 2012, section 3); those in between are sampled. Units with learned variances are always sampled,
    see :meth:`dbn.models.units.Units.reconstruction`.

    Args:
        steps: ``k``, from 1, or a schedule of it, see :class:`dbn.samplers.steps.GibbsSampler`.
        sample_visible: sample the last visible states as well.

    Raises:
        SettingError: ``steps`` is no whole number from 1, and no schedule of such numbers.

    References:
        Hinton (2002), *Training products of experts by minimizing contrastive divergence*; Hinton (2012), section 3.
    """

    chains_of_images: ClassVar[bool] = True

    def __init__(self, steps: Steps = 1, *, sample_visible: bool = False) -> None:
        super().__init__(steps)
        self.sample_visible = sample_visible

    @property
    def products(self) -> int:
        """``2k - 1``: two per step, without the last hidden field, which belongs to the negative phase."""
        return 2 * self.steps - 1

    def write_negative_states(self, rbm: RBM, positive: Phase, out: Tensor, generator: Noise = None) -> None:
        """Write the visible states after ``k`` steps into ``out`` ``(batch, n_visible)``."""
        v, h = out, positive.h
        rbm = rbm.given(positive.v)
        positive.sample_hidden(rbm, generator)
        for _ in range(self.steps - 1):
            rbm.visible.sample(rbm.visible_field(h, out=v), generator, out=v)
            rbm.hidden.sample(rbm.hidden_field(v, out=h), generator, out=h)
        rbm.visible_field(h, out=v)
        if self.sample_visible:
            rbm.visible.sample(v, generator, out=v)
        else:
            rbm.visible.reconstruction(v, generator, out=v)
