"""Array-level diffraction: photons add up, noise is Poisson's, coherence blurs as its theory says."""

import numpy as np
import pytest

from friedel.bcdi.crystals.random_crystal import random_crystal
from friedel.bcdi.forward.bragg import (
    add_aliens,
    bad_pixels,
    blur_by_coherence,
    diffract,
    expected_intensities,
    gap_mask,
)
from friedel.core.errors import InputError

BOX = (24, 27, 32)


@pytest.fixture(scope="module")
def crystal() -> np.ndarray:
    return random_crystal(BOX, seed=1).object


def test_the_photons_are_those_asked_for(crystal: np.ndarray) -> None:
    expected = expected_intensities(crystal, n_photons=1e6)
    assert expected.dtype == np.float32
    assert expected.sum(dtype=np.float64) == pytest.approx(1e6, rel=1e-5)
    peak = np.unravel_index(np.argmax(expected), BOX)
    assert np.all(np.abs(np.array(peak) - np.array(BOX) // 2) <= 6)


def test_counts_are_whole_and_poisson(crystal: np.ndarray) -> None:
    expected = expected_intensities(crystal, n_photons=1e6)
    counts = diffract(crystal, n_photons=1e6, seed=3)
    np.testing.assert_array_equal(counts, np.round(counts))
    strong = expected > 20
    chi_squared = np.mean((counts[strong] - expected[strong]) ** 2 / expected[strong])
    assert chi_squared == pytest.approx(1.0, abs=0.15)
    np.testing.assert_array_equal(counts, diffract(crystal, n_photons=1e6, seed=3))


def test_a_ramp_moves_the_peak_and_conjugation_turns_it_round(crystal: np.ndarray) -> None:
    z = np.arange(BOX[0])[:, None, None] - BOX[0] // 2
    plain = diffract(crystal, n_photons=1e6, seed=None)
    ramped = diffract(crystal * np.exp(2j * np.pi * 3 * z / BOX[0]), n_photons=1e6, seed=None)
    np.testing.assert_allclose(ramped, np.roll(plain, 3, axis=0), atol=1e-2)


def test_background_adds_everywhere(crystal: np.ndarray) -> None:
    plain = diffract(crystal, n_photons=1e6, seed=None)
    raised = diffract(crystal, n_photons=1e6, seed=None, background=0.5)
    np.testing.assert_allclose(raised - plain, 0.5, atol=0.02)


@pytest.mark.parametrize("box", [(16, 16, 16), (15, 17, 16)])
def test_coherence_convolves_with_a_gaussian(box: tuple[int, int, int]) -> None:
    point = np.zeros(box, dtype=np.float32)
    point[tuple(n // 2 for n in box)] = 1000.0
    length = 2.0
    blurred = blur_by_coherence(point, (length, np.inf, np.inf))
    assert blurred.sum() == pytest.approx(1000.0, rel=1e-4)
    offsets = np.arange(box[0]) - box[0] // 2
    # exp(−r²/2l²) in the object is a Gaussian of rms N / (2π l) voxels in the intensities.
    width = np.sqrt((blurred.sum(axis=(1, 2)) * offsets**2).sum() / 1000.0)
    assert width == pytest.approx(box[0] / (2 * np.pi * length), rel=0.02)
    np.testing.assert_allclose(blur_by_coherence(point, (np.inf,) * 3), point, atol=1e-3)


def test_coherence_lowers_the_contrast_of_fringes(crystal: np.ndarray) -> None:
    sharp = diffract(crystal, n_photons=1e6, seed=None)
    dull = diffract(crystal, n_photons=1e6, seed=None, coherence=(10.0, 10.0, 10.0))
    assert dull.max() < sharp.max()
    assert dull.sum() == pytest.approx(sharp.sum(), rel=1e-3)


def test_aliens_stay_away_from_the_centre() -> None:
    aliens = add_aliens(np.zeros((64, 64, 64), dtype=np.float32), n_aliens=3, n_photons=1e4, seed=0)
    assert aliens.sum() == pytest.approx(3e4, rel=1e-3)
    assert aliens[:, 26:39, 26:39].sum() < 1.0


def test_bad_pixels_and_gaps() -> None:
    dead, hot = bad_pixels((40, 50), n_dead=7, n_hot=5, seed=1)
    assert (dead.sum(), hot.sum(), (dead & hot).sum()) == (7, 5, 0)
    measured = gap_mask((40, 50), rows=(10, 12), columns=(20, 23))
    assert (~measured).sum() == 2 * 50 + 3 * 40 - 6
    assert gap_mask((4, 4), rows=None, columns=None).all()


def test_an_empty_object_is_refused() -> None:
    with pytest.raises(InputError, match="zero everywhere"):
        diffract(np.zeros(BOX, dtype=complex), n_photons=1.0, seed=0)
