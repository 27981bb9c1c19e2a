"""A symmetry acts alike on objects and on their intensities, and can be undone."""

import torch

from friedel.bcdi.phasing.prediction.symmetry import SYMMETRIES
from friedel.core.fourier import fourier


def _cube():
    generator = torch.Generator().manual_seed(1)
    return torch.complex(torch.randn(8, 8, 8, generator=generator), torch.randn(8, 8, 8, generator=generator))


def test_the_pattern_of_a_turned_object_is_the_turned_pattern():
    obj = _cube()
    for symmetry in SYMMETRIES:
        seen = fourier(symmetry.apply(obj)).abs()
        assert torch.allclose(seen, symmetry.apply(fourier(obj).abs()), atol=1e-5)


def test_a_view_can_be_undone():
    obj = _cube()
    assert all(torch.equal(symmetry.undo(symmetry.apply(obj)), obj) for symmetry in SYMMETRIES)


def test_no_two_views_show_the_same_intensities():
    pattern = fourier(_cube()).abs()
    shown = [symmetry.apply(pattern) for symmetry in SYMMETRIES]
    assert torch.equal(shown[0], pattern)
    assert not any(torch.allclose(a, b) for k, a in enumerate(shown) for b in shown[:k])
