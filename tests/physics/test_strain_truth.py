"""A crystal of known displacement on a skewed detector frame: displacement and strain within 2 %, sign right."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from friedel.bcdi.crystals.lattice import gold_crystal
from friedel.bcdi.forward.scan import PERFECT, SimulatedScan, gold_111_geometry, simulate_scan
from friedel.bcdi.records import CrystalImage, Provenance, Quality, Reconstruction
from friedel.bcdi.strain.analysis import analyse
from friedel.bcdi.strain.options import StrainOptions
from friedel.bcdi.strain.regrid import CubicGrid
from friedel.core.fourier import fourier, inverse_fourier

SHAPE = (72, 96, 96)


@pytest.fixture(scope="module", params=["substrate", "surface", "smooth"])
def simulated(request: pytest.FixtureRequest) -> SimulatedScan:
    geometry = gold_111_geometry(SHAPE)
    crystal = gold_crystal(
        geometry.grid.q_bragg, seed=4, diameter_angstrom=3400.0, phase_range_rad=5.0, strain_family=request.param
    )
    return simulate_scan(crystal, geometry, n_photons=5e7, seed=0, imperfections=PERFECT)


def solved(simulated: SimulatedScan, psi: np.ndarray) -> Reconstruction:
    quality = Quality(
        chi=0.0, support_voxels=1, support_fraction=0.1, support_threshold=0.1, n_starts=1, n_agreeing=1,
        isosurface_level=0.5, trusted=True, reasons=(),
    )  # fmt: skip
    provenance = Provenance(plan={}, seed=0, versions={}, source="test", started="", seconds=0.0)
    grid = simulated.geometry.grid
    psi = psi.astype(np.complex64)
    return Reconstruction(object=psi, support=np.abs(psi) > 0, quality=quality, provenance=provenance, grid=grid)


def truth(simulated: SimulatedScan, image: CrystalImage) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the bulk of the image, and the true displacement and strain there."""
    bulk = ndimage.binary_erosion(image.support, iterations=2)
    where = CubicGrid(shape=image.object.shape, voxel_size=image.voxel_size_angstrom).positions()[bulk]
    h = simulated.geometry.grid.q_bragg
    return bulk, simulated.crystal.displacement(where) @ h / np.linalg.norm(h), simulated.crystal.strain(where, h)


def relative(found: np.ndarray, true: np.ndarray) -> float:
    return float(np.linalg.norm(found - true) / np.linalg.norm(true))


def test_displacement_and_strain_of_the_true_object(simulated: SimulatedScan) -> None:
    psi = simulated.object(simulated.geometry.grid, SHAPE)
    image = analyse(solved(simulated, psi), StrainOptions(remove_ramp=False))
    bulk, u, strain = truth(simulated, image)
    assert bulk.sum() > 4000
    found = image.displacement_angstrom[bulk]
    assert relative(found - found.mean(), u - u.mean()) < 0.02
    assert relative(image.strain[bulk], strain) < 0.02
    assert np.corrcoef(image.strain[bulk], strain)[0, 1] > 0.999
    assert image.d_spacing_angstrom[bulk].mean() == pytest.approx(image.d0_angstrom * (1 + strain.mean()), rel=1e-5)


def test_displacement_and_strain_from_the_photons_with_the_true_phases(simulated: SimulatedScan) -> None:
    psi = simulated.object(simulated.geometry.grid, SHAPE)
    wave = fourier(torch.from_numpy(psi.astype(np.complex128))).numpy()
    measured = np.sqrt(simulated.scan.frames) * wave / np.abs(wave)
    seen = inverse_fourier(torch.from_numpy(measured)).numpy() * (np.abs(psi) > 0)
    image = analyse(solved(simulated, seen), StrainOptions(remove_ramp=False, smoothing_voxels=1.0))
    bulk, u, strain = truth(simulated, image)
    found = image.displacement_angstrom[bulk]
    slope_u = np.polyfit(u, found, 1)[0]
    slope = np.polyfit(strain, image.strain[bulk], 1)[0]
    assert slope_u == pytest.approx(1.0, abs=0.02)
    assert slope == pytest.approx(1.0, abs=0.02)
    assert relative(found - found.mean(), u - u.mean()) < 0.03
    assert relative(image.strain[bulk], strain) < 0.06  # photon noise and the cut-off pattern's ripples


def test_the_twin_has_the_same_strain_at_the_inverted_place(simulated: SimulatedScan) -> None:
    psi = simulated.object(simulated.geometry.grid, SHAPE)
    twin = np.roll(np.conj(psi[::-1, ::-1, ::-1]), (1, 1, 1), axis=(0, 1, 2))
    options = StrainOptions(voxel_size_angstrom=100.0)
    image, mirrored = analyse(solved(simulated, psi), options), analyse(solved(simulated, twin), options)
    inverted = np.roll(mirrored.strain[::-1, ::-1, ::-1], (1, 1, 1), axis=(0, 1, 2))
    # The cubic grids are sized by the same extent, so index n // 2 + k of one is n // 2 − k of the other.
    both = np.isfinite(image.strain) & np.isfinite(inverted)
    assert both.sum() > 0.95 * image.support.sum()
    assert relative(inverted[both], image.strain[both]) < 0.01
