"""The reciprocal-space network: phasors of length one, its size, and what it refuses."""

import pytest
import torch

from friedel.bcdi.networks.phase_unet import PhaseUNet, exact_where_tiny
from friedel.core.errors import PlanError
from friedel.core.networks import build_network


def test_it_gives_a_phasor_of_length_one_everywhere() -> None:
    given = PhaseUNet(4, levels=2)(torch.rand(2, 1, 8, 12, 16))
    assert given.shape == (2, 2, 8, 12, 16)
    assert torch.allclose(given.square().sum(1), torch.ones(2, 8, 12, 16), atol=1e-5)


def test_weak_fringes_reach_the_network() -> None:
    torch.manual_seed(1)
    network = PhaseUNet(4, levels=1).eval()
    amplitude = torch.zeros(1, 1, 8, 8, 8)
    amplitude[0, 0, 4, 4, 4] = 1.0
    with_fringe = amplitude.clone()
    with_fringe[0, 0, 1, 1, 1] = 1e-3
    with torch.no_grad():
        assert float((network(amplitude) - network(with_fringe)).abs().max()) > 1e-4


def test_the_default_fits_the_weights_budget() -> None:
    assert sum(p.numel() for p in PhaseUNet().parameters()) == pytest.approx(1_400_000, rel=0.01)


def test_what_it_can_not_take_is_told() -> None:
    with pytest.raises(PlanError, match="multiples of 4"):
        PhaseUNet(4, levels=2)(torch.rand(1, 1, 6, 8, 8))
    with pytest.raises(PlanError, match="at least 1, got 0, 3, 1"):
        build_network("phase_unet", {"width": 0})


@pytest.mark.parametrize(("side", "closeness"), [(2, 1e-5), (4, 0.02)])
def test_gradients_of_the_coarsest_maps_are_right_in_bf16(side: int, closeness: float) -> None:
    torch.manual_seed(1)
    layer = torch.nn.Conv3d(64, 64, 3, padding=1).to(memory_format=torch.channels_last_3d)
    seen = torch.rand(4, 64, side, side, side)

    def gradient(*, bf16: bool) -> torch.Tensor:
        layer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            given = exact_where_tiny(layer, seen)
        given.float().square().mean().backward()
        return layer.weight.grad.clone()

    exact = gradient(bf16=False)
    assert float((gradient(bf16=True) - exact).norm() / exact.norm()) < closeness
