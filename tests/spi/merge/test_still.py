"""Patterns that don't turn."""

import csv

import h5py
import numpy as np
import pytest
import scipy.sparse as sp
from tiny_particle import tiny_data

from friedel.spi.frames.dragonfly import write_detector
from friedel.spi.frames.emc import sparse, write_emc
from friedel.spi.merge.kinds import sort_frames
from friedel.spi.merge.merge import run_merge
from friedel.spi.merge.plan import DensityOptions, MergePlan
from friedel.spi.orient.rings import Pixels


def glow(kind, detector, n, seed):
    """Return frames of one pattern, off the middle or round, of different brightness."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-16:17, -16:17]
    shapes = {"beside": np.exp(-((x - 4) ** 2 + (y + 3) ** 2) / 30) + 0.1, "round": np.exp(-np.hypot(x, y) / 8)}
    shape = shapes[kind].ravel() * (detector.mask == 0)
    return rng.poisson(shape / shape.sum() * 600 * np.exp(rng.normal(0, 0.3, n))[:, None])


def sorted_(frames, detector, n_still, mask=None, good=None):
    pixels = Pixels(q=detector.q, weight=(detector.mask == 0).astype(float), good=good)
    return sort_frames(sp.csr_matrix(frames.astype(np.float32)), pixels, 1, n_still=n_still, mask=mask)


@pytest.mark.parametrize("kind", ["beside", "round"])
@pytest.mark.parametrize("seed", [2, 5])
def test_a_fixed_pattern_is_told_from_a_particle(kind, seed):
    data = tiny_data(seed, n_frames=150, photons=600)
    still = glow(kind, data.detector, 60, seed)
    kinds = sorted_(np.concatenate([data.frames, still]), data.detector, 1)
    assert (kinds.kind == np.repeat([0, 1], [150, 60])).mean() > 0.97
    used = data.detector.mask == 0
    assert np.corrcoef(kinds.patterns[0, used], still.mean(0)[used])[0, 1] > 0.95
    assert np.isnan(kinds.patterns[0, ~used]).all()
    assert "doesn't turn" in kinds.sentence


def test_a_pattern_that_is_not_there_takes_no_hits():
    data = tiny_data(2, n_frames=150, photons=600)
    kinds = sorted_(data.frames, data.detector, 1)
    assert (kinds.kind == 0).mean() > 0.98


def test_masks_by_frame_hide_no_pattern():
    data = tiny_data(2, n_frames=150, photons=600)
    used = data.detector.mask == 0
    good = np.stack([used, used & (np.abs(data.detector.q[:, 1]) > 1.2)])
    mask = np.arange(210) % 2
    frames = np.concatenate([data.frames, glow("beside", data.detector, 60, 3)]) * good[mask]
    kinds = sorted_(frames, data.detector, 1, mask, good)
    assert (kinds.kind == np.repeat([0, 1], [150, 60])).mean() > 0.95


def test_the_particle_is_merged_without_it(tmp_path):
    data = tiny_data(2, n_frames=150, photons=600)
    frames = np.concatenate([data.frames, glow("beside", data.detector, 40, 3)])
    write_emc(tmp_path / "run.emc", map(sparse, frames), n_frames=len(frames), n_pixels=frames.shape[1])
    write_detector(tmp_path / "run_detector.h5", data.detector)
    plan = MergePlan(
        frames=(tmp_path / "run.emc",), non_rotating=1, starts=1, refine=False, density=DensityOptions(write=False)
    )
    run = run_merge(plan, tmp_path / "out")
    assert len(run.merged.used) == pytest.approx(150, abs=4)
    assert (tmp_path / "out" / "particle_1" / "merged.h5").is_file()
    with h5py.File(run.files["still"]) as file:
        assert file["pattern"].shape == (1, frames.shape[1])
        assert int(file["frames"][0]) == pytest.approx(40, abs=4)
    with (tmp_path / "out" / "kinds.csv").open() as file:
        assert [line["particle"] for line in csv.DictReader(file)][-40:].count("2") >= 36
