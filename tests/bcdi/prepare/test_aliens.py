"""Other crystals' peaks: found where they are sure, and never imagined on a single crystal, however strained."""

import numpy as np
import pytest
from numpy.typing import NDArray

from friedel.bcdi.crystals.random_crystal import STRAINS, random_crystal
from friedel.bcdi.forward.bragg import count_photons, expected_intensities
from friedel.bcdi.prepare.aliens import find_aliens, mask_aliens
from friedel.bcdi.prepare.counts import Counts
from friedel.bcdi.prepare.crop import find_peak
from friedel.core.observer import Note, Recorder

SHAPE = (48, 64, 56)


def pattern(seed: int, *, strain: str = "smooth", oversampling: float = 2.5) -> NDArray[np.float32]:
    crystal = random_crystal(SHAPE, seed=seed, strain_family=strain, oversampling=oversampling)
    return expected_intensities(crystal.object, n_photons=1e7) + np.float32(0.002)


def blob(at: tuple[int, int, int], width: float, photons: float) -> NDArray[np.float32]:
    grid = np.indices(SHAPE) - np.reshape(at, (3, 1, 1, 1))
    bell = np.exp(-(grid**2).sum(axis=0) / (2 * width**2))
    return np.asarray(photons * bell / bell.sum(), dtype=np.float32)


def measured(expected: NDArray[np.float32], seed: int = 0) -> Counts:
    return Counts(count_photons(expected, seed=seed), np.ones(SHAPE, bool))


@pytest.mark.parametrize("oversampling", [1.8, 4.0, 7.0])
@pytest.mark.parametrize("strain", sorted(STRAINS))
def test_a_single_crystal_has_no_aliens(strain: str, oversampling: float) -> None:
    seed = sorted(STRAINS).index(strain)
    counts = measured(pattern(seed, strain=strain, oversampling=oversampling), seed)
    mask, aliens = find_aliens(counts, find_peak(counts))
    assert aliens == ()
    assert not mask.any()


@pytest.mark.parametrize(("at", "width"), [((36, 14, 44), 1.5), ((12, 50, 40), 2.5), ((30, 54, 14), 2.0)])
def test_an_alien_is_masked_whole_and_little_else(at: tuple[int, int, int], width: float) -> None:
    alien = blob(at, width, 40_000)
    counts = measured(pattern(3) + alien)
    mask, aliens = find_aliens(counts, find_peak(counts))
    assert len(aliens) == 1
    assert np.abs(np.subtract(aliens[0].index, at)).max() <= 1
    assert alien[mask].sum() > 0.98 * alien.sum()
    assert mask.mean() < 0.03


def test_masked_voxels_are_unknown_and_the_note_says_where() -> None:
    recorder = Recorder()
    counts = measured(pattern(3) + blob((36, 14, 44), 1.5, 40_000))
    found = mask_aliens(counts, find_peak(counts), observer=recorder)
    assert not found.mask[36, 14, 44]
    assert found.mask.sum() < counts.mask.sum()
    note = recorder.events[0]
    assert isinstance(note, Note)
    assert note.figures["aliens"] == 1
    assert "row 14, column 44" in note.text


def test_without_a_recorded_mate_nothing_is_called_alien() -> None:
    counts = measured(pattern(3) + blob((36, 14, 44), 1.5, 40_000))
    cut = Counts(counts.values[20:], counts.mask[20:])
    mask, aliens = find_aliens(cut, (4, 32, 28))
    assert aliens == ()
    assert not mask.any()


def test_a_large_scan_is_searched_on_a_coarser_grid() -> None:
    rng = np.random.default_rng(0)
    z, y, x = np.ogrid[:168, :160, :161]
    peak = 2000 * np.exp(-((z - 80) ** 2 + (y - 80) ** 2 + (x - 80) ** 2) / 50.0)
    alien = 8 * np.exp(-((z - 120) ** 2 + (y - 40) ** 2 + (x - 121) ** 2) / 30.0)
    values = rng.poisson(peak + alien + 0.001).astype(np.float32)
    mask, aliens = find_aliens(Counts(values, np.ones(values.shape, bool)), (80, 80, 80))
    assert len(aliens) == 1
    assert np.abs(np.subtract(aliens[0].index, (120, 40, 121))).max() <= 2
    assert aliens[0].voxels == mask.sum()
    assert alien[mask].sum() > 0.97 * alien.sum()
