"""Dropout by a kernel, in networks."""

import pytest
import torch

from dbn.random.device_noise import DeviceNoise
from finetune.networks.dropout import Dropout
from finetune.networks.network import Network
from helpers import Route
from reference_noise import uniform


@pytest.mark.parametrize("shape", [(50, 33), (3, 20, 7)], ids=str)
def test_units_are_dropped_by_the_reference_s_noise_and_so_are_gradients(
    shape: tuple[int, ...], kernels: Route
) -> None:
    from dbn.machine.kernels.philox import Philox

    members = shape[0] if len(shape) == 3 else 1
    dropout = Dropout(0.3)
    dropout.generator = Philox.seeded(range(members), kernels.device)
    x = torch.randn(shape, device=kernels.device, requires_grad=True)
    for call in range(2):
        kept = torch.stack([uniform(seed, call, x.numel() // members) for seed in range(members)]).view(shape) < 0.7
        kept = kept.to(kernels.device)
        dropped = dropout(x)
        assert torch.equal(dropped, torch.where(kept, x, 0.0))
        upstream = torch.randn_like(x)
        (gradient,) = torch.autograd.grad(dropped, x, upstream)
        assert torch.equal(gradient, torch.where(kept, upstream, 0.0))
    x.requires_grad_(False)
    assert not dropout(x).requires_grad


def test_layers_and_minibatches_have_masks_of_their_own(kernels: Route) -> None:
    """Through a network of two blocks whose layers change nothing: each call of each block drops other units."""
    network = Network.dense([400, 400, 400], activation="identity", dropout_input=0.5, dropout_hidden=0.5)
    with torch.no_grad():
        for layer in network.layers:
            layer.weight.copy_(torch.eye(400))
            layer.bias.zero_()
    network.to(kernels.device)
    noise = kernels.noise(1)
    assert isinstance(noise, DeviceNoise)
    network.use_noise_from(noise)
    outputs = [network(torch.ones(10, 400, device=kernels.device)) for _ in range(2)]
    for output in outputs:
        assert abs(output.mean().item() - 0.25) < 4 * (0.25 * 0.75 / 4000) ** 0.5  # kept by both
    assert noise.calls == 4
    both = (outputs[0] * outputs[1]).mean().item()
    assert abs(both - 1 / 16) < 4 * (1 / 16 * 15 / 16 / 4000) ** 0.5
