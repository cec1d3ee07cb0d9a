"""Random orthogonal weights."""

import pytest
import torch

from dbn.errors import SettingError
from finetune.networks.initialise import Orthogonal
from finetune.networks.network import Network


@pytest.mark.parametrize("gain", [1.0, 2**0.5])
def test_rows_or_columns_are_orthogonal_and_of_the_gain_s_norm(gain: float) -> None:
    network = Network.dense([6, 9, 9, 4]).double()
    Orthogonal(gain)(network, seed=0)
    for layer in network.layers:
        weight = layer.weight if layer.out_features <= layer.in_features else layer.weight.T
        identity = torch.eye(len(weight), dtype=torch.float64)
        torch.testing.assert_close(weight @ weight.T, gain**2 * identity, rtol=0, atol=1e-12)
        assert (layer.bias == 0).all()


def test_every_seed_and_layer_has_weights_of_its_own_and_a_seed_always_the_same() -> None:
    def weights(seed: int) -> list[torch.Tensor]:
        network = Network.dense([5, 5, 5])
        Orthogonal()(network, seed)
        return [layer.weight.detach() for layer in network.layers]

    first, second = weights(0)
    assert not torch.allclose(first, second, atol=0.1)
    assert not torch.allclose(first, weights(1)[0], atol=0.1)
    assert torch.equal(first, weights(0)[0])


def test_they_are_drawn_evenly_from_all_orthogonal_matrices() -> None:
    """Under the Haar measure an entry has mean 0 and variance 1/n; a bare QR decomposition has signs of its own."""
    draws = []
    for seed in range(600):
        network = Network.dense([3, 3])
        Orthogonal()(network, seed)
        draws.append(network.layers[0].weight.detach())
    entries = torch.stack(draws).double()
    standard_error = (1 / 3 / 600) ** 0.5
    assert entries.mean(0).abs().max() < 4 * standard_error
    assert (entries.square().mean(0) - 1 / 3).abs().max() < 4 * (4 / 45 / 600) ** 0.5  # variance of z^2 on a sphere
    assert torch.linalg.det(entries).mean().abs() < 4 / 600**0.5


def test_a_gain_of_nothing_is_refused() -> None:
    with pytest.raises(SettingError, match=r"init\.gain"):
        Orthogonal(0.0)
