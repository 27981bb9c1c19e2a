"""Error bars on the laboratory grid: deviations whose effect on displacement, strain and spacing is known."""

from dataclasses import replace

import numpy as np
import pytest

from friedel.bcdi.geometry.instrument import ReciprocalGrid
from friedel.bcdi.records import Reconstruction, Uncertainty
from friedel.bcdi.strain import StrainOptions, analyse
from friedel.bcdi.strain.summary import crystal_errors, crystal_numbers
from friedel.bcdi.strain.surface import find_isosurface

N, VOXEL, H = 24, 50.0, 2.0
"""Voxels of the box, their edge in Å, and |h| along y, Å⁻¹."""


def uncertain(finished, phases: list[np.ndarray]) -> Reconstruction:
    """Return a ball of even density whose deviations are small phases ``(z, y, x)``."""
    z, y, x = np.meshgrid(*(np.arange(N) - N // 2,) * 3, indexing="ij")
    support = z**2 + y**2 + x**2 <= 7**2
    obj = (10.0 * support).astype(np.complex64)
    basis = np.eye(3)[::-1] * 2 * np.pi / (N * VOXEL)
    grid = ReciprocalGrid(basis=basis, q_bragg=np.array([0.0, H, 0.0]), wavelength_angstrom=1.0)
    deviations = np.array([(1j * obj * phase)[support] for phase in phases]).astype(np.complex64)
    flat = np.where(support, 0.1, np.nan).astype(np.float32)
    errors = Uncertainty(
        deviations=deviations,
        origins=("photons",) * len(phases),
        phase_rad=flat,
        amplitude=flat,
        phase_rms_rad=0.1,
        photons_rad=0.1,
        solutions_rad=0.0,
        misfit=1.0,
        diameter_voxels=14.0,
        diameter_error_voxels=0.2,
        n_solutions=0,
    )
    return replace(finished(), object=obj, support=support, grid=grid, uncertainty=errors)


def along_y() -> np.ndarray:
    return np.broadcast_to((np.arange(N) - N // 2)[None, :, None], (N, N, N)).astype(float)


def test_a_ramp_is_an_error_of_the_mean_spacing_and_of_nothing_else(finished):
    slope = 1e-3  # radians per voxel
    crystal = analyse(uncertain(finished, [slope * along_y()]), StrainOptions())
    # h changes by slope/voxel along y, and d = 2π/h by as large a share.
    assert crystal.errors.d0_angstrom == pytest.approx(2 * np.pi / H * slope / VOXEL / H, rel=0.02)
    assert np.nanmax(crystal.errors.strain) < 0.05 * slope / VOXEL / H
    assert np.nanmax(crystal.errors.displacement_angstrom) < 0.05 * slope / H


def test_a_bent_phase_is_an_error_of_displacement_and_strain(finished):
    wave = 0.02 * np.cos(np.pi / 7 * along_y())
    crystal = analyse(uncertain(finished, [wave]), StrainOptions(smoothing_voxels=0.0))
    shape = crystal.support.shape
    inside = wave[np.abs(uncertain(finished, [wave]).object) > 0]
    typical = np.sqrt(np.nanmean(crystal.errors.displacement_angstrom**2))
    assert typical == pytest.approx(inside.std() / H, rel=0.15)
    steep = tuple(n // 2 + (3 if axis == 1 else 0) for axis, n in enumerate(shape))
    gradient = 0.02 * np.pi / 7 * np.sin(np.pi / 7 * 3) / VOXEL
    assert crystal.errors.strain[steep] == pytest.approx(gradient / H, rel=0.25)
    assert np.isnan(crystal.errors.strain[~crystal.support]).all()


def test_independent_deviations_add_up_in_square(finished):
    wave = 0.02 * np.cos(np.pi / 7 * along_y())
    one, two = (analyse(uncertain(finished, [wave] * n)).errors.strain for n in (1, 2))
    inside = np.isfinite(one)
    np.testing.assert_allclose(two[inside], np.sqrt(2) * one[inside], rtol=1e-4)


def test_sizes_are_in_angstrom_with_geometry_and_in_voxels_without(finished):
    result = uncertain(finished, [0.01 * along_y()])
    known, unknown = analyse(result), analyse(replace(result, grid=None))
    assert (known.errors.diameter, known.errors.diameter_error) == pytest.approx((700.0, 10.0))
    assert (unknown.errors.diameter, unknown.errors.diameter_error) == pytest.approx((14.0, 0.2))
    assert unknown.errors.strain is None
    assert np.nanmax(unknown.errors.phase_rad) == np.float32(0.1)


def test_the_table_s_diameter_is_the_one_that_has_the_standard_error(finished):
    crystal = analyse(uncertain(finished, [0.01 * along_y()]))
    assert crystal_numbers(crystal)["diameter_nm"] == pytest.approx(70.0)
    assert crystal_errors(crystal)["diameter_nm"] == pytest.approx(1.0)


def test_without_uncertainty_there_are_no_errors(finished):
    result = replace(uncertain(finished, [0.01 * along_y()]), uncertainty=None)
    assert analyse(result).errors is None
    assert analyse(replace(result, grid=None)).errors is None


def soft(finished) -> Reconstruction:
    """Return a ball with an uneven density, a surface of two voxels and a bent phase, whose deviations are zero."""
    result = uncertain(finished, [0.0 * along_y()])
    depth = np.clip(7.0 - np.sqrt(sum((along_y().swapaxes(1, axis)) ** 2 for axis in range(3))), 0.0, 2.0) / 2.0
    uneven = 1.0 + 0.1 * np.random.default_rng(0).normal(size=depth.shape)
    bent = np.exp(0.004j * along_y() ** 2).astype(np.complex64)
    return replace(result, object=(10.0 * depth * uneven * bent).astype(np.complex64) * result.support)


def test_the_rms_strain_is_known_no_better_than_the_surface_that_it_is_taken_within(finished):
    result = soft(finished)
    found = analyse(result)
    surface = find_isosurface(result.amplitude, result.support)
    levels = (surface.level - surface.spread, surface.level + surface.spread)
    outer, inner = (analyse(result, StrainOptions(isosurface_level=level)) for level in levels)
    assert outer.support.sum() > found.support.sum() > inner.support.sum()
    change = (np.nanstd(outer.strain) - np.nanstd(inner.strain)) / 2
    # Each level has a grid of its own here, and error bars keep the result's.
    assert found.errors.strain_rms == pytest.approx(abs(change), rel=0.4)
    assert found.errors.strain_rms > 0.01 * np.nanstd(found.strain)


def test_the_surface_counts_at_a_level_asked_for_too(finished):
    # Deviations are zero: what is left is the surface's part.
    assert analyse(soft(finished), StrainOptions(isosurface_level=0.9)).errors.strain_rms > 0
