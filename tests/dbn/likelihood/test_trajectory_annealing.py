"""Log Z tracked along training against enumeration of the trained model."""

import pytest
import torch
from pytorch_lightning import Callback

from dbn import RBM, Bernoulli
from dbn.data import digits, load_data
from dbn.errors import SettingError
from dbn.likelihood import TrajectoryAnnealing, log_partition_function
from dbn.models.units import ReLU
from dbn.pretraining import fit
from helpers import NORMALISED, log_z, make_rbm


def test_of_an_rbm_while_it_is_fitted() -> None:
    """Within five standard errors, at the end of every epoch."""
    train = load_data(digits()).train.features().round()
    rbm = RBM(Bernoulli(64), Bernoulli(8), weight_std=0.01, generator=torch.Generator().manual_seed(0))
    rbm.visible.initialise_bias(train.mean(0))
    track = TrajectoryAnnealing(rbm, 400, torch.Generator().manual_seed(1))
    found = []

    class Tracked(Callback):
        def on_train_batch_end(self, *_: object) -> None:
            track.update(rbm, steps=5)

        def on_train_epoch_end(self, *_: object) -> None:
            found.append((track.estimate, float(log_partition_function(rbm))))

    fit(rbm, train, epochs=8, learning_rate=0.003, batch_size=20, callbacks=Tracked())
    assert len(found) == 8
    assert abs(found[-1][1] - found[0][1]) > 0.1
    for estimate, exact in found:
        assert abs(estimate.value - exact) < 5 * (estimate.high - estimate.low) / (2 * 1.96) < 0.05


@pytest.mark.parametrize(("visible", "hidden"), NORMALISED)
@torch.no_grad()
def test_of_every_pair_of_units(visible: str, hidden: str) -> None:
    """From small weights to the model's in a hundred steps, in place of training."""
    rbm = make_rbm(visible, hidden, 5, 4)
    final = rbm.weight.clone()
    rbm.weight.mul_(0.01)
    track = TrajectoryAnnealing(rbm, 2000, torch.Generator().manual_seed(0))
    for step in range(1, 101):
        rbm.weight.copy_(final * step / 100)
        track.update(rbm)
    estimate = track.estimate
    assert abs(estimate.value - float(log_z(rbm))) < 5 * (estimate.high - estimate.low) / (2 * 1.96) < 0.1


def test_what_cannot_be_tracked_is_refused() -> None:
    with pytest.raises(SettingError, match="no likelihood"):
        TrajectoryAnnealing(RBM(Bernoulli(3), ReLU(2)))
    with pytest.raises(SettingError, match="chains=0"):
        TrajectoryAnnealing(RBM(Bernoulli(3), Bernoulli(2)), 0)
