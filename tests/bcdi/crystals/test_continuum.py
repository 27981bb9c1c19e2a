"""Crystals without atoms: the same record, seeds, strain within range, dislocations that turn the phase once."""

import numpy as np
import pytest

from friedel.bcdi.crystals.options import CrystalRunOptions
from friedel.bcdi.crystals.simulated import continuum_crystal

SMALL = {"atoms": 6000, "voxels": 24}


def test_seed_and_number_decide_everything() -> None:
    options = CrystalRunOptions.read({**SMALL, "seed": 4})
    first, again, other = (continuum_crystal(options, number) for number in (1, 1, 2))
    np.testing.assert_array_equal(first.displacement, again.displacement)
    assert not np.array_equal(first.density, other.density)


@pytest.mark.parametrize("number", range(6))
def test_crystals_are_full_inside_and_strained_within_reason(number: int) -> None:
    field = continuum_crystal(CrystalRunOptions.read({**SMALL, "dislocation": 0}), number)
    assert field.density.max() == pytest.approx(1.0)
    assert field.n_atoms == pytest.approx(6000, rel=0.25)
    assert 1e-4 < field.strain_rms() < 0.03
    assert np.all(field.displacement[:, field.density == 0] == 0)
    rim = np.pad(np.zeros((22, 22, 22), dtype=bool), 1, constant_values=True)
    np.testing.assert_array_equal(field.density[rim], 0)


def test_an_unstrained_crystal_keeps_only_its_drawn_in_surface() -> None:
    field = continuum_crystal(CrystalRunOptions.read({**SMALL, "max_strain": 0, "dislocation": 0}), 3)
    assert field.phase_range_rad() < 2.0


def test_a_dislocation_turns_the_phase_by_whole_turns_and_leaves_a_moderate_strain() -> None:
    with_it, without = (
        continuum_crystal(CrystalRunOptions.read({**SMALL, "max_strain": 0.005, "dislocation": chance}), 5)
        for chance in (1, 0)
    )
    assert with_it.phase_range_rad() > without.phase_range_rad() + 1.5 * np.pi
    assert with_it.strain_rms() < 0.05
