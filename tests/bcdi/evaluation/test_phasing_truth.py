"""Against the truth: what intensities can't tell costs nothing, and a known strain is read as it is."""

import numpy as np
import pytest

from friedel.bcdi.crystals.wavy_crystal import wavy_crystal
from friedel.bcdi.evaluation.truth import Lattice, against_truth, crystal_of, filled, gold_111, strain_of
from friedel.bcdi.phasing.ambiguities import shifted, twin

TRUTH = wavy_crystal((32, 32, 32), seed=3, phase_range_rad=4.0)


def test_shift_twin_phase_and_scale_cost_nothing():
    other = 7.0 * twin(shifted(TRUTH, (1.0, -2.0, 3.0))) * np.exp(0.7j)
    judged = against_truth(other.astype(np.complex64), TRUTH)
    assert judged.correlation == pytest.approx(1.0, abs=1e-4)
    assert judged.phase_error_rad < 0.01
    assert judged.strain_error < 1e-5


def test_a_phase_error_is_found_in_phase_and_strain():
    inside = crystal_of(TRUTH)
    y = np.arange(32)[None, :, None] - 16
    bent = TRUTH * np.exp(0.01j * np.minimum(y, 0) ** 2)
    judged = against_truth(bent.astype(np.complex64), TRUTH)
    assert 0.02 < judged.phase_error_rad < 0.5
    assert judged.strain_error > 1e-5
    assert filled(TRUTH).sum() > inside.sum()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_linear_displacement_has_its_strain(axis):
    h = [0.0, 0.0, 0.0]
    h[axis] = 2.5
    lattice = Lattice(h=(h[0], h[1], h[2]), voxel_angstrom=(80.0, 90.0, 100.0))
    strain, edge = 1.5e-3, lattice.voxel_angstrom[axis]
    place = np.arange(24).reshape([-1 if k == axis else 1 for k in range(3)])
    u = strain * edge * (place - 12.0)
    inside = np.zeros((24, 24, 24), bool)
    inside[6:18, 7:17, 6:18] = True
    obj = (inside * np.exp(-1j * 2.5 * u)).astype(np.complex64)
    read = strain_of(obj, inside, lattice)
    assert np.allclose(read[9:15, 10:14, 9:15], strain, rtol=1e-3)
    assert np.isnan(read[0, 0, 0])


def test_gold_is_read_in_a_box_of_320_nm():
    lattice = gold_111((32, 64, 32))
    assert lattice.voxel_angstrom == (100.0, 50.0, 100.0)
    assert lattice.h[1] == pytest.approx(2 * np.pi / 2.3545, rel=1e-4)
