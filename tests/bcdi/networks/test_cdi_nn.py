"""3D-CDI-NN: its published size, its ranges, and sides it can't take."""

import math

import pytest
import torch

from friedel.bcdi.networks.cdi_nn import CdiNN
from friedel.core.errors import PlanError
from friedel.core.networks import ModelCard, build_network, load_weights, save_weights


def _layers(network: torch.nn.Module) -> list[tuple[int, int]]:
    return [(m.in_channels, m.out_channels) for m in network.modules() if isinstance(m, torch.nn.Conv3d)]


def test_it_has_the_published_layers_and_parameters() -> None:
    network = CdiNN()
    assert sum(p.numel() for p in network.parameters()) == 3_459_938
    assert _layers(network.encoder) == [(1, 32), (32, 32), (32, 64), (64, 64), (64, 128), (128, 128)]
    decoder = [(128, 128), (128, 128), (128, 64), (64, 64), (64, 32), (32, 32), (32, 1)]
    assert _layers(network.shape) == _layers(network.phase) == decoder


def test_shape_and_phase_stay_in_their_ranges() -> None:
    network = CdiNN(dropout=0.0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(5)
        given = network(torch.rand(2, 1, 16, 24, 32))
    assert given.shape == (2, 2, 16, 24, 32)
    assert 0 <= float(given[:, 0].min()) < float(given[:, 0].max()) <= 1
    assert float(given[:, 1].abs().max()) <= math.pi + 1e-6


def test_dropout_acts_in_training_alone() -> None:
    network, amplitude = CdiNN(dropout=0.5), torch.rand(1, 1, 8, 8, 8)
    assert not torch.equal(network(amplitude), network(amplitude))
    network.eval()
    assert torch.equal(network(amplitude), network(amplitude))


def test_weights_come_back_channels_last(tmp_path) -> None:
    network = CdiNN().to(memory_format=torch.channels_last_3d)
    save_weights(tmp_path / "model", network, ModelCard(name="n", architecture="cdi_nn"))
    loaded, _ = load_weights(tmp_path)
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in loaded.state_dict().items())


def test_what_it_can_not_take_is_told() -> None:
    with pytest.raises(PlanError, match="multiples of 8"):
        CdiNN()(torch.rand(1, 1, 12, 16, 16))
    with pytest.raises(PlanError, match=r"dropout is from 0 to below 1, got 1\.0"):
        build_network("cdi_nn", {"dropout": 1.0})
