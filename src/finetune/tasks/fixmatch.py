"""Consistency under weak and strong augmentation (FixMatch)."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from dbn.data.augment import Augment, Scalings
from dbn.data.augment_settings import AUGMENT_CHECKS
from dbn.data.cutout import cut_out
from dbn.random.streams import Generators
from dbn.settings import check_number, check_table
from finetune.tasks.semi_supervised import UseOfUnlabelled, Views


class FixMatch(UseOfUnlabelled):
    r"""The class that the network is sure of for a weakly deformed image is the label of the strongly deformed one.

    .. math:: \frac{1}{\mu B} \sum_b 1[\max_c q_b(c) \ge \tau]\,H(\arg\max_c q_b(c), p(y \mid A(u_b)))

    with :math:`q_b = p(y \mid \alpha(u_b))`, whose gradient is not followed. Where the network is not sure, the image's
    loss is zero. Dropout, if any, acts in both passes.

    Args:
        ratio: unlabelled images in a step for each labelled one, :math:`\mu`.
        weight: of their loss, :math:`\lambda_u`.
        threshold: probability from which a class counts, :math:`\tau`.
        weak: settings of the weak deformation :math:`\alpha`, see :class:`dbn.data.augment.Augment`.
        strong: settings of the strong one :math:`A`.
        cutout: side of the square that is cut out of strongly deformed images, as a fraction of theirs; 0 for none.

    Raises:
        SettingError: an invalid value.

    References:
        Sohn et al. (2020), *FixMatch: simplifying semi-supervised learning with consistency and confidence*, NeurIPS,
        equation 4; 7, 1 and 0.95 are theirs, as is cutout after the deformation.
    """

    n_views: ClassVar[int] = 2

    def __init__(
        self, ratio: int = 7, weight: float = 1.0, threshold: float = 0.95, weak: Any = None, strong: Any = None,
        cutout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(ratio, weight)
        check_number("unlabelled.threshold", threshold, low=0, high=1)
        check_number("unlabelled.cutout", cutout, low=0, high=1)
        self.threshold = threshold
        self.weak, self.strong = augmentation("weak", weak), augmentation("strong", strong)
        self.cutout = cutout

    def views(
        self, features: Tensor, shape: tuple[int, int, int], augment: Augment | None, generator: Generators,
        scaling: Scalings | None = None,
    ) -> Views:  # fmt: skip
        """Weakly and strongly deformed images; how labelled ones are deformed does not matter."""
        strong = self.strong(features, shape, generator, scaling)
        if self.cutout:
            strong = cut_out(strong, shape, self.cutout, generator)
        return self.weak(features, shape, generator, scaling), strong

    @torch.no_grad()
    def targets(self, network: nn.Module, views: Views, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """Classes for the weakly deformed images, and whether their probability reaches the threshold."""
        confidence, classes = network(views[0]).softmax(-1).max(-1)
        return classes, (confidence >= self.threshold).to(outputs)


def augmentation(name: str, settings: Any) -> Augment:
    """The deformation of ``unlabelled.<name>``."""
    key = f"unlabelled.{name}"
    settings = {} if settings is None else settings
    check_table(key, dict(settings) if isinstance(settings, Mapping) else settings, AUGMENT_CHECKS)
    return Augment(**settings)
