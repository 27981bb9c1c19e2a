"""A folded network gives what it gave before."""

import torch

from friedel.bcdi.networks.phase_former import PhaseFormer
from friedel.core.networks import folded


def test_the_same_comes_out_without_normalisations() -> None:
    torch.manual_seed(1)
    network = PhaseFormer((4, 8), layers=1, heads=2, size=16)
    amplitude = torch.rand(4, 1, 16, 16, 16)
    with torch.no_grad():
        network(amplitude)  # moves the statistics from where they begin
        network.eval()
        quick = folded(network)
        assert torch.allclose(quick(amplitude), network(amplitude), atol=1e-4)
    assert not any(isinstance(part, torch.nn.BatchNorm3d) for part in quick.modules())
    assert any(isinstance(part, torch.nn.BatchNorm3d) for part in network.modules())
