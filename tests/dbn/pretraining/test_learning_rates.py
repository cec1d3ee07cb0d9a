"""Learning rates that fall while a layer trains, as the optimiser is given them in fits."""

from typing import Any

import pytest
import torch

from dbn import RBM, Bernoulli
from dbn.data import DataSet, digits, load_data
from dbn.errors import SettingError
from dbn.pretraining import LayerSettings, RBMPretraining, UpDownPretraining, fit, pretrain_stack
from dbn.random.streams import stream


class Recorder(torch.optim.SGD):
    """Notes the rate of every step."""

    rates: list[float]

    def step(self, closure: Any = None) -> Any:
        self.rates += [group["lr"] for group in self.param_groups[:1]]
        assert len({group["lr"] for group in self.param_groups}) == 1, "weights and biases learn at one rate"
        return super().step(closure)


@pytest.fixture(scope="module")
def data() -> DataSet:
    return load_data(digits())


@pytest.mark.parametrize("final", [None, 0.0, 0.02, 0.2])
def test_the_rate_moves_in_equal_steps_in_every_layer(
    final: float | None, data: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Recorder, "rates", [], raising=False)
    layers = [LayerSettings(n_hidden=8, epochs=4, learning_rate=0.1, final_learning_rate=final)] * 2
    pretrain_stack(data, layers, optimizer=Recorder, progress=False)
    per_epoch = len(Recorder.rates) // 8
    found = [Recorder.rates[n * per_epoch : (n + 1) * per_epoch] for n in range(8)]
    end = 0.1 if final is None else final
    expected = [0.1 + (end - 0.1) * epoch / 4 for epoch in range(4)] * 2
    assert all(len(set(rates)) == 1 for rates in found)
    assert [rates[0] for rates in found] == pytest.approx(expected)


def test_a_rate_that_falls_to_where_it_is_changes_no_bit() -> None:
    v = torch.rand(60, 9, generator=stream(0, "images")).round()

    def trained(**settings: Any) -> torch.Tensor:
        rbm = RBM(Bernoulli(9), Bernoulli(5), generator=stream(0, "init"))
        return fit(rbm, v, epochs=3, learning_rate=0.1, batch_size=20, **settings).weight.detach()

    assert torch.equal(trained(final_learning_rate=0.1), trained())
    assert not torch.equal(trained(final_learning_rate=0), trained())


def test_a_negative_rate_is_refused() -> None:
    with pytest.raises(SettingError, match="final_learning_rate=-1"):
        LayerSettings(n_hidden=8, final_learning_rate=-1)


def test_the_rate_of_greedy_learning_falls_in_greedy_learning_alone() -> None:
    layers = [LayerSettings(n_hidden=8, final_learning_rate=0)] * 2
    after = UpDownPretraining(RBMPretraining(), learning_rate=0.03).settings_of(layers)
    assert [own.learning_rate_at(epoch) for own in after for epoch in (0, 29)] == [0.03] * 4
    with pytest.raises(SettingError, match=r"final_learning_rate=0: .*Use final_learning_rate=null"):
        UpDownPretraining(None).settings_of(layers)
