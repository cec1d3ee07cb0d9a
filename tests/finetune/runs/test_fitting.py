"""What a network's fit says at the end of its epochs, and that it stops at values that are not finite."""

import csv
from collections import defaultdict
from typing import Any

import pytest
import torch

from dbn import RBM
from dbn.errors import DivergenceError
from dbn.models.units import Bernoulli
from finetune.networks.network import Network
from finetune.runs.network_run import finetune, finetune_seeds, finetuning_directory
from finetune.tasks import Classifier
from helpers import Composer

SMALL = ["arm=random_relu_dropout", "stack.layers=[9]", "training.epochs=3"]


@pytest.mark.parametrize("n", [1, 2])
def test_the_training_loss_is_the_mean_over_the_epoch_s_images(
    n: int, compose: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[int, list[torch.Tensor]] = defaultdict(list)
    losses = Classifier.losses

    def watched(self: Classifier, outputs: torch.Tensor, batch: Any) -> torch.Tensor:
        found = losses(self, outputs, batch)
        seen[self.current_epoch].append(found.detach().reshape(n, -1))
        return found

    monkeypatch.setattr(Classifier, "losses", watched)
    config = compose("finetune", [*SMALL, f"n_parallel_seeds={n}"])
    finetune_seeds(config)
    assert sorted(seen) == [0, 1, 2]
    means = [torch.cat(seen[epoch], 1).mean(1).tolist() for epoch in range(3)]
    for seed in range(n):
        with (finetuning_directory({**config, "seed": seed}) / "metrics.csv").open() as file:
            written = [float(row["train/loss"]) for row in csv.DictReader(file)]
        assert written == pytest.approx([mean[seed] for mean in means], rel=1e-5)


def test_a_network_that_blows_up_stops_with_epoch_and_cure(compose: Composer) -> None:
    with pytest.raises(DivergenceError, match=r"Fine-tuning diverged in epoch 1: .*training\.learning_rate"):
        finetune(compose("finetune", [*SMALL, "training.learning_rate=1e18"]))


def test_what_is_printed_says_how_many_units_and_how_much_dropout() -> None:
    assert "Dropout(0.25)" in str(Network.dense([4, 3, 2], dropout_hidden=0.25))
    assert "(visible): Bernoulli(7)" in str(RBM(Bernoulli(7), Bernoulli(3)))
