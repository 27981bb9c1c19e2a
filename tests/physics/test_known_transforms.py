"""Bodies whose transform is known in closed form, through the package's one FFT pair; odd and even sizes."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from friedel.bcdi.forward.bragg import voxel_transfer
from friedel.core.fourier import fourier, inverse_fourier

SHAPES = [(32, 36, 40), (33, 35, 39), (32, 35, 40)]
over_shapes = pytest.mark.parametrize("shape", SHAPES)
Shape = tuple[int, int, int]


def offsets(shape: Shape) -> list[NDArray[np.float64]]:
    return [axis.astype(float) for axis in np.meshgrid(*[np.arange(n) - n // 2 for n in shape], indexing="ij")]


def q_axes(shape: Shape) -> list[NDArray[np.float64]]:
    """Return q along each axis, radians per voxel."""
    return [2 * np.pi * axis / n for axis, n in zip(offsets(shape), shape, strict=True)]


def transform(obj: NDArray[np.generic]) -> NDArray[np.complex128]:
    return fourier(torch.from_numpy(np.asarray(obj, dtype=np.complex128))).numpy()


@over_shapes
def test_parseval_photons_are_kept(shape: Shape) -> None:
    rng = np.random.default_rng(0)
    obj = rng.normal(size=shape) + 1j * rng.normal(size=shape)
    assert np.sum(np.abs(transform(obj)) ** 2) == pytest.approx(np.sum(np.abs(obj) ** 2), rel=1e-12)


@over_shapes
def test_a_gaussian_stays_a_gaussian(shape: Shape) -> None:
    widths, centre = (1.6, 2.0, 2.4), (1.0, -2.0, 0.5)
    r = offsets(shape)
    exponent = sum(((x - c) / w) ** 2 for x, c, w in zip(r, centre, widths, strict=True))
    found = transform(np.exp(-exponent / 2))
    q = q_axes(shape)
    decay = sum((k * w) ** 2 for k, w in zip(q, widths, strict=True))
    phase = sum(k * c for k, c in zip(q, centre, strict=True))
    expected = (2 * np.pi) ** 1.5 * np.prod(widths) * np.exp(-decay / 2 - 1j * phase) / np.sqrt(np.prod(shape))
    np.testing.assert_allclose(found, expected, atol=2e-4 * np.abs(expected).max())


@over_shapes
def test_a_sphere_has_its_rings_where_theory_puts_them(shape: Shape) -> None:
    radius, fine = 7.3, 6
    ticks = (np.arange(fine) + 0.5) / fine - 0.5
    z, y, x = offsets(shape)
    share = np.zeros(shape)
    for dz, dy, dx in np.stack(np.meshgrid(ticks, ticks, ticks), axis=-1).reshape(-1, 3):
        share += (z + dz) ** 2 + (y + dy) ** 2 + (x + dx) ** 2 <= radius**2
    found = transform(share / fine**3) / voxel_transfer(shape)
    qr = radius * np.sqrt(sum(k**2 for k in q_axes(shape)))
    small = np.where(qr > 0, qr, 1.0)
    rings = np.where(qr > 0, 3 * (np.sin(small) - small * np.cos(small)) / small**3, 1.0)
    expected = 4 / 3 * np.pi * radius**3 * rings / np.sqrt(np.prod(shape))
    inner = qr < 12  # beyond, aliases of the sharp edge are no longer small against the rings
    np.testing.assert_allclose(found[inner].real, expected[inner], atol=2e-3 * expected.max())
    np.testing.assert_allclose(found[inner].imag, 0.0, atol=1e-10)


@over_shapes
def test_a_ramp_of_whole_voxels_moves_the_pattern(shape: Shape) -> None:
    rng = np.random.default_rng(1)
    obj = rng.normal(size=shape) + 1j * rng.normal(size=shape)
    m = (3, -2, 5)
    ramp = sum(k * x / n for k, x, n in zip(m, offsets(shape), shape, strict=True))
    moved = transform(obj * np.exp(2j * np.pi * ramp))
    np.testing.assert_allclose(moved, np.roll(transform(obj), m, axis=(0, 1, 2)), atol=1e-10)


@over_shapes
def test_a_fractional_ramp_moves_the_patterns_centre_of_mass(shape: Shape) -> None:
    body = np.exp(-sum((x / 2.2) ** 2 for x in offsets(shape)) / 2)
    m = (0.4, -1.25, 2.7)
    ramp = sum(k * x / n for k, x, n in zip(m, offsets(shape), shape, strict=True))
    intensity = np.abs(transform(body * np.exp(2j * np.pi * ramp))) ** 2
    centre = [float((intensity * x).sum() / intensity.sum()) for x in offsets(shape)]
    assert centre == pytest.approx(m, abs=1e-6)


@over_shapes
def test_moving_the_object_leaves_the_intensities_and_turns_the_phases(shape: Shape) -> None:
    rng = np.random.default_rng(2)
    obj = rng.normal(size=shape) + 1j * rng.normal(size=shape)
    s = (2, -3, 1)
    moved = transform(np.roll(obj, s, axis=(0, 1, 2)))
    phase = sum(k * x for k, x in zip(q_axes(shape), s, strict=True))
    np.testing.assert_allclose(moved, transform(obj) * np.exp(-1j * phase), atol=1e-10)


@over_shapes
def test_the_twin_has_the_same_intensities(shape: Shape) -> None:
    rng = np.random.default_rng(3)
    obj = rng.normal(size=shape) + 1j * rng.normal(size=shape)
    twin = np.roll(np.conj(obj[::-1, ::-1, ::-1]), [1 - n % 2 for n in shape], axis=(0, 1, 2))
    np.testing.assert_allclose(np.abs(transform(twin)), np.abs(transform(obj)), atol=1e-10)


@over_shapes
def test_the_pair_is_adjoint(shape: Shape) -> None:
    rng = np.random.default_rng(4)
    x, y = (torch.from_numpy(rng.normal(size=shape) + 1j * rng.normal(size=shape)) for _ in range(2))
    left, right = torch.vdot(fourier(x).ravel(), y.ravel()), torch.vdot(x.ravel(), inverse_fourier(y).ravel())
    torch.testing.assert_close(left, right, rtol=1e-10, atol=1e-10)
