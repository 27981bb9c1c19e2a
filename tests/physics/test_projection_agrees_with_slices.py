"""Two ways to one pattern: Ewald slices by non-uniform transforms against projections and a plain FFT.

The reference below shares nothing with the package's slices: the particle is turned in real space, summed along the
beam and transformed on a regular grid, which holds at small angles (a flat Ewald sphere).
"""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import affine_transform, gaussian_filter
from scipy.spatial.transform import Rotation

from friedel.core.fourier import fourier
from friedel.core.units import wavelength_angstrom
from friedel.spi.forward.ewald import slices
from friedel.spi.forward.frames import ParticleRunOptions
from friedel.spi.particles.assemblies import assembly
from friedel.spi.particles.particle import Particle, particle

Floats = NDArray[np.float64]

# Voxels across a particle that its outline needs; the transform then reaches further out than the detector.
FINEST = 32


def _options(shape: tuple[int, int], centre: tuple[float, float] = (0.0, 0.0)) -> ParticleRunOptions:
    # Small angles: the sphere's curvature turns phases by less than a tenth of a radian over the particle.
    return ParticleRunOptions(
        frame_shape=shape, pixel_size_m=1.2e-3, distance_m=12.0, diameter_nm=200.0, centre_offset_px=centre
    )


@pytest.fixture(scope="module", params=["icosahedron", "torus", "chain"])
def species(request: pytest.FixtureRequest) -> Particle:
    make = assembly if request.param == "chain" else particle
    return make(request.param, rng=np.random.default_rng(2))


@pytest.mark.parametrize("shape", [(96, 96), (80, 96), (81, 95)])
@pytest.mark.parametrize("centre", [(0.0, 0.0), (3.3, -2.6)])
def test_both_give_the_same_amplitudes(species: Particle, shape: tuple[int, int], centre: tuple[float, float]) -> None:
    options, diameter = _options(shape, centre), 2000.0
    rotation = Rotation.random(random_state=5).as_matrix()
    projected = projected_amplitude(species, options, rotation, diameter, np.array(centre))
    q = options.geometry().q.reshape(-1, 3)
    sliced = slices(species, q, rotation[None].astype(np.float32), np.array([diameter], np.float32))[0].reshape(shape)
    assert np.linalg.norm(projected - sliced) < 0.04 * np.linalg.norm(sliced)
    assert np.corrcoef(np.abs(projected).ravel(), np.abs(sliced).ravel())[0, 1] > 0.999


def projected_amplitude(
    species: Particle, options: ParticleRunOptions, rotation: Floats, diameter: float, shift: Floats
) -> NDArray[np.complex128]:
    """Return Σ ρ exp(−i q·r) d³r of a turned particle on the detector, ``(y, x)`` complex128, Å³ × density.

    Parameters
    ----------
    species : Particle
        Its density; scaled to the diameter.
    options : ParticleRunOptions
        Beam and detector.
    rotation : (3, 3) float64
        Turns the particle, components (z, y, x).
    diameter : float
        Of its enclosing sphere, Å.
    shift : (2,) float64
        Where the direct beam stands from the frame's middle (y, x), pixels.
    """
    shape = options.frame_shape
    padding = _padding(options)
    voxel_yx = _detector_voxels(options) / padding
    turned, depth = _projection(species, rotation, diameter, voxel_yx)
    padded = [padding * n for n in shape]
    # q = 0 lies on a pixel of the transform, the beam between two of the frame's or wherever it has moved to.
    offset = np.array(shape) // 2 - (np.array(shape) / 2 - 0.5 + shift)
    canvas = np.zeros(padded, dtype=np.complex128)
    ramp = [
        np.exp(-2j * np.pi * o * (np.arange(m) - m // 2) / n)
        for o, m, n in zip(offset, turned.shape, padded, strict=True)
    ]
    window = tuple(slice(n // 2 - m // 2, n // 2 - m // 2 + m) for n, m in zip(padded, turned.shape, strict=True))
    canvas[window] = turned * ramp[0][:, None] * ramp[1]
    field = fourier(torch.from_numpy(canvas)[None])[0].numpy() * np.sqrt(canvas.size)
    middle = tuple(slice(n // 2 - m // 2, n // 2 - m // 2 + m) for n, m in zip(padded, shape, strict=True))
    return np.asarray(field[middle] * (voxel_yx[0] * voxel_yx[1] * depth))


def _detector_voxels(options: ParticleRunOptions) -> Floats:
    """Return the voxel's edges across the beam (y, x), Å, whose transform has just the detector's pixels."""
    wavelength = wavelength_angstrom(options.photon_energy_ev)
    return wavelength * options.distance_m / (np.array(options.frame_shape) * options.pixel_size_m)


def _padding(options: ParticleRunOptions) -> int:
    """Return how much finer voxels must be for the run's particles to have enough of them."""
    wanted = FINEST * float(_detector_voxels(options).max()) / (10 * options.diameter_nm)
    return int(np.clip(np.ceil(wanted), 2, 8))


def _projection(species: Particle, rotation: Floats, diameter: float, voxel_yx: Floats) -> tuple[Floats, float]:
    """Return the particle's density summed along the beam, ``(y, x)``, and the thickness of a layer, Å."""
    own = diameter / species.diameter_voxels
    steps = np.array([voxel_yx.min(), *voxel_yx])
    counts = np.maximum(np.ceil(1.1 * diameter / steps).astype(int) + 3, 4)
    matrix = rotation.T * steps / own
    offset = np.array(species.density.shape) // 2 - matrix @ (counts // 2)
    coarseness = float(steps.max() / own)
    density = gaussian_filter(species.density, 0.4 * coarseness) if coarseness > 1.2 else species.density
    turned = affine_transform(density, matrix, offset=offset, output_shape=tuple(counts), order=1)
    return np.asarray(turned.sum(axis=0, dtype=np.float64)), float(steps[0])
