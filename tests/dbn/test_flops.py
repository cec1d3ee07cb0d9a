"""Operations counted against torch's own counter."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from dbn import RBM, flops
from dbn.samplers import ContrastiveDivergence, PersistentContrastiveDivergence, Sampler
from dbn.training import ContrastiveStep
from dbn.units import Bernoulli
from finetune.network import Network


@pytest.mark.parametrize(
    "sampler", [ContrastiveDivergence(1), ContrastiveDivergence(3), PersistentContrastiveDivergence(2)]
)
def test_a_step_of_contrastive_divergence(sampler: Sampler) -> None:
    rbm = RBM(Bernoulli(30), Bernoulli(20))
    step, optimizer = ContrastiveStep(rbm, sampler), torch.optim.SGD(rbm.parameters(), lr=0.1)
    step(torch.rand(50, 30), optimizer)  # persistent chains have started
    with FlopCounterMode(display=False) as counter:
        step(torch.rand(50, 30), optimizer)
    assert counter.get_total_flops() == 50 * flops.contrastive_divergence(30, 20, sampler.products)


@pytest.mark.parametrize("sizes", [[30, 10], [30, 20, 15, 10]])
def test_a_step_of_backpropagation(sizes: list[int]) -> None:
    network = Network(sizes)
    with FlopCounterMode(display=False) as counter:
        network(torch.rand(50, 30)).sum().backward()
    assert counter.get_total_flops() == 50 * flops.backpropagation(sizes)
