"""Frames that don't all have the same pixels: masks by frame, and several detectors."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy.spatial.transform import Rotation
from tiny_particle import BOX, EWALD, intensity_at, tiny_data, true_intensity

import friedel
from friedel.core.errors import InputError, PlanError
from friedel.core.observer import Recorder
from friedel.spi.frames.dragonfly import DragonflyDetector, write_detector
from friedel.spi.frames.emc import sparse, write_emc
from friedel.spi.merge.measured import MOST_MASKS, masked, of_several, unmasked
from friedel.spi.merge.merge import run_merge
from friedel.spi.merge.plan import DensityOptions, MergePlan
from friedel.spi.orient.align import align, shell_correlation, turned
from friedel.spi.orient.matching.match import judge_over, place
from friedel.spi.orient.rings import Pixels, lay_rings, ring_frames
from friedel.spi.orient.solve import OrientOptions
from friedel.spi.orient.views import in_plane, symmetry_group, turned_views
from friedel.spi.orient.volume import sample


@pytest.fixture(scope="module")
def data():
    return tiny_data()


def gaps(n_frames):
    """Masks of three kinds by turns: a band, a side, a corner; a quarter of the pixels."""
    y, x = np.mgrid[-16:17, -16:17]
    kinds = np.stack([np.abs(y - 3) < 4, x > 8, (x < 0) & (y < 0)])
    return kinds[np.arange(n_frames) % 3]


def correlation(merged, data):
    truth = torch.from_numpy(true_intensity(data, merged.intensity.shape[0]))
    found = torch.from_numpy(merged.intensity)
    rotation = align(truth, found, q_min=2.5, q_max=13)
    return float(np.nanmean(shell_correlation(truth, turned(found, rotation), 14)[3:]))


def test_masked_harmonics_agree_with_the_plain_product(data):
    """Likelihoods at all views and angles, with every frame's own mask, against sums over the pixels it has."""
    n = 30
    photons = data.frames[:n] * ~gaps(n).reshape(n, -1)
    measured = masked(sp.csr_matrix(photons.astype(np.float32)), sp.csr_matrix(gaps(n).reshape(n, -1)))
    pixels = Pixels(q=data.detector.q, weight=(data.detector.mask == 0).astype(float), good=measured.good)
    frames = ring_frames(measured.photons, pixels, lay_rings(pixels, band=0.4, step=1.0), mask=measured.mask)
    volume = torch.from_numpy(true_intensity(data, 35)) + 0.02 * true_intensity(data, 35).mean()
    views = turned_views(100, np.random.default_rng(0), symmetry_group("C1"))
    found = place(frames, volume, views, n_rings=len(frames.rings.q))
    n_angles = found.photons.shape[2]
    q = torch.from_numpy(pixels.q[pixels.used].astype(np.float32))
    has = torch.from_numpy((~gaps(n).reshape(n, -1))[:, pixels.used].astype(np.float32))
    k = torch.from_numpy(photons[:, pixels.used].astype(np.float32))
    turns = in_plane(2 * np.pi * np.arange(n_angles) / n_angles)
    plain, each = [], views.double().numpy()
    for view in each:
        w = torch.stack([sample(volume, q @ torch.from_numpy((view @ r).T.astype(np.float32))) for r in turns])
        plain.append(k @ w.log().T - k.sum(1)[:, None] * (has @ w.T).log())
    plain = torch.stack(plain, 1).reshape(n, -1)
    at = plain[np.arange(n), found.view * n_angles + found.angle]
    assert bool((plain.amax(1) - at < 0.1 * (plain.amax(1) - plain.median(1).values)).all())
    whole = torch.logsumexp(plain, 1)
    assert np.corrcoef(whole.numpy(), found.log_likelihood.numpy())[0, 1] > 0.99
    judged = judge_over(frames, volume, views, n_rings=len(frames.rings.q))
    assert 0.7 < float(judged.fit.median()) < 1.4


def test_gaps_that_differ_from_frame_to_frame_hardly_cost(data):
    hidden = gaps(len(data.frames))
    photons = data.frames * ~hidden.reshape(len(hidden), -1)
    merged = friedel.merge(photons, data.detector, masks=hidden)
    assert correlation(merged, data) > 0.85
    assert np.corrcoef(merged.fluence[merged.used], data.fluence[merged.used])[0, 1] > 0.93


def test_what_lies_under_a_mask_counts_for_nothing(data):
    hidden, n = gaps(60), 60
    junk = np.where(hidden.reshape(n, -1), 50, data.frames[:n])
    one, other = (masked(sp.csr_matrix(f), sp.csr_matrix(hidden.reshape(n, -1))) for f in (junk, data.frames[:n]))
    assert (one.photons != other.photons).nnz == 0
    assert len(one.good) == 3


def test_more_masks_than_are_told_apart_are_filled_and_said(data):
    rng, notes = np.random.default_rng(3), Recorder()
    hidden = rng.random(data.frames.shape) < 0.03
    hidden[::2] = False
    photons = sp.csr_matrix((data.frames * ~hidden).astype(np.float32))
    found = masked(photons, sp.csr_matrix(hidden), observer=notes)
    assert len(found.good) <= MOST_MASKS
    assert any("filled" in text for _, text in notes.notes)
    whole = data.frames.sum() / found.photons.sum()
    assert whole == pytest.approx(1.0, abs=0.003)
    merged = friedel.merge(photons, data.detector, masks=hidden)
    assert correlation(merged, data) > 0.85


def coarse(seed=0):
    """A second detector of larger pixels, off the beam's middle, on the same Ewald sphere."""
    y, x = (np.mgrid[-11:12, -11:12] * 1.4) + 0.4
    length = np.sqrt(x**2 + y**2 + EWALD**2)
    q = np.stack([x * EWALD / length, y * EWALD / length, EWALD * (EWALD / length - 1)], axis=-1).reshape(-1, 3)
    radius = np.hypot(x, y).ravel()
    mask = np.where((radius > 15) | (radius < 3), 2, 0).astype(np.uint8)
    return DragonflyDetector(q=q, correction=np.full(len(q), 1.96), mask=mask, distance=EWALD, ewald_radius=EWALD)


def second(data, n=200):
    detector, rng = coarse(), np.random.default_rng(9)
    turns = Rotation.random(n, random_state=5).as_matrix()
    mean = np.stack([intensity_at(detector.q @ r.T, data.places, data.weights) for r in turns]) * (detector.mask == 0)
    return rng.poisson(mean * 300 / mean.sum(1).mean()), detector


def test_two_detectors_make_one_particle(data):
    more, other = second(data)
    merged = friedel.merge([data.frames[:200], more], [data.detector, other])
    assert merged.voxel == 1.0
    assert len(merged.used) == 400
    assert correlation(merged, data) > 0.85
    parts = of_several([unmasked(sp.csr_matrix(f)) for f in (data.frames[:200], more)], [data.detector, other])
    assert parts[0].photons.shape[1] == BOX**2 + 23**2


def test_files_of_two_detectors_and_masks(tmp_path, data):
    more, other = second(data, 120)
    for name, frames, detector in (("near", data.frames[:120], data.detector), ("far", more, other)):
        write_emc(tmp_path / f"{name}.emc", map(sparse, frames), n_frames=len(frames), n_pixels=frames.shape[1])
        write_detector(tmp_path / f"{name}.h5", detector)
        np.save(tmp_path / f"{name}.npy", np.zeros(frames.shape, np.uint8))
    plan = MergePlan(
        frames=(tmp_path / "near.emc", tmp_path / "far.emc"),
        detectors=(tmp_path / "near.h5", tmp_path / "far.h5"),
        masks=(tmp_path / "near.npy", tmp_path / "far.npy"),
        starts=1,
        density=DensityOptions(write=False),
    )
    run = run_merge(plan, tmp_path / "out")
    assert len(run.merged.used) == 240
    assert len((tmp_path / "out" / "frames.csv").read_text().splitlines()) == 241
    with pytest.raises(PlanError, match="one a file"):
        run_merge(plan.model_copy(update={"masks": plan.masks[:1]}), tmp_path / "no")


def test_masks_that_do_not_fit_are_refused(data):
    with pytest.raises(InputError, match="don't fit"):
        friedel.merge(data.frames, data.detector, masks=np.zeros((3, BOX**2)))
    with pytest.raises(InputError, match="every pixel"):
        friedel.merge(data.frames, data.detector, masks=np.ones(data.frames.shape))
    with pytest.raises(InputError, match="one detector, or one a set"):
        of_several([unmasked(sp.csr_matrix(data.frames))], [data.detector, data.detector])
    with pytest.raises(InputError, match="order of the frames"):
        friedel.merge([data.frames, data.frames], [data.detector, coarse()], options=OrientOptions(starts=1))
