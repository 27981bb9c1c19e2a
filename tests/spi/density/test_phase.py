import numpy as np
import pytest
from scipy import ndimage

from friedel.core.errors import InputError
from friedel.spi.density.phase import PhaseOptions, autocorrelation_diameter, phase_intensity


def body(n: int) -> np.ndarray:
    rng = np.random.default_rng(3)
    density = np.zeros((n, n, n))
    for place in rng.integers(n // 2 - 3, n // 2 + 4, (9, 3)):
        density[tuple(place)] += rng.uniform(0.5, 1.5)
    return ndimage.gaussian_filter(density, 0.9)


def test_a_density_comes_back_from_its_intensity_with_a_hole():
    n = 35
    density = body(n)
    amplitude = np.abs(np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(density))))
    axis = np.arange(n) - n // 2
    radius = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)
    measured = (radius > 1.5) & (radius < 17.5)
    found = phase_intensity(
        (amplitude**2).astype(np.float32), measured, diameter=11.0, options=PhaseOptions(starts=4), voxel=0.01
    )
    m = found.density.shape[0]
    part = slice(n // 2 - m // 2, n // 2 + m // 2 + 1)
    truth = density[part, part, part]
    likeness = []
    for candidate in (found.density, found.density[::-1, ::-1, ::-1]):
        product = np.fft.fftn(truth) * np.fft.fftn(candidate).conj()
        norm = np.linalg.norm(truth) * np.linalg.norm(candidate)
        likeness.append(np.fft.ifftn(product).real.max() / norm)
    assert max(likeness) > 0.9
    assert found.voxel == pytest.approx(1 / (n * 0.01))
    assert found.misfit < 0.2


def test_the_diameter_is_read_from_the_autocorrelation():
    n = 35
    intensity = np.abs(np.fft.fftshift(np.fft.fftn(body(n)))) ** 2
    assert 8 < autocorrelation_diameter(intensity.astype(np.float32)) < 20


def test_an_object_too_large_for_its_grid_is_refused():
    with pytest.raises(InputError, match="sampled"):
        phase_intensity(np.ones((21, 21, 21), np.float32), np.ones((21, 21, 21), bool), diameter=15.0)
