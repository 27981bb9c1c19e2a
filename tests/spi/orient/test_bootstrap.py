"""Errors by drawing frames again, and frames of known orientation."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from tiny_particle import tiny_data, true_intensity

import friedel
from friedel.core.observer import silent
from friedel.spi.density.phase import PhaseOptions
from friedel.spi.merge.merged import Merged
from friedel.spi.orient.bootstrap import recover
from friedel.spi.orient.march import grid_size, random_model, resized
from friedel.spi.orient.rings import Pixels
from friedel.spi.orient.solve import OrientOptions, prepare
from friedel.spi.orient.speckle import lay_frames


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


def test_frames_drawn_from_the_result_give_it_back_and_the_promise_follows(merged, tmp_path):
    quality = merged.quality
    assert quality.recovered.shape == quality.q.shape
    assert 0.8 < quality.mean_recovered < 1
    assert quality.recovered_evenness > 0.9
    assert quality.mean_corrected <= quality.mean_recovered * np.sqrt(2)
    assert "give it back" in quality.sentence
    merged.save(tmp_path / "merged.h5")
    np.testing.assert_array_equal(Merged.load(tmp_path / "merged.h5").quality.recovered, quality.recovered)


def test_an_intensity_whose_views_look_alike_is_not_given_back():
    """Frames of a round body with weak speckle can't be oriented: what they make has little to do with it."""
    data = tiny_data(n_frames=200, photons=600)
    pixels = Pixels(q=data.detector.q, weight=(data.detector.mask == 0).astype(float))
    speckle, frames = lay_frames(sp.csr_matrix(data.frames.astype(np.float32)), pixels)
    march = prepare(frames, pixels, speckle, OrientOptions(), silent)
    model = random_model(frames, march, 3)
    model = resized(model, grid_size(march.q_max))
    truth = torch.from_numpy(true_intensity(data, model.intensity.shape[0]))
    weak = 1 + 0.15 * (truth / truth.mean() * model.intensity.mean() / model.intensity - 1).clamp(-1, 1)
    halves, faint = np.ones(int(march.q_max)), replace(model, intensity=weak * model.intensity)
    found = recover(faint, frames, pixels, march, halves, starts=1, seed=0).likeness
    assert np.nanmean(found[3:]) < 0.75
