"""Training of class RBMs from images and labels, as the top layer of a stack or alone."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor

from dbn.data import DataSet
from dbn.data.blocks import Minibatch
from dbn.errors import SettingError
from dbn.fitting.block_module import Optimizer
from dbn.models import flops
from dbn.models.rbm import RBM
from dbn.models.units import BernoulliWithLabel, Units, make_units
from dbn.pretraining.check_effect import check_no_gradient_settings
from dbn.pretraining.class_rbm_step import ClassRBMStep, Objective
from dbn.pretraining.contrastive import RBMPretraining, RBMTraining
from dbn.pretraining.settings import LayerSettings
from dbn.samplers import ContrastiveDivergence, HiddenChains, PersistentContrastiveDivergence, Sampler
from dbn.settings import call_factory

SAMPLERS = (ContrastiveDivergence, PersistentContrastiveDivergence, HiddenChains)
"""Samplers that the step of a class RBM knows."""


class ClassRBMTraining(RBMTraining):
    """Trains a class RBM, or a group of them, by :class:`ClassRBMStep`.

    Args:
        layer: an RBM whose hidden units are :class:`BernoulliWithLabel`.
        settings: training settings.
        sampler: sampler of the negative phase.
        objective: what it minimises.
        **options: of :class:`~dbn.pretraining.LayerTraining`.

    Raises:
        SettingError: see :func:`check_use`.
    """

    recordable: ClassVar[bool] = False
    """No test has recorded its steps as a CUDA graph."""

    def __init__(
        self, layer: RBM, settings: LayerSettings, sampler: Sampler, objective: Objective, **options: Any
    ) -> None:
        check_use(settings, sampler)
        super().__init__(layer, settings, sampler, **options)
        self.objective = objective

    @property
    def flops(self) -> int:
        """Operations per image of the step's products with the weight between image and hidden units."""
        if self.objective.generative:
            return flops.contrastive_divergence(self.layer.operations, self.sampler.products)
        return flops.backpropagation([self.layer.operations])

    def new_step(self) -> ClassRBMStep:
        """What takes the steps."""
        return ClassRBMStep(self.layer, self.sampler, self.objective, self.precision, self.settings.sparsity)

    def look_for_signs(
        self, number: int, member: Any, images: Tensor, row: Mapping[str, float], *, is_last: bool
    ) -> None:
        """See :meth:`.LayerTraining.look_for_signs`; a layer that need not reconstruct images is not told to."""
        if self.objective.kind == "generative":
            super().look_for_signs(number, member, images, row, is_last=is_last)

    def minibatch_step(self, batch: Minibatch, optimizer: Optimizer | Any) -> None:
        """Take a :class:`ClassRBMStep`."""
        assert batch.labels is not None  # ClassRBMPretraining.check_data has made sure
        self.step(batch.features, batch.labels, optimizer, self.generator, batch.count, batch.weights)


class ClassRBMPretraining(RBMPretraining):
    """Pretraining whose top RBM learns images together with their labels, the class RBM.

    Layers below are RBMs, as of :class:`RBMPretraining`. The top layer has ``hidden: {kind: bernoulli_with_label,
    n_labels: 10}``.

    Args:
        sampler: factory of samplers, called once for each layer.
        objective: of the top layer, ``generative``, ``discriminative`` or ``hybrid``, see
            :class:`dbn.pretraining.class_rbm_step.Objective`.
        generative_weight: of the generative term of ``hybrid``.

    Raises:
        SettingError: an invalid value.

    References:
        Hinton, Osindero & Teh (2006), section 6; Larochelle & Bengio (2008).
    """

    uses_labels: ClassVar[bool] = True

    def __init__(
        self, sampler: Callable[[], Sampler] = ContrastiveDivergence, objective: str = "generative",
        generative_weight: float = 0.01,
    ) -> None:  # fmt: skip
        super().__init__(sampler)
        self.objective = Objective(objective, generative_weight)

    def check_data(self, data: DataSet, layers: Sequence[LayerSettings]) -> None:
        """Refuse data without classes, a top layer without a label, and one with a label of other classes.

        Raises:
            SettingError: see above.
        """
        kind = BernoulliWithLabel.kind
        n = len(data.classes)
        if not n or data.train.labels is None:
            raise SettingError(
                f"method=class_rbm: data={data.name} has no classes, and a class RBM learns images with labels. Use "
                "method=rbm."
            )
        labelled = [number for number, layer in enumerate(layers, 1) if has_label(layer.hidden)]
        if labelled != [len(layers)]:
            raise SettingError(
                f"method=class_rbm: the top layer has the label, and here layers {labelled} of {len(layers)} do. Write "
                f"the last of stack.layers as {{n_hidden: {layers[-1].n_hidden}, hidden: {{kind: {kind}, n_labels: {n}"
                "}}, and no other."
            )
        known = make_units(layers[-1].hidden, 1).n_labels
        if known != n:
            raise SettingError(
                f"stack.layers.hidden.n_labels={known}: data={data.name} has {n} classes. Set it to {n}."
            )

    def check_settings(self, settings: LayerSettings) -> None:
        """Of the top layer those of :func:`check_use`; of others those of an RBM."""
        if has_label(settings.hidden):
            check_use(settings, call_factory("sampler", self.sampler))
        else:
            super().check_settings(settings)

    def training(self, layer: Any, settings: LayerSettings, **options: Any) -> RBMTraining:
        """See :meth:`~dbn.pretraining.PretrainingMethod.training`."""
        if not isinstance(layer.hidden, BernoulliWithLabel):
            return super().training(layer, settings, **options)
        return ClassRBMTraining(layer, settings, call_factory("sampler", self.sampler), self.objective, **options)


def check_use(settings: LayerSettings, sampler: Sampler) -> None:
    """Refuse settings and samplers that the step of a class RBM does not know.

    Raises:
        SettingError: a direction of updates or limits of weights, or another sampler than contrastive divergence and
            its persistent form with a chain for each image.
    """
    check_no_gradient_settings("method=class_rbm", settings, known=("sparsity_target", "sparsity_cost"))
    if type(sampler) not in SAMPLERS or sampler.n_chains is not None:
        chains = "" if sampler.n_chains is None else f", chains={sampler.n_chains}"
        raise SettingError(
            f"sampler={type(sampler).__name__}{chains}: a class RBM draws its negative phase by contrastive "
            "divergence, or by persistent chains, one for each image. Use sampler=cd, or sampler=pcd with "
            "sampler.chains=null."
        )


def has_label(hidden: str | Mapping[str, Any]) -> bool:
    """Whether hidden units of this type have a label."""
    return Units.resolve(hidden, "hidden")[0] is BernoulliWithLabel
