"""From coarse to fine: the pattern's centre is the same object at lower resolution, and lifting adds nothing."""

import pytest
import torch

from friedel.bcdi.phasing.iterations.iterate import chi_of
from friedel.bcdi.phasing.iterations.measured import measured_from
from friedel.bcdi.phasing.iterations.multiscale import (
    between,
    central_part,
    compact_shape,
    fast_size,
    lift,
    lift_support,
    limited_shape,
    lower,
    start_shape,
    windowed,
)
from friedel.core.fourier import fourier, fourier_corner

PAIRS = [((16, 18, 20), (24, 26, 30)), ((15, 17, 16), (23, 24, 25)), ((16, 15, 16), (16, 31, 17))]


def chance(shape: tuple[int, int, int]) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("coarse", "fine"), PAIRS)
def test_lifting_and_lowering_undo_each_other_and_keep_the_photons(coarse, fine) -> None:
    obj = chance(coarse)
    lifted = lift(obj, fine)
    assert lifted.shape == fine
    torch.testing.assert_close(lower(lifted, coarse), obj, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(lifted.abs().square().sum(), obj.abs().square().sum(), rtol=1e-4, atol=0)


def test_a_lifted_point_stays_at_the_centre() -> None:
    obj = torch.zeros((16, 15, 16), dtype=torch.complex64)
    obj[8, 7, 8] = 1.0
    lifted = lift(obj, (24, 25, 26)).abs()
    assert torch.equal((lifted == lifted.max()).nonzero()[0], torch.tensor([12, 12, 13]))


@pytest.mark.parametrize("batch", [(), (2,)])
def test_a_lifted_support_covers_the_same_place(batch: tuple[int, ...]) -> None:
    support = torch.zeros((*batch, 16, 16, 16), dtype=torch.bool)
    support[..., 6:11, 6:11, 7:9] = True
    lifted = lift_support(support, (32, 32, 32))
    assert lifted.shape == (*batch, 32, 32, 32)
    assert lifted.sum().item() == pytest.approx(8 * support.sum().item(), rel=0.35)
    places = lifted.nonzero()[:, -3:].double().mean(0) - 16
    expected = 2 * (support.nonzero()[:, -3:].double().mean(0) - 8)
    assert torch.all((places - expected).abs() <= 0.5)


def test_the_central_part_is_the_lowered_objects_pattern(truth) -> None:
    shape = (16, 16, 17)
    measured = measured_from(truth.diffraction, held_out_fraction=0.1, seed=1)
    part = central_part(measured, shape)
    lowered = lower(truth.obj[0], shape)
    modulus = fourier_corner(lowered).abs()
    torch.testing.assert_close(modulus * part.fitted, part.amplitude, rtol=1e-3, atol=0.05)
    assert chi_of(lowered[None], part).item() < 1e-3
    assert part.held_out is not None
    assert not torch.any(part.held_out.bool() & part.fitted.bool())
    assert fourier(lowered).abs().argmax() == modulus_peak(shape)


def modulus_peak(shape: tuple[int, int, int]) -> torch.Tensor:
    z, y, x = (n // 2 for n in shape)
    return torch.tensor((z * shape[1] + y) * shape[2] + x)


def test_only_long_axes_are_limited() -> None:
    assert limited_shape((64, 50, 180), 64) == (64, 50, 64)


def test_the_start_is_just_fine_enough_for_the_object() -> None:
    assert start_shape((64, 64, 64), 700, 800) == (64, 64, 64)
    assert start_shape((64, 48, 64), 6400, 800) == (32, 24, 32)
    assert start_shape((64, 20, 64), 500_000, 800) == (16, 16, 16)


def test_grids_are_sizes_that_an_ffts_like():
    assert [fast_size(n) for n in (31, 32.5, 45.3, 97)] == [32, 36, 48, 100]
    assert between((32, 32, 32), (64, 64, 64)) == [(48, 48, 48)]
    assert between((40, 40, 40), (64, 64, 64)) == []
    assert all(len(set(shape)) == 1 for shape in between((32, 32, 32), (128, 128, 128)))


def test_a_spread_peak_asks_for_a_finer_grid(truth):
    measured, least = truth.measured, (12, 12, 12)
    assert compact_shape(measured, least, outside=1.0) == least
    assert compact_shape(measured, least, outside=0.0) == measured.shape
    sizes = [compact_shape(measured, least, outside=share)[0] for share in (0.2, 0.02, 0.002)]
    assert sizes == sorted(sizes)


def test_a_window_leaves_the_middle_and_softens_the_rim(truth):
    measured = truth.measured
    assert windowed(measured, 1.0) is measured
    ratio = windowed(measured, 0.3).amplitude / measured.amplitude.clamp_min(1e-12)
    assert ratio[0, 0, 0] == pytest.approx(1.0, abs=1e-3)
    assert ratio[measured.shape[0] // 2, 0, 0] < 0.35
