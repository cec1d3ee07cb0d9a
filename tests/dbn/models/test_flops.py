"""Operations counted against torch's own counter."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from dbn import RBM
from dbn.data.from_config import data_of
from dbn.fitting.trainer import fit_resumably
from dbn.machine.products import onednn_is_faster
from dbn.models import flops
from dbn.models.units import Bernoulli
from dbn.pretraining.contrastive import ContrastiveStep
from dbn.pretraining.stack_run import pretrain
from dbn.samplers import (
    ContrastiveDivergence,
    FastPersistentContrastiveDivergence,
    HiddenChains,
    ParallelTempering,
    PersistentContrastiveDivergence,
    Sampler,
    TrajectoryTempering,
)
from finetune.networks.network import Network
from finetune.runs.network_run import finetune
from helpers import Composer


@pytest.mark.parametrize(
    "sampler",
    [
        ContrastiveDivergence(1),
        ContrastiveDivergence(3),
        PersistentContrastiveDivergence(2),
        HiddenChains(1),
        HiddenChains(3),
        FastPersistentContrastiveDivergence(2),
        ParallelTempering(2, temperatures=3),
        PersistentContrastiveDivergence(2, chains=25),
        ParallelTempering(1, chains=75, temperatures=2),
        TrajectoryTempering(2, models=3),
        TrajectoryTempering(1, chains=75, models=1),
    ],
)
def test_a_step_of_contrastive_divergence(sampler: Sampler) -> None:
    rbm = RBM(Bernoulli(30), Bernoulli(20))
    step, optimizer = ContrastiveStep(rbm, sampler), torch.optim.SGD(rbm.parameters(), lr=0.1)
    step(torch.rand(50, 30), optimizer)  # persistent chains have started
    with FlopCounterMode(display=False) as counter:
        step(torch.rand(50, 30), optimizer)
    assert counter.get_total_flops() == 50 * flops.contrastive_divergence(
        30 * 20, sampler.products, (sampler.n_chains or 50) / 50
    )


@pytest.mark.parametrize("sizes", [[30, 10], [30, 20, 15, 10], [30, 20, 8, 20, 30]])
def test_a_step_of_backpropagation(sizes: list[int]) -> None:
    """Of a classifier, and of an autoencoder with a code of 8."""
    network = Network.dense(sizes)
    with FlopCounterMode(display=False) as counter:
        network(torch.rand(50, 30)).sum().backward()
    assert counter.get_total_flops() == 50 * flops.backpropagation(network.operations)


@pytest.mark.parametrize("learning", [1, 2, 3])
def test_a_step_in_which_only_the_upper_layers_learn(learning: int) -> None:
    sizes = [30, 20, 15, 10]
    network = Network.dense(sizes)
    for layer in network.layers[: 3 - learning]:
        layer.requires_grad_(False)
    with FlopCounterMode(display=False) as counter:
        network(torch.rand(50, 30)).sum().backward()
    assert counter.get_total_flops() == 50 * flops.backpropagation(network.operations, learning)


def counted(fit: Callable[[], object]) -> int:
    """Operations that torch counts in a fit whose Trainer sees no validation images."""
    onednn_is_faster()  # multiplies once in a process
    with FlopCounterMode(display=False) as counter:
        fit()
    return int(counter.get_total_flops())


def test_fine_tuning_counts_its_phases_apart(compose: Composer) -> None:
    """Three epochs, in the first two of which the output layer alone learns, against torch's counter over the fit.

    Outside of the fit, which the counter covers, nothing is counted; there are no validation images to look at.
    """
    small = ["stack.layers=[20,12]", "arm=random_relu", "data.validation=0", "training.weights=last"]
    config = compose("finetune", [*small, "training.epochs=3", "training.head_epochs=2", "training.batch_size=50"])
    found = []

    def fit_and_count(*arguments: Any) -> None:
        found.append(counted(lambda: fit_resumably(*arguments)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("finetune.runs.fit_module.fit_resumably", fit_and_count)
        result = finetune(config)
    assert result["flops"]["fine_tuning"] == found[0]
    assert result["epochs"] == 3


@pytest.mark.parametrize("representations", ["memory", "compute"])
@pytest.mark.parametrize("augment", ["none", "affine"])
def test_pretraining_counts_the_way_up(representations: str, augment: str, compose: Composer) -> None:
    """Against torch's counter over everything that pretraining does, less what watches it, which is taken out."""
    overrides = [
        "stack.layers=[20,12]", "stack.every_layer.epochs=3", "data.validation=0",
        f"data.representations={representations}", f"augment@stack.augment={augment}",
    ]  # fmt: skip
    config = compose("pretrain", overrides)
    n = len(data_of(config).train)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dbn.pretraining.greedy.MONITORED_IMAGES", 0)
        patch.setattr("dbn.pretraining.layer_training.LayerTraining.look_for_signs", lambda *_, **__: None)
        patch.setattr("dbn.pretraining.contrastive.rbm_metrics", lambda *_: {"nothing": 0.0})
        patch.setattr("dbn.pretraining.stack_run.pictures_of_stack", lambda *_: {})
        patch.setattr("dbn.pretraining.stack_run.sheets", lambda _: {})
        results: list[dict[str, Any]] = []
        found = counted(lambda: results.append(pretrain(config)))
    assert results[0]["flops"] == found
    assert results[0]["flops"] > n * 3 * 10 * (64 * 20 + 20 * 12)
