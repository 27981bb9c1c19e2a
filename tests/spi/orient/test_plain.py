"""The plain product: it agrees with the harmonics where those are exact, and serves where they aren't."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy.spatial.transform import Rotation
from tiny_particle import BOX, intensity_at, tiny_data, tiny_detector, true_intensity

import friedel
from friedel.spi.orient.align import align, sphere_correlation
from friedel.spi.orient.background import with_background
from friedel.spi.orient.matching.match import judge_over, match, place
from friedel.spi.orient.rings import Pixels, lay_rings, ring_frames
from friedel.spi.orient.solve import OrientOptions
from friedel.spi.orient.views import symmetry_group, turned_views

C1 = symmetry_group("C1")


def both_engines(data, mask=None, good=None, blank=None):
    """Return the same frames, for the harmonics and for the plain product."""
    pixels = Pixels(q=data.detector.q, weight=(data.detector.mask == 0).astype(float), good=good)
    rings = lay_rings(pixels, band=0.4, step=1.0)
    frames = ring_frames(sp.csr_matrix(data.frames), pixels, rings, mask=mask)
    if blank is not None:
        frames = with_background(frames, blank, pixels, extent=0.25)
    return frames, replace(frames, rings=replace(rings, plain=True))


def agree(frames, plain, data):
    volume = torch.from_numpy(true_intensity(data, 35))
    volume += 0.02 * volume.mean()
    views, n_rings = turned_views(300, np.random.default_rng(0), C1), len(frames.rings.q)
    harmonic, one = match(frames, volume, views, n_rings=n_rings, group=C1)
    pixels, other = match(plain, volume, views, n_rings=n_rings, group=C1)
    near = (views[harmonic.view, :, 2] * views[pixels.view, :, 2]).sum(1) > np.cos(
        np.radians(20)
    )  # views are 12° apart
    assert near.float().mean() > 0.9
    assert np.corrcoef(harmonic.log_likelihood, pixels.log_likelihood)[0, 1] > 0.99
    for name in ("photons", "exposure"):
        first, second = getattr(one, name), getattr(other, name)
        assert float(second.sum()) == pytest.approx(float(first.sum()), rel=0.03)
        assert np.corrcoef(first.ravel(), second.ravel())[0, 1] > 0.97
    judged = [judge_over(each, volume, views, n_rings=n_rings) for each in (frames, plain)]
    assert float(judged[1].evidence.mean()) == pytest.approx(float(judged[0].evidence.mean()), rel=0.1)
    assert np.corrcoef(judged[0].fit, judged[1].fit)[0, 1] > 0.9
    torch.testing.assert_close(place(plain, volume, views, n_rings=n_rings).log_likelihood, pixels.log_likelihood)


def test_both_engines_agree():
    data = tiny_data(n_frames=60, photons=500, sigma=0.3)
    agree(*both_engines(data), data)


def test_both_engines_agree_with_masks_and_background():
    data, rng = tiny_data(n_frames=60, photons=500, sigma=0.3), np.random.default_rng(1)
    used = data.detector.mask == 0
    good = np.stack([used, used & (np.abs(data.detector.q[:, 1]) > 1.2)])
    mask, blank = np.arange(60) % 2, used * 60 / used.sum()
    data.frames = (data.frames + rng.poisson(np.tile(blank, (60, 1)))) * good[mask]
    frames, plain = both_engines(data, mask, good, blank)
    agree(frames, plain, data)


def test_a_symmetry_multiplies_what_is_merged():
    data = tiny_data(n_frames=20, photons=300)
    _, plain = both_engines(data)
    volume, views = torch.from_numpy(true_intensity(data, 35)), turned_views(60, np.random.default_rng(0), C1)
    group = symmetry_group("D2")
    (_, one), (_, four) = (match(plain, volume, views, n_rings=10, group=g) for g in (C1, group))
    assert float(four.photons.sum()) == pytest.approx(4 * float(one.photons.sum()), rel=1e-3)


def two_energies(seed=3, n=240):
    """Return frames at two photon energies on one detector: two Ewald spheres, and so no common cap."""
    rng, data, detectors, frames = np.random.default_rng(seed), tiny_data(seed, n_frames=1), [], []
    for scale in (1.0, 0.6):  # the second sphere is so much smaller
        detector = tiny_detector()
        x, y = detector.q[:, :2].T
        flat = 1 - np.sqrt(1 - (np.hypot(x, y) / 90 / scale) ** 2)
        detector = replace(detector, q=np.stack([x, y, -90 * scale * flat], axis=1))
        turns = Rotation.random(n, random_state=rng).as_matrix()
        mean = np.stack([intensity_at(detector.q @ r.T, data.places, data.weights) for r in turns])
        mean *= detector.mask == 0
        frames.append(rng.poisson(mean * 600 / mean.sum(1).mean()))
        detectors.append(detector)
    return data, detectors, frames


def test_frames_at_two_energies_are_merged():
    data, detectors, frames = two_energies()
    merged = friedel.merge(frames, detectors, options=OrientOptions(starts=2, seed=1))
    assert any("pixel by pixel" in text for _, text in merged.notes)
    truth = torch.from_numpy(true_intensity(data, BOX))
    volume = torch.from_numpy(merged.intensity)
    assert merged.voxel == 1.0
    inner = len(volume) // 2 - BOX // 2
    volume = volume[inner : inner + BOX, inner : inner + BOX, inner : inner + BOX].contiguous()
    rotation = align(truth, volume, q_min=2.5, q_max=13)
    assert sphere_correlation(truth, volume, rotation, np.arange(3.0, 14.0)).mean() > 0.9
