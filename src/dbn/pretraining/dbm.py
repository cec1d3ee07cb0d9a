"""Pretraining of a deep Boltzmann machine: layer by layer with doubled inputs, then all layers as one."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from dbn.errors import SettingError
from dbn.models.connections import Dense, Doubled
from dbn.models.dbm_layer import check_shared, compose, factors
from dbn.models.layer import Layer
from dbn.models.units import make_units
from dbn.pretraining.check_effect import check_no_gradient_settings
from dbn.pretraining.contrastive import RBMPretraining
from dbn.pretraining.dbm_chains import PersistentStates
from dbn.pretraining.dbm_training import DBMTraining
from dbn.pretraining.joint import JointLayers
from dbn.pretraining.layer_training import LayerTraining
from dbn.pretraining.settings import LayerSettings
from dbn.samplers import ContrastiveDivergence, Sampler
from dbn.settings import call_factory, check_number, format_value


class DBMPretraining(RBMPretraining):
    r"""Pretraining of a deep Boltzmann machine of two hidden layers or more.

    First its layers are trained one by one, as RBMs by contrastive divergence in which one field stands in for two, see
    :class:`dbn.models.connections.Doubled`: the first layer's hidden units receive their field twice, the last layer's
    visible units theirs, and in between both do. So each has learned to share its units with the neighbour to come.
    Then they are put together, :func:`dbn.models.dbm_layer.compose`, and trained as one to raise the variational bound,
    see :class:`dbn.pretraining.dbm_step.DBMStep`. Size of minibatches, momentum and weight cost are those of the last
    layer there.

    Args:
        sampler: factory of the samplers of the layers' own training: contrastive divergence.
        epochs: of the training of all layers as one, from 1.
        learning_rate: of that training's first epoch; it falls linearly and would be zero after the last.
        steps: Gibbs steps of the persistent chains for each minibatch.
        chains: number of these chains; None: one for each image of a minibatch.
        mean_field_steps: most steps of inference for each minibatch.
        mean_field_tolerance: change of a mean at which an image's inference ends before.

    Raises:
        SettingError: an invalid value.

    References:
        Salakhutdinov & Hinton (2009), *Deep Boltzmann machines*, AISTATS 5:448, section 3 and algorithm 1.
    """

    def __init__(
        self,
        sampler: Callable[[], Sampler] = ContrastiveDivergence,
        epochs: int = 50,
        learning_rate: float = 0.005,
        steps: int = 5,
        chains: int | None = None,
        mean_field_steps: int = 10,
        mean_field_tolerance: float = 0.001,
    ) -> None:
        super().__init__(sampler)
        check_number("method.epochs", epochs, low=1, whole=True)
        check_number("method.learning_rate", learning_rate, low=0, above=True)
        check_number("method.mean_field_steps", mean_field_steps, low=1, whole=True)
        check_number("method.mean_field_tolerance", mean_field_tolerance, low=0)
        PersistentStates(steps, chains)
        self.epochs, self.learning_rate = epochs, learning_rate
        self.steps, self.chains = steps, chains
        self.mean_field = {"steps": mean_field_steps, "tolerance": mean_field_tolerance}

    def check_settings(self, settings: LayerSettings) -> None:
        """Refuse layers that are not dense, and settings and samplers that a doubled layer does not know.

        Raises:
            SettingError: see above.
        """
        known = ("l1_cost", "max_norm", "sparsity_target", "sparsity_cost")
        check_no_gradient_settings("method=dbm", settings, known=known)
        if settings.connection != Dense.kind:
            raise SettingError(
                f"{settings.key('connection')}={format_value(settings.connection)}: a deep Boltzmann machine is "
                "trained of dense layers. Use connection=dense, stack.layers=[500,1000], or method=rbm."
            )
        sampler = call_factory("sampler", self.sampler)
        if type(sampler) is not ContrastiveDivergence:
            raise SettingError(
                f"sampler={type(sampler).__name__}: the layers of a deep Boltzmann machine are trained one by one by "
                "contrastive divergence, and only all together by persistent chains, which method=dbm has itself "
                "(method.steps, method.chains). Use sampler=cd."
            )

    def in_place(self, settings: Sequence[LayerSettings]) -> list[LayerSettings]:
        """The layers with doubled connections.

        Raises:
            SettingError: there is only one layer, or its units cannot stand between two.
        """
        if len(settings) < 2:
            raise SettingError(
                f"stack.layers=[{settings[0].n_hidden}]: a deep Boltzmann machine has two hidden layers or more. Use "
                "stack.layers=[500,1000], or method=rbm."
            )
        for own in settings[:-1]:
            check_shared(make_units(own.hidden, own.n_hidden, "stack.every_layer.hidden"))
        return [
            replace(own, connection={"kind": Doubled.kind, **factors(number, len(settings))})
            for number, own in enumerate(settings)
        ]

    def last_stage(self, settings: Sequence[LayerSettings]) -> LayerSettings:
        """The training of all layers as one."""
        given_at = {"learning_rate": "method.learning_rate", "epochs": "method.epochs"}
        return replace(
            settings[-1], epochs=self.epochs, learning_rate=self.learning_rate, final_learning_rate=0, patience=None,
            given_at=given_at,
        )  # fmt: skip

    def composed(self, layers: Sequence[Any]) -> list[Layer]:
        """See :func:`dbn.models.dbm_layer.compose`."""
        return list(compose(layers))

    def training(self, layer: Any, settings: LayerSettings, **options: Any) -> LayerTraining:  # type: ignore[override]
        """See :meth:`dbn.pretraining.method.PretrainingMethod.training`."""
        if not isinstance(layer, JointLayers):
            return super().training(layer, settings, **options)
        return DBMTraining(layer, settings, PersistentStates(self.steps, self.chains), self.mean_field, **options)
