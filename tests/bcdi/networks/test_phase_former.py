"""The reciprocal-space network with attention: its phasors, its grid, its size, and what it refuses."""

import pytest
import torch

from friedel.bcdi.networks.phase_former import PhaseFormer, _folded, _unfolded
from friedel.core.errors import PlanError
from friedel.core.networks import build_network


def _small() -> PhaseFormer:
    torch.manual_seed(1)
    return PhaseFormer((4, 8), layers=1, heads=2, size=16).eval()


def test_it_gives_a_phasor_of_length_one_everywhere() -> None:
    with torch.no_grad():
        given = _small()(torch.rand(2, 1, 16, 16, 16))
    assert given.shape == (2, 2, 16, 16, 16)
    assert torch.allclose(given.square().sum(1), torch.ones(2, 16, 16, 16), atol=1e-5)


def test_folding_a_grid_into_cells_loses_and_moves_nothing() -> None:
    grid = torch.rand(2, 1, 8, 8, 8)
    both = _folded(torch.cat([grid, -grid]).reshape(4, 1, 8, 8, 8))
    back = _unfolded(torch.cat([both[:2], both[2:]], dim=1))
    assert torch.equal(back[:, 0], grid[:, 0])
    assert torch.equal(back[:, 1], -grid[:, 0])


def test_every_place_depends_on_every_other() -> None:
    network, amplitude = _small(), torch.rand(1, 1, 16, 16, 16)
    other = amplitude.clone()
    other[0, 0, 15, 15, 15] = 0.0
    with torch.no_grad():
        change = (network(amplitude) - network(other)).abs()
    assert float(change[0, :, 0, 0, 0].max()) > 0


def test_the_default_fits_the_weights_budget() -> None:
    assert sum(p.numel() for p in PhaseFormer().parameters()) == pytest.approx(3_300_000, rel=0.01)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"widths": [16, 30], "heads": 4}, "multiple of heads"),
        ({"widths": []}, "widths and layers of at least 1"),
        ({"size": 20}, "needs a multiple of 8, got 20"),
    ],
)
def test_what_it_can_not_be_is_told(options, said) -> None:
    with pytest.raises(PlanError, match=said):
        build_network("phase_former", options)


def test_another_grid_is_refused() -> None:
    with pytest.raises(PlanError, match="16³"):
        _small()(torch.rand(1, 1, 32, 32, 32))
