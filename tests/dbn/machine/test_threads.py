"""Threads: one for small products, all for large ones, and afterwards what a person had chosen."""

from collections.abc import Iterator

import pytest
import torch

from dbn import RBM
from dbn.data import Images
from dbn.machine.threads import SMALLEST_SHARED, threads_for
from dbn.models.units import Bernoulli
from dbn.pretraining import fit
from dbn.samplers import ContrastiveDivergence


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("multiplications", "threads"), [(SMALLEST_SHARED - 1, 1), (SMALLEST_SHARED, 3)])
def test_small_products_get_one_thread(multiplications: int, threads: int) -> None:
    found = []

    def stopped() -> None:
        with threads_for(multiplications):
            found.append(torch.get_num_threads())
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        stopped()
    assert found == [threads]
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize(("batch_size", "threads"), [(10, 1), (350, 3)])
def test_a_fit_chooses_by_its_largest_product(batch_size: int, threads: int) -> None:
    found = []

    class Watching(ContrastiveDivergence):
        def write_negative_states(self, *args: object, **kwargs: object) -> None:
            found.append(torch.get_num_threads())
            super().write_negative_states(*args, **kwargs)  # type: ignore[arg-type]

    rbm = RBM(Bernoulli(40), Bernoulli(50))
    fit(rbm, Images.from_features(torch.rand(350, 40)), epochs=1, batch_size=batch_size, sampler=Watching())
    assert set(found) == {threads}
    assert torch.get_num_threads() == 3
