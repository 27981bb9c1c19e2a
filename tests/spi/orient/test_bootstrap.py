"""Errors by drawing frames again, and frames of known orientation."""

import numpy as np
import pytest
from tiny_particle import tiny_data

import friedel
from friedel.spi.density.phase import PhaseOptions
from friedel.spi.merge.merged import Merged
from friedel.spi.orient.solve import OrientOptions


@pytest.fixture(scope="module")
def merged():
    data = tiny_data(n_frames=200, photons=600)
    return friedel.merge(data.frames, data.detector, options=OrientOptions(bootstrap=6, sentinels=60))


def test_errors_are_of_the_size_of_the_halves_differences(merged):
    """A half has twice the variance, and two of them differ by four times that."""
    radius = np.sqrt(((np.indices(merged.intensity.shape) - merged.intensity.shape[0] // 2) ** 2).sum(0))
    inside = (radius > 4) & (radius < 12) & np.isfinite(merged.halves[1])
    difference = (merged.halves[0] - merged.halves[1])[inside]
    expected = np.sqrt((merged.error[inside] ** 2).mean()) * 2
    assert 0.4 < expected / np.sqrt((difference**2).mean()) < 1.5
    shells = slice(4, 12)
    assert (merged.profile_error[shells] < 0.2 * merged.profile[shells]).all()
    assert (merged.profile_error[shells] > 0).all()


def test_errors_are_kept_and_become_the_densitys(merged, tmp_path):
    density = merged.phase(PhaseOptions(starts=2))
    assert density.error.shape == density.density.shape
    inside = density.density > 0.3 * density.density.max()
    relative = density.error[inside] / density.density[inside]
    assert 0.005 < np.median(relative) < 0.4
    merged.save(tmp_path / "merged.h5")
    back = Merged.load(tmp_path / "merged.h5")
    np.testing.assert_array_equal(back.error, merged.error)
    np.testing.assert_array_equal(back.profile_error, merged.profile_error)
    assert back.phase(PhaseOptions(starts=1)).error is None


def test_frames_of_known_orientation_are_found_where_they_are(merged):
    sentence = next(text for step, text in merged.notes if step == "sentinels")
    off, claimed = (float(sentence.split(mark)[0].split()[-1]) for mark in ("° off", "° were"))
    assert off < 15
    assert claimed < 15
