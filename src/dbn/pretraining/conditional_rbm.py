"""Training of conditional RBMs, by contrastive divergence or with a persistent chain for each case."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from dbn.data import DataSet
from dbn.data.blocks import Block, Minibatch
from dbn.data.images import ImageSet
from dbn.errors import SettingError
from dbn.fitting.block_module import Optimizer
from dbn.fitting.processes import add_gradients
from dbn.models import flops
from dbn.models.conditional_rbm import ConditionalRBM
from dbn.models.gradients import gradient_of
from dbn.models.phases import ImageWeights, Phases
from dbn.pretraining.check_effect import check_no_gradient_settings
from dbn.pretraining.contrastive import RBMPretraining, without_autograd
from dbn.pretraining.layer_training import LayerTraining
from dbn.pretraining.method import PretrainingMethod
from dbn.pretraining.settings import LayerSettings
from dbn.random.streams import Noise
from dbn.samplers import ContrastiveDivergence, Sampler
from dbn.samplers.case_chains import CaseChains
from dbn.settings import call_factory, check_number


class ConditionalStep:
    r"""One update of a conditional RBM from a minibatch of states with their side information.

    The gradient of :math:`-\log p(v \mid u)` is that of an RBM, whose negative phase has the side information of the
    positive one; those of ``A`` and ``B`` are :math:`-u^T (v^+ - v^-)` and :math:`-u^T (h^+ - h^-)`, with means ``h``.

    Args:
        model: updated in place; in a group every member is.
        sampler: :class:`ContrastiveDivergence`, or :class:`CaseChains`.
    """

    def __init__(self, model: ConditionalRBM, sampler: Sampler) -> None:
        self.model = model
        self.sampler = sampler

    def __call__(
        self, v: Tensor, u: Tensor, optimizer: Optimizer | Any, generator: Noise = None, count: int | None = None,
        weights: Tensor | None = None,
    ) -> None:  # fmt: skip
        """Take the step; arguments as of :meth:`write_gradient`, and any torch optimiser of the parameters."""
        with without_autograd(v.device):
            self.write_gradient(v, u, generator, count, weights)
            add_gradients(self.model)
            optimizer.step()

    def write_gradient(
        self, v: Tensor, u: Tensor, generator: Noise = None, count: int | None = None, weights: Tensor | None = None
    ) -> None:
        """Write the gradient, summed over cases and divided by ``count``, into every ``grad``.

        Args:
            v: visible states ``(batch, n_visible)``, in a group ``(members, batch, n_visible)``.
            u: side information ``(batch, n_conditions)``, in a group ``(members, batch, n_conditions)``.
            generator: source of the sampler's noise.
            count: cases in the minibatch over all processes; default ``batch``.
            weights: how much each case counts, ``(batch,)``, in a group ``(members, batch)``, 1 on average over all
                training cases; None: all count the same.
        """
        rbm = self.model.given_conditions(u)
        phases = Phases(rbm, v.shape[-2])
        positive, negative = phases.positive, phases.negative
        positive.v.copy_(v)
        positive.condition_on_visible(rbm)
        self.sampler.write_negative_states(rbm, positive, negative.v, generator)
        negative.condition_on_visible(rbm)
        weight = 1 / (count or v.shape[-2])
        for parameter, ours, theirs in (
            (self.model.visible_weight, positive.v, negative.v),
            (self.model.hidden_weight, positive.mean, negative.mean),
        ):
            differences = theirs - ours
            if weights is not None:
                differences.mul_(weights.unsqueeze(-1))
            gradient_of(parameter).copy_(u.mT @ differences).mul_(weight)
        phases.write_gradient(rbm, count, None if weights is None else ImageWeights(weights.to(rbm.weight.dtype)))


class ConditionalTraining(LayerTraining):
    """Trains a conditional RBM, or a group of them, by :class:`ConditionalStep`.

    Args:
        layer: the model.
        settings: training settings.
        sampler: as of :class:`ConditionalStep`.
        table: side information of all training cases ``(cases, n_conditions)``, whose numbers the labels are; None:
            labels are classes, and these the side information.
        **options: of :class:`LayerTraining`.
    """

    weighs_images: ClassVar[bool] = True

    layer: ConditionalRBM
    table: Tensor | None

    def __init__(
        self, layer: ConditionalRBM, settings: LayerSettings, sampler: Sampler, table: Tensor | None = None,
        **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(layer, settings, **options)
        self.sampler = sampler
        self.register_buffer("table", table, persistent=False)
        self.step = ConditionalStep(layer, sampler)

    @property
    def flops(self) -> int:
        """Operations per image of the steps' products with the weight ``W``, with the present number of steps."""
        return flops.contrastive_divergence(self.layer.operations, self.sampler.products)

    def stand_at(self, epoch: int) -> None:
        """Set the number of Gibbs steps."""
        self.sampler.begin_epoch(epoch)

    def on_fit_start(self) -> None:
        """Refuse other products than those in float32.

        Raises:
            SettingError: another precision.
        """
        if self.precision not in ("auto", "float32"):
            raise SettingError(
                f"precision={self.precision}: conditional RBMs train in float32. Use precision=float32, or auto."
            )
        self.precision, self.precision_decided_by = "float32", "conditional RBMs train in float32"

    def begin_block(self, block: Block) -> Block:
        """Set the number of Gibbs steps, and open the block's random stream."""
        self.sampler.begin_epoch(self.current_epoch)
        return super().begin_block(block)

    def minibatch_step(self, batch: Minibatch, optimizer: Optimizer | Any) -> None:
        """Take a :class:`ConditionalStep`."""
        assert batch.labels is not None  # ConditionalPretraining.check_data has made sure
        if self.table is None:
            u = F.one_hot(batch.labels, self.layer.n_conditions).to(self.layer.weight)
        else:
            u = self.table[batch.labels]
            if isinstance(self.sampler, CaseChains):
                self.sampler.cases = batch.labels
        self.step(batch.features, u, optimizer, self.generator, batch.count, batch.weights)

    def metrics_of(self, member: ConditionalRBM, train: Tensor, validation: Tensor | None) -> dict[str, float]:
        """Norms of the weights: ``weight_norm``, ``visible_weight_norm`` of ``A``, ``hidden_weight_norm`` of ``B``.

        Images that are watched come without their side information.
        """
        named = {"weight_norm": member.weight, "visible_weight_norm": member.visible_weight}
        named["hidden_weight_norm"] = member.hidden_weight
        return {name: float(weight.norm()) for name, weight in named.items()}

    def look_for_signs(
        self, number: int, member: Any, images: Tensor, row: Mapping[str, float], *, is_last: bool
    ) -> None:
        """None: images that are watched come without their side information."""


class ConditionalPretraining(PretrainingMethod):
    """Training of a conditional RBM, a single layer, of images given their classes.

    Args:
        sampler: factory of its sampler, contrastive divergence; persistent chains are those of
            :func:`dbn.pretraining.fit_conditional_rbm`, which knows the cases.
        n_labels: number of classes.

    Raises:
        SettingError: another sampler, or fewer than two classes.
    """

    progress_metric: ClassVar[str] = "hidden_weight_norm"
    uses_labels: ClassVar[bool] = True

    def __init__(self, sampler: Callable[[], Sampler] = ContrastiveDivergence, n_labels: int = 10) -> None:
        check_number("method.n_labels", n_labels, low=2, whole=True)
        self.sampler, self.n_labels = RBMPretraining(sampler).sampler, n_labels

    def new_layer(
        self, input_type: str | Mapping[str, Any], input_shape: Sequence[int], settings: LayerSettings, *,
        generator: torch.Generator | None = None, images: ImageSet | None = None,
    ) -> ConditionalRBM:  # fmt: skip
        """See :meth:`PretrainingMethod.new_layer`."""
        rbm = RBMPretraining().new_layer(input_type, input_shape, settings, generator=generator, images=images)
        return ConditionalRBM(rbm.visible, rbm.hidden, self.n_labels, rbm.connection)

    def check_settings(self, settings: LayerSettings) -> None:
        """Refuse what the step does not know: settings of an RBM's gradient, and other samplers."""
        check_no_gradient_settings("method=conditional_rbm", settings)
        sampler = call_factory("sampler", self.sampler)
        if type(sampler) is not ContrastiveDivergence:
            raise SettingError(
                f"sampler={type(sampler).__name__}: each class has a distribution of its own, and chains that go from "
                "minibatch to minibatch mix them up. Use sampler=cd, or in Python "
                "dbn.pretraining.fit_conditional_rbm(..., persistent=True), with a chain for each case."
            )

    def check_data(self, data: DataSet, layers: Sequence[LayerSettings]) -> None:
        """Refuse data without classes or with another number of them, and stacks of several layers.

        Raises:
            SettingError: see above.
        """
        n = len(data.classes)
        if not n or data.train.labels is None:
            raise SettingError(
                f"method=conditional_rbm: data={data.name} has no classes. Use method=rbm; for side information of "
                "another kind dbn.pretraining.fit_conditional_rbm, in Python."
            )
        if self.n_labels != n:
            raise SettingError(f"method.n_labels={self.n_labels}: data={data.name} has {n} classes. Set it to {n}.")
        if len(layers) > 1:
            raise SettingError(
                f"stack.layers: {len(layers)} layers, and a conditional RBM is one. Give stack.layers=[500]; for "
                "images of a class from a deeper stack use method=class_rbm."
            )

    def training(self, layer: Any, settings: LayerSettings, **options: Any) -> ConditionalTraining:
        """See :meth:`PretrainingMethod.training`."""
        return ConditionalTraining(layer, settings, call_factory("sampler", self.sampler), **options)
