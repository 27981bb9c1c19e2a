"""Orientations off the grid of views."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy.spatial.transform import Rotation
from tiny_particle import tiny_data, true_intensity

from friedel.spi.orient.background import with_background
from friedel.spi.orient.matching.local import _Likelihood, climb, merge_at
from friedel.spi.orient.rings import Pixels, lay_rings, ring_frames
from friedel.spi.orient.views import symmetry_group

N = 35


@pytest.fixture(scope="module", params=["clean", "masks and background"])
def case(request):
    data = tiny_data(n_frames=80, photons=800, sigma=0.3)
    used, mask, good = data.detector.mask == 0, None, None
    photons, blank = data.frames, used * 80.0 / used.sum()
    if request.param != "clean":
        good = np.stack([used, used & (np.abs(data.detector.q[:, 1]) > 1.2)])
        mask = np.arange(80) % 2
        photons = (photons + np.random.default_rng(1).poisson(np.tile(blank, (80, 1)))) * good[mask]
    pixels = Pixels(q=data.detector.q, weight=used.astype(float), good=good)
    frames = ring_frames(sp.csr_matrix(photons), pixels, lay_rings(pixels, band=0.4, step=1.0), mask=mask)
    if mask is not None:
        frames = with_background(frames, blank, pixels, extent=0.25)
    return data, frames


def test_the_slope_is_the_likelihoods(case):
    data, frames = case
    volume = torch.from_numpy(true_intensity(data, N))
    likelihood, step = _Likelihood(frames, volume, len(frames.rings.q)), 0.03
    block = slice(0, 64)
    off = Rotation.from_rotvec(np.random.default_rng(2).normal(0, 0.06, (80, 3))).as_matrix()
    turns = (off @ data.rotations).astype(np.float32)
    _, _, slope, bend = likelihood.at(turns[block], block)
    for axis in np.eye(3):
        ends = []
        for side in (-step, step):
            moved = (Rotation.from_rotvec(side * axis).as_matrix() @ turns[block]).astype(np.float32)
            ends.append(likelihood.at(moved, block)[0].astype(float))
        measured = (ends[1] - ends[0]) / (2 * step)
        assert np.corrcoef(measured, slope @ axis)[0, 1] > 0.95
    assert (np.linalg.eigvalsh(bend) > 0).all()


def test_orientations_climb_to_the_true_ones_and_say_how_sure_they_are(case):
    data, frames = case
    off = Rotation.from_rotvec(np.random.default_rng(2).normal(0, 0.06, (80, 3)))
    begun = (off.as_matrix() @ data.rotations).astype(np.float32)
    volume = torch.from_numpy(true_intensity(data, N))
    found = climb(frames, volume, begun, n_rings=len(frames.rings.q), reach=0.3)
    error = (Rotation.from_matrix(found.rotations) * Rotation.from_matrix(data.rotations).inv()).magnitude()
    assert np.median(error) < 0.5 * np.median(off.magnitude())
    assert 0.6 < np.median(error) / (1.54 * np.median(found.uncertainty)) < 1.7  # 1.54: median length of three normals
    assert (found.gain >= 0).all()
    assert np.corrcoef(found.fluence, data.fluence)[0, 1] > 0.97


def test_what_is_merged_is_what_came(case):
    data, frames = case
    volume, n_rings = torch.from_numpy(true_intensity(data, N)), len(frames.rings.q)
    found = climb(frames, volume, data.rotations.astype(np.float32), n_rings=n_rings, reach=0.1)
    merge = merge_at(frames, found, n=N, n_rings=n_rings, group=symmetry_group("C1"))
    if frames.background is None:
        assert float(merge.photons.sum()) == pytest.approx(float(frames.by_pixel.photons.sum()), rel=1e-4)
    assert float((merge.exposure * volume).sum()) == pytest.approx(float(merge.photons.sum()), rel=0.05)
    four = merge_at(frames, found, n=N, n_rings=n_rings, group=symmetry_group("D2"))
    assert float(four.photons.sum()) == pytest.approx(4 * float(merge.photons.sum()), rel=1e-3)


def test_a_frame_that_tells_nothing_stays_near(case):
    data, frames = case
    flat = torch.ones((N, N, N))
    begun = data.rotations.astype(np.float32)
    found = climb(replace(frames, background=None, share=None), flat, begun, n_rings=5, reach=0.1)
    assert (Rotation.from_matrix(found.rotations) * Rotation.from_matrix(begun).inv()).magnitude().max() < 0.25
