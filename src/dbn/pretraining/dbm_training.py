"""Joint training of all layers of a deep Boltzmann machine."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from dbn.data.blocks import Minibatch
from dbn.fitting.block_module import Optimizer
from dbn.fitting.processes import StateOfProcesses, of_all_processes, of_this_process
from dbn.models import flops
from dbn.models.dbm import DBM
from dbn.models.dbm_layer import tied
from dbn.models.mean_field import bound
from dbn.pretraining.dbm_chains import PersistentStates
from dbn.pretraining.dbm_step import DBMStep
from dbn.pretraining.joint import JOINT, JointLayers
from dbn.pretraining.layer_training import LayerTraining
from dbn.pretraining.settings import LayerSettings


class DBMTraining(LayerTraining):
    """Trains a deep Boltzmann machine, or a group of them, by :class:`DBMStep`.

    Args:
        layer: the layers, see :func:`dbn.models.dbm_layer.compose`.
        settings: training settings.
        chains: of the negative phase.
        mean_field: ``steps`` and ``tolerance`` of inference.
        **options: of :class:`LayerTraining`.
    """

    weighs_images: ClassVar[bool] = True

    layer: JointLayers

    def __init__(
        self,
        layer: JointLayers,
        settings: LayerSettings,
        chains: PersistentStates,
        mean_field: Mapping[str, Any],
        **options: Any,
    ) -> None:
        super().__init__(JointLayers(tied(layer.layers)), settings, **options)  # grouping has made copies of units
        self.chains = chains
        self.mean_field = mean_field
        self.chains_state: StateOfProcesses | None = None
        self.precision = "float32"
        self.precision_decided_by = "the layers of a deep Boltzmann machine are trained as one in float32"

    @property
    def flops(self) -> int:
        """Operations per image of the step's products with the weights, if inference takes all its steps."""
        each: list[int] = [own.operations for own in self.layer.layers]
        states = 1 if self.chains.n_chains is None else self.chains.n_chains / self.batch_size
        inference = sum(each) + each[0] + 2 * self.mean_field["steps"] * sum(each[1:])
        gibbs = 2 * self.chains.steps * sum(each)
        return round(flops.forward([inference]) + states * flops.forward([gibbs]) + 2 * (1 + states) * sum(each))

    @property
    def title(self) -> str:
        """See :attr:`LayerTraining.title`."""
        return JOINT

    @property
    def what(self) -> str:
        """See :attr:`LayerTraining.what`."""
        return "The deep Boltzmann machine"

    def on_fit_start(self) -> None:
        """Set up the step, with the chains of a checkpoint; parameters are on their device by now.

        Raises:
            SettingError: chains that cannot be divided among the processes, or a checkpoint of another number of these.
        """
        self.chains.divide(self.trainer.world_size)
        if self.chains_state is not None:
            self.chains.load_state_dict(of_this_process(self.chains_state, "method", "its chains"), self.device)
        dbm = DBM.of_layers(self.layer.layers)
        self.step = DBMStep(dbm, self.chains, self.mean_field["steps"], self.mean_field["tolerance"])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the chains as well."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["chains"] = of_all_processes(self.chains.state_dict())

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep them for :meth:`on_fit_start`: the module is not on its device yet."""
        super().on_load_checkpoint(checkpoint)
        self.chains_state = checkpoint["chains"]

    def training_step(self, block: Any, index: int) -> None:
        """See :meth:`dbn.fitting.block_module.BlockModule.training_step`; gradients are written by hand."""
        with torch.no_grad():
            super().training_step(block, index)

    def minibatch_step(self, batch: Minibatch, optimizer: Optimizer | Any) -> None:
        """Take a :class:`DBMStep`."""
        self.step(batch.features, optimizer, self.generator, batch.count, batch.weights)

    def metrics_of(self, member: Any, train: Tensor, validation: Tensor | None) -> dict[str, float]:
        """See :func:`dbm_metrics`."""
        return dbm_metrics(member.layers, train, validation, self.mean_field)


@torch.no_grad()
def dbm_metrics(
    layers: Sequence[Any], train: Tensor, validation: Tensor | None, mean_field: Mapping[str, Any]
) -> dict[str, float]:
    """Metrics of a deep Boltzmann machine for monitoring.

    Args:
        layers: of the machine.
        train: training images ``(n, n_visible)``.
        validation: validation images ``(m, n_visible)``, or None.
        mean_field: settings of inference.

    Returns:
        ``reconstruction_error``: squared error of the visible means given the first hidden layer's mean-field means,
        summed over pixels, mean over images.
        ``bound_gap``: mean variational bound of training images less that of validation images, in nats, in which
        log Z cancels; a growing gap shows overfitting.
        ``mean_field_change``: mean over images of the largest change of a mean in the last step of inference.
        ``weight_norm``: Frobenius norm of all weights.
    """
    dbm = DBM.of_layers(tied(layers))
    found = dbm.mean_field(train, **mean_field)
    reconstructed = dbm[0].mean(dbm.connection(1).visible_field(found.means[0]))
    metrics = {
        "reconstruction_error": F.mse_loss(reconstructed, train) * train.shape[1],
        "mean_field_change": found.change.mean(),
        "weight_norm": torch.stack([weight.norm() for weight in dbm.weights()]).norm(),
    }
    if validation is not None and len(validation):
        of_validation = bound(dbm, validation, dbm.mean_field(validation, **mean_field)).mean()
        metrics["bound_gap"] = bound(dbm, train, found).mean() - of_validation
    return {name: float(value) for name, value in metrics.items()}
