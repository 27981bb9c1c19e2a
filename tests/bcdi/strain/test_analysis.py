"""The analysis as a whole: what it tells, and what it does without geometry."""

import numpy as np
import pytest
from scipy import ndimage

from friedel.bcdi.crystals import displacement
from friedel.bcdi.crystals.lattice import LatticeCrystal
from friedel.bcdi.crystals.random_crystal import random_crystal
from friedel.bcdi.forward.scan import gold_111_geometry
from friedel.bcdi.geometry.instrument import ReciprocalGrid
from friedel.bcdi.records import Provenance, Quality, Reconstruction
from friedel.bcdi.strain.analysis import analyse
from friedel.bcdi.strain.options import StrainOptions
from friedel.bcdi.strain.regrid import CubicGrid, rotation_to
from friedel.core import outlines
from friedel.core.observer import Recorder, Warned

BOX = (40, 40, 40)


def reconstruction(psi: np.ndarray, grid: ReciprocalGrid | None) -> Reconstruction:
    quality = Quality(
        chi=0.0, support_voxels=1, support_fraction=0.1, support_threshold=0.1, n_starts=1, n_agreeing=1,
        isosurface_level=0.5, trusted=True, reasons=(),
    )  # fmt: skip
    provenance = Provenance(plan={}, seed=0, versions={}, source="test", started="", seconds=0.0)
    return Reconstruction(object=psi, support=np.abs(psi) > 0, quality=quality, provenance=provenance, grid=grid)


@pytest.fixture(scope="module")
def grid() -> ReciprocalGrid:
    return gold_111_geometry(BOX, step_deg=0.03, pixel_m=165e-6).grid


def crystal(grid: ReciprocalGrid, field: displacement.Displacement) -> np.ndarray:
    outline = outlines.cuboctahedron(750.0)
    return LatticeCrystal(outline=outline, displacement=field).on_grid(
        basis=grid.object_basis(BOX), h=grid.q_bragg, shape=BOX
    )


def test_without_geometry_there_are_voxels_and_no_strain() -> None:
    recorder = Recorder()
    psi = random_crystal((32, 32, 32), seed=1).object
    image = analyse(reconstruction(psi, None), observer=recorder)
    assert image.frame == "voxels"
    assert image.strain is None
    assert image.voxel_size_angstrom is None
    np.testing.assert_array_equal(image.object, psi)
    assert any(isinstance(event, Warned) and "geometry" in event.step for event in recorder.events)


def test_a_uniform_strain_moves_from_the_object_into_the_mean_spacing(grid: ReciprocalGrid) -> None:
    rec = reconstruction(crystal(grid, displacement.homogeneous(np.eye(3) * 4e-4)), grid)
    kept = analyse(rec, StrainOptions(remove_ramp=False))
    assert np.nanmedian(kept.strain) == pytest.approx(4e-4, rel=0.01)
    moved = analyse(rec)
    assert np.nanmedian(moved.strain) == pytest.approx(0.0, abs=4e-6)
    assert moved.d0_angstrom / grid.d_spacing_angstrom - 1 == pytest.approx(4e-4, rel=0.01)
    np.testing.assert_allclose(np.nanmedian(moved.d_spacing_angstrom), np.nanmedian(kept.d_spacing_angstrom), rtol=1e-6)


@pytest.mark.parametrize("frame", ["h along y", "h along z"])
def test_the_strain_does_not_depend_on_the_frame(grid: ReciprocalGrid, frame: str) -> None:
    direction = grid.q_bragg / np.linalg.norm(grid.q_bragg)
    bent = displacement.substrate_pull(direction, 700.0, strain=-1e-3, decay=500.0)
    rec = reconstruction(crystal(grid, bent), grid)
    turned = analyse(rec, StrainOptions(frame=frame, remove_ramp=False))
    bulk = ndimage.binary_erosion(turned.support, iterations=2)
    where = CubicGrid(shape=bulk.shape, voxel_size=turned.voxel_size_angstrom).positions()[bulk]
    ahead, behind = (bent((where @ rotation_to(frame, direction)) + s * direction) @ direction for s in (0.5, -0.5))
    true = ahead - behind
    assert np.linalg.norm(turned.strain[bulk] - true) < 0.03 * np.linalg.norm(true)
    np.testing.assert_allclose(turned.direction, [0, 1, 0] if frame == "h along y" else [0, 0, 1], atol=1e-3)


def test_a_dislocation_is_flagged_and_its_strain_is_finite(grid: ReciprocalGrid) -> None:
    spacing, line = grid.d_spacing_angstrom, np.array([0.2, 0.1, 1.0])
    line /= np.linalg.norm(line)
    # u turns by one lattice spacing along h, whatever its direction: the phase turns once.
    h = grid.q_bragg
    burgers = spacing * np.linalg.norm(h) / float(line @ h)
    screw = displacement.screw_dislocation(np.array([40.0, -30.0, 0.0]), line, burgers=burgers)
    recorder = Recorder()
    image = analyse(reconstruction(crystal(grid, screw), grid), observer=recorder)
    assert image.turns.any()
    assert any(event.step == "dislocation" for event in recorder.events)
    assert np.isfinite(image.strain[image.support]).all()
    clean = analyse(reconstruction(crystal(grid, displacement.none), grid))
    assert not clean.turns.any()
    np.testing.assert_allclose(clean.strain[clean.support], 0.0, atol=1e-6)


def test_refraction_is_a_small_phase_along_the_beam(grid: ReciprocalGrid) -> None:
    rec = reconstruction(crystal(grid, displacement.none), grid)
    image = analyse(rec, StrainOptions(refraction_material="Au", remove_ramp=False))
    swing = np.ptp(np.angle(image.object[image.support]))
    # δ k L with L of the order of the crystal's 1500 Å: 2.6e-1 rad.
    assert 0.1 < swing < 0.6
    assert any(note.startswith("refraction") for note in image.notes)


def test_a_level_asked_for_is_used(grid: ReciprocalGrid) -> None:
    rec = reconstruction(crystal(grid, displacement.none), grid)
    low, high = analyse(rec, StrainOptions(isosurface_level=0.3)), analyse(rec, StrainOptions(isosurface_level=0.7))
    assert low.support.sum() > high.support.sum()
    assert low.isosurface_level == 0.3
