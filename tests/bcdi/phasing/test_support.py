"""Supports: the start from the autocorrelation, and shrink-wrap on objects whose outline is known."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from friedel.bcdi.forward.bragg import expected_intensities
from friedel.bcdi.phasing.iterations.measured import measured_from
from friedel.bcdi.phasing.iterations.support import (
    autocorrelation_support,
    bounding_box,
    bulk_amplitude,
    grown,
    interior,
    shrink_wrap,
    smooth,
)
from friedel.bcdi.records import Diffraction

SHAPES = [(32, 36, 40), (33, 35, 39)]


def offsets(shape: tuple[int, int, int]) -> list[Tensor]:
    return list(torch.meshgrid(*[torch.arange(n) - n // 2 for n in shape], indexing="ij"))


def ellipsoid(shape: tuple[int, int, int], radii: tuple[float, float, float]) -> Tensor:
    squared = [(axis / radius) ** 2 for axis, radius in zip(offsets(shape), radii, strict=True)]
    return (squared[0] + squared[1] + squared[2]) <= 1


@pytest.mark.parametrize("shape", SHAPES)
def test_half_the_autocorrelation_of_an_ellipsoid_is_the_ellipsoid(shape: tuple[int, int, int]) -> None:
    body = ellipsoid(shape, (5.5, 7.5, 6.5))
    pattern = expected_intensities(body.numpy().astype(np.complex64), n_photons=1e8)
    measured = measured_from(Diffraction(intensities=pattern, mask=np.ones(shape, dtype=bool)))
    start = autocorrelation_support(measured, level=1e-3)
    # Every voxel of the body but the outermost, and nothing beyond one voxel more.
    assert torch.all(start[ellipsoid(shape, (4.5, 6.5, 5.5))])
    assert not torch.any(start & ~ellipsoid(shape, (7.5, 9.5, 8.5)))
    assert torch.equal(start, ellipsoid_like(start))


def ellipsoid_like(support: Tensor) -> Tensor:
    """Return the support inverted through index n // 2: an autocorrelation's own symmetry."""
    shifts = [1 - n % 2 for n in support.shape]
    return torch.roll(torch.flip(support, (0, 1, 2)), shifts, (0, 1, 2))


@pytest.mark.parametrize("shape", SHAPES)
def test_wrapping_a_known_body_finds_it(shape: tuple[int, int, int]) -> None:
    body = ellipsoid(shape, (6, 8, 7))
    loose = ellipsoid(shape, (9, 11, 10))
    obj = torch.polar(7.0 * body.float(), 0.3 * offsets(shape)[0].float())[None]
    wrapped = shrink_wrap(obj, loose[None], threshold=0.5, sigma=0.6)[0]
    assert torch.all(wrapped[ellipsoid(shape, (5, 7, 6))])
    assert not torch.any(wrapped & ~ellipsoid(shape, (7, 9, 8)))
    assert abs(int(wrapped.sum()) / int(body.sum()) - 1) < 0.1


def test_without_smoothing_the_threshold_is_a_fraction_of_the_bulk() -> None:
    body = ellipsoid(SHAPES[0], (6, 8, 7))
    obj = (3.0 * body).to(torch.complex64)[None]
    obj[0, 16, 18, 20] = 300.0  # one hot voxel: a threshold tied to the maximum would lose the body
    assert bulk_amplitude(obj.abs(), body[None].float()).item() > 50
    obj[0, 16, 18, 20] = 6.0
    assert torch.equal(shrink_wrap(obj, body[None], threshold=0.5, sigma=0.0)[0], body)


def test_a_support_grows_by_no_more_than_the_margin() -> None:
    shape = SHAPES[0]
    everywhere = torch.ones((1, *shape), dtype=torch.complex64)
    small = ellipsoid(shape, (3, 3, 3))
    wrapped = shrink_wrap(everywhere, small[None], threshold=0.5, sigma=0.0)[0]
    box = bounding_box(small)
    assert torch.equal(wrapped.nonzero().amin(0), torch.tensor([s.start for s in box]))
    assert torch.equal(wrapped.nonzero().amax(0) + 1, torch.tensor([s.stop for s in box]))
    assert [s.stop - s.start for s in box] == [7 + 2 * 4] * 3


def test_an_empty_result_keeps_that_objects_support_and_no_other() -> None:
    shape = SHAPES[0]
    body, loose = ellipsoid(shape, (6, 8, 7)), ellipsoid(shape, (9, 9, 9))
    obj = torch.stack([body, body]).to(torch.complex64)
    thresholds = torch.tensor([10.0, 0.5]).reshape(2, 1, 1, 1)
    wrapped = shrink_wrap(obj, torch.stack([loose, loose]), threshold=thresholds, sigma=0.0)
    assert torch.equal(wrapped[0], loose)
    assert torch.equal(wrapped[1], body & wrapped[1])
    assert wrapped[1].any()


def test_each_object_can_have_its_own_threshold() -> None:
    shape = SHAPES[0]
    body = ellipsoid(shape, (6, 8, 7))
    cone = (body * (1 - ellipsoid_radius(shape) / 9)).to(torch.complex64)
    thresholds = torch.tensor([0.3, 0.6]).reshape(2, 1, 1, 1)
    wrapped = shrink_wrap(torch.stack([cone, cone]), torch.stack([body, body]), threshold=thresholds, sigma=0.5)
    alone = [shrink_wrap(cone[None], body[None], threshold=float(t), sigma=0.5)[0] for t in thresholds]
    assert torch.equal(wrapped, torch.stack(alone))
    assert wrapped[0].sum() > wrapped[1].sum() > 0


def ellipsoid_radius(shape: tuple[int, int, int]) -> Tensor:
    z, y, x = offsets(shape)
    return (z * z + y * y + x * x).float().sqrt()


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0])
def test_smoothing_is_a_gaussian_with_zeros_beyond_the_edges(sigma: float) -> None:
    values = torch.rand((2, 9, 11, 14), generator=torch.Generator().manual_seed(0))
    expected = [ndimage.gaussian_filter(v, sigma, mode="constant", truncate=12) for v in values.double().numpy()]
    np.testing.assert_allclose(smooth(values, sigma).numpy(), np.stack(expected), atol=2e-6)


def test_the_bounding_box_stops_at_the_edges_of_the_array() -> None:
    support = torch.zeros((2, 16, 16, 16), dtype=torch.bool)
    support[0, 1, 8, 8] = support[1, 8, 8, 15] = True
    assert bounding_box(support) == (slice(0, 13), slice(4, 13), slice(4, 16))


@pytest.mark.parametrize("sigma", [0.7, 1.0, 2.0, 3.0])
def test_smoothing_multiplies_no_subnormal_numbers(sigma: float) -> None:
    point = torch.zeros(64, 64, 64)
    point[0, 0, 0] = 1.0
    smoothed = smooth(point, sigma).double()
    along = smoothed[0, 0] / smoothed[0, 0, 0]
    tiny = torch.finfo(torch.float32).tiny
    assert not ((along > 0) & (along < tiny)).any()
    assert float(along[int(5 * sigma)]) > 0


@pytest.mark.parametrize("voxels", [1, 2])
def test_a_region_grows_by_a_cube_and_shrinks_to_what_has_all_its_neighbours(voxels: int) -> None:
    inside = torch.rand((2, 9, 8, 7), generator=torch.Generator().manual_seed(voxels)) < 0.1
    size = (1, *[2 * voxels + 1] * 3)
    cube = ndimage.maximum_filter(inside.numpy(), size, mode="constant")
    assert np.array_equal(grown(inside, voxels), cube)
    body = grown(inside, voxels)
    eroded = ndimage.binary_erosion(body.numpy(), np.ones((1, 3, 3, 3)), border_value=1)
    assert np.array_equal(interior(body), eroded)
