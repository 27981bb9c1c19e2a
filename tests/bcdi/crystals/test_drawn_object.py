"""Views of one crystal: drawn from the generator alone, within their box, with the reflection's own phase."""

import numpy as np
import pytest

from friedel.bcdi.crystals.drawn_object import drawn_object
from friedel.bcdi.crystals.field import CrystalField
from friedel.bcdi.crystals.options import CrystalRunOptions
from friedel.bcdi.crystals.simulated import continuum_crystal
from friedel.core.errors import InputError

SHAPE = (32, 30, 34)


@pytest.fixture(scope="module")
def crystal() -> CrystalField:
    return continuum_crystal(CrystalRunOptions.read({"atoms": 6000, "voxels": 24, "dislocation": 0}), 0)


def test_the_generator_decides_everything(crystal: CrystalField) -> None:
    first, again, other = (drawn_object(crystal, SHAPE, rng=np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.object, again.object)
    assert first.object.shape == SHAPE
    assert not np.array_equal(first.object, other.object)


def test_every_view_fits_its_box_and_fills_the_share_it_says(crystal: CrystalField) -> None:
    for seed in range(6):
        view = drawn_object(crystal, SHAPE, rng=np.random.default_rng(seed))
        places = np.argwhere(np.abs(view.object) > 0.5)
        extent = np.ptp(places, axis=0) + 1
        np.testing.assert_allclose(np.array(SHAPE) / view.oversampling, extent, atol=2)
        assert np.all(places.min(axis=0) > 0)
        assert np.all(places.max(axis=0) < np.array(SHAPE) - 1)
        assert view.support.sum() >= len(places)


def test_higher_orders_carry_more_phase(crystal: CrystalField) -> None:
    views = [drawn_object(crystal, SHAPE, rng=np.random.default_rng(0), reflections=[(n, n, n)]) for n in (1, 3)]
    lost = [1 - np.abs(view.object.sum()) / np.abs(view.object).sum() for view in views]
    assert lost[1] > lost[0]
    with pytest.raises(InputError, match="all odd or all even"):
        drawn_object(crystal, SHAPE, rng=np.random.default_rng(0), reflections=[(1, 2, 3)])


def test_a_crystal_is_magnified_to_a_phase_range_at_the_same_strain(crystal: CrystalField) -> None:
    larger = crystal.magnified(3.0)
    assert larger.phase_range_rad() == pytest.approx(3 * crystal.phase_range_rad())
    assert larger.strain_rms() == pytest.approx(crystal.strain_rms())
    assert larger.voxel_angstrom == pytest.approx(3 * crystal.voxel_angstrom)
    own, wide = (
        drawn_object(crystal, SHAPE, rng=np.random.default_rng(3), reflections=[(1, 1, 1)], phase_range_rad=span)
        for span in (None, (15.0, 15.0))
    )
    np.testing.assert_array_equal(own.rotation, wide.rotation)
    coherent = [np.abs(view.object.sum()) / np.abs(view.object).sum() for view in (own, wide)]
    assert coherent[1] < 0.6 * coherent[0]
    with pytest.raises(InputError, match="positive"):
        crystal.magnified(0.0)


def test_a_dislocation_can_not_be_magnified() -> None:
    field = continuum_crystal(CrystalRunOptions.read({"atoms": 6000, "voxels": 24, "dislocation": 1}), 0)
    assert not field.continuous
    with pytest.raises(InputError, match="can't be magnified"):
        field.magnified(2.0)
    spans = (None, (30.0, 30.0))
    own, same = (drawn_object(field, SHAPE, rng=np.random.default_rng(3), phase_range_rad=span) for span in spans)
    np.testing.assert_array_equal(own.object, same.object)
