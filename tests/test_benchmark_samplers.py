"""benchmarks/samplers.py trains what dbn-pretrain would train: composed settings are those of the table in docs."""

import importlib.util

import pytest
import torch

from dbn import RBM, Bernoulli
from dbn.commands.configuration import config_directory
from dbn.pretraining import fit
from dbn.random.streams import stream
from dbn.samplers import (
    ContrastiveDivergence,
    FastPersistentContrastiveDivergence,
    ParallelTempering,
    PersistentContrastiveDivergence,
    Sampler,
    TrajectoryTempering,
)

SPEC = importlib.util.spec_from_file_location(
    "benchmark_samplers", config_directory().parent / "benchmarks" / "samplers.py"
)
assert SPEC is not None
assert SPEC.loader is not None
samplers = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(samplers)
EXPECTED: dict[str, Sampler] = {
    "CD-1": ContrastiveDivergence(),
    "CD-10": ContrastiveDivergence(10),
    "PCD-1": PersistentContrastiveDivergence(),
    "PCD-5": PersistentContrastiveDivergence(5),
    "FPCD": FastPersistentContrastiveDivergence(),
    "PT, 10 temperatures": ParallelTempering(),
    "PTT, 4 models": TrajectoryTempering(models=4),
}


@pytest.mark.parametrize("name", list(samplers.SAMPLERS))
def test_it_is_the_rbm_of_the_table_in_docs(name: str) -> None:
    """Bit for bit, on a few images: docs/samplers.md says what its figures are of."""
    images = torch.rand(200, 20, generator=torch.Generator().manual_seed(0)).round()
    trained = samplers.train(images, samplers.composed(name), 2, 0, None)
    rbm = RBM(Bernoulli(20), Bernoulli(500), weight_std=0.01, generator=stream(0, "init"))
    fit(
        rbm, images, epochs=2, seed=0, sampler=EXPECTED[name], learning_rate=0.05, final_learning_rate=0, momentum=0,
        initial_momentum_epochs=0, weight_cost=0, batch_size=100, bias_from_data=True, gradient="centered",
    )  # fmt: skip
    assert torch.equal(trained.weight, rbm.weight)
    assert torch.equal(trained.visible.bias, rbm.visible.bias)
