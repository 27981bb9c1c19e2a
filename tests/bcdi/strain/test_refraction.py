"""Refraction: the beam's path through a box is known, and so is the phase it costs."""

import numpy as np
import pytest

from friedel.bcdi.strain.refraction import path_length, refraction_factor, refractive_decrements
from friedel.core.errors import PlanError


def test_the_path_through_a_box() -> None:
    inside = np.zeros((20, 20, 20), dtype=bool)
    inside[5:15, 5:15, 5:15] = True  # filled from −5.5 to 4.5 voxels about index 10, along each axis
    path = path_length(inside, inside, 10.0, np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 0.0]))
    # In along +z from the low side, out along +y to the high side.
    z, y, _ = np.meshgrid(*[np.arange(20)] * 3, indexing="ij")
    expected = 10.0 * ((z - 4.5) + (14.5 - y))
    np.testing.assert_allclose(path[inside], expected[inside], atol=1.5)
    assert path[~inside].max() == 0


def test_the_factor_undoes_what_matter_does_to_a_wave() -> None:
    k, path = 2 * np.pi / 1.38, np.array([0.0, 1000.0])
    delta, beta = 4e-5, 3e-6
    in_matter = np.exp(1j * k * (1 - delta + 1j * beta) * path) / np.exp(1j * k * path)
    np.testing.assert_allclose(in_matter * refraction_factor(path, delta=delta, beta=beta, wavelength=1.38), 1.0)


def test_gold_at_9_kev() -> None:
    delta, beta = refractive_decrements("Au", 9000.0)
    assert delta == pytest.approx(3.8e-5, rel=0.1)
    assert 1e-6 < beta < 1e-5


def test_an_unknown_material_is_named() -> None:
    with pytest.raises(PlanError, match="Unobtainium"):
        refractive_decrements("Unobtainium", 9000.0)
