"""Pseudo-labels: the network's own class as the label of an unlabelled image."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from dbn.data.augment import Augment, Scalings
from dbn.errors import SettingError
from dbn.random.streams import Generators
from dbn.settings import check_number
from finetune.tasks.semi_supervised import UseOfUnlabelled, Views


class PseudoLabels(UseOfUnlabelled):
    r"""Every unlabelled image has the class of the network's largest output as its label, chosen anew in each step.

    The weight of their loss is :math:`\alpha(t) = 0` before :math:`T_1`,
    :math:`\alpha_f (t - T_1) / (T_2 - T_1)` up to :math:`T_2`, then :math:`\alpha_f`. Unlabelled images are deformed as
    labelled ones are, and their classes come from the very outputs that learn.

    Args:
        ratio: unlabelled images in a step for each labelled one; Lee had 256 beside 32.
        weight: :math:`\alpha_f`.
        ramp_start: :math:`T_1`, as a fraction of training. Lee's are 100 and 600 epochs.
        ramp_end: :math:`T_2`, as a fraction of training.

    Raises:
        SettingError: an invalid value.

    References:
        Lee (2013), *Pseudo-label: the simple and efficient semi-supervised learning method for deep neural networks*,
        ICML workshop on challenges in representation learning, equations 15 and 16.
    """

    n_views: ClassVar[int] = 1

    def __init__(self, ratio: int = 8, weight: float = 3.0, ramp_start: float = 0.1, ramp_end: float = 0.6) -> None:
        super().__init__(ratio, weight)
        check_number("unlabelled.ramp_start", ramp_start, low=0, high=1)
        check_number("unlabelled.ramp_end", ramp_end, low=0, high=1)
        if ramp_end < ramp_start:
            raise SettingError(
                f"unlabelled.ramp_end={ramp_end}: it is below unlabelled.ramp_start={ramp_start}. Give a later one."
            )
        self.ramp_start = ramp_start
        self.ramp_end = ramp_end

    def views(
        self, features: Tensor, shape: tuple[int, int, int], augment: Augment | None, generator: Generators,
        scaling: Scalings | None = None,
    ) -> Views:  # fmt: skip
        """The images, deformed as the labelled ones are."""
        return (features if augment is None else augment(features, shape, generator, scaling),)

    def targets(self, network: nn.Module, views: Views, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """The class of the largest output; every image counts."""
        return outputs.argmax(-1), torch.ones_like(outputs[..., 0])

    def weight_at(self, progress: float) -> float:
        r""":math:`\alpha(t)`."""
        if progress < self.ramp_start:
            return 0.0
        if progress >= self.ramp_end:
            return self.weight
        return self.weight * (progress - self.ramp_start) / (self.ramp_end - self.ramp_start)
