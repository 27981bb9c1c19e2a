import json
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy.spatial.transform import Rotation
from tiny_particle import radial_mean, tiny_data, true_intensity

import friedel
from friedel.core.errors import InputError, PlanError
from friedel.core.observer import Recorder
from friedel.spi.frames.dragonfly import write_detector
from friedel.spi.frames.emc import sparse, write_emc
from friedel.spi.merge.merge import run_merge
from friedel.spi.merge.merged import Merged
from friedel.spi.merge.plan import MergePlan
from friedel.spi.orient.align import align, shell_correlation, turned
from friedel.spi.orient.solve import OrientOptions
from friedel.spi.orient.views import symmetry_group


@pytest.fixture(scope="module")
def data():
    return tiny_data()


@pytest.fixture(scope="module")
def merged(data):
    return friedel.merge(data.frames, data.detector)


def correlation(merged, data):
    truth = torch.from_numpy(true_intensity(data, merged.intensity.shape[0]))
    found = torch.from_numpy(merged.intensity)
    rotation = align(truth, found, q_min=2.5, q_max=13)
    return float(np.nanmean(shell_correlation(truth, turned(found, rotation), 14)[3:]))


def test_a_merge_finds_the_particle_and_says_how_well(merged, data):
    truth = correlation(merged, data)
    assert truth > 0.88
    assert abs(merged.quality.mean_corrected - truth) < 0.05
    assert merged.quality.verdict == "trust"


def test_fluences_are_found(merged, data):
    used = merged.used
    assert np.corrcoef(merged.fluence[used], data.fluence[used])[0, 1] > 0.95
    assert np.nanmean(merged.fluence) == pytest.approx(1.0, abs=1e-3)


def test_orientations_turn_frames_into_the_particle(merged, data):
    """Found and true orientations differ by one rotation, the same for nearly all frames."""
    used = np.flatnonzero(merged.used)
    found = Rotation.from_quat(np.roll(merged.orientations[used], -1, axis=1))
    between = found * Rotation.from_matrix(data.rotations[used]).inv()
    away = np.degrees([(between * one.inv()).magnitude() for one in between[:60]])
    assert np.median(away, axis=1).min() < 15


def test_another_particle_and_junk_are_named_and_left_out():
    data = tiny_data(3, n_frames=400, photons=600)
    other = tiny_data(4, n_frames=40, photons=600, particle=77)
    rng = np.random.default_rng(0)
    flat = rng.poisson(600 * (data.detector.mask == 0) / (data.detector.mask == 0).sum(), (40, len(data.detector.mask)))
    result = friedel.merge(np.concatenate([data.frames, other.frames, flat]), data.detector)
    named = set(result.outliers.tolist())
    assert len(named & set(range(440, 480))) >= 38
    assert len(named & set(range(400, 440))) >= 20
    assert len(named & set(range(400))) <= 12
    assert correlation(result, data) > 0.9


@pytest.mark.parametrize("seed", range(3))
def test_frames_without_structure_are_not_trusted(data, seed):
    """Halves of round frames agree at up to 0.9 on the grid's imprint; they don't foretell each other's frames."""
    rng, recorder = np.random.default_rng(seed), Recorder()
    result = friedel.merge(rng.poisson(np.tile(radial_mean(data) * 0.1, (200, 1))), data.detector, observer=recorder)
    assert result.quality.evidence < 0
    assert result.quality.agreement == result.quality.mean_corrected == 0
    assert result.quality.verdict == "don't trust"
    assert any("don't trust" in text for _, text in recorder.notes)
    assert any("no speckle" in text for _, text in recorder.notes)


def test_a_symmetry_that_is_there_multiplies_the_frames():
    data = tiny_data(5, n_frames=80, photons=400, group=symmetry_group("D2"))
    merged = friedel.merge(data.frames, data.detector, options=OrientOptions(symmetry="D2"))
    assert correlation(merged, data) > 0.93
    assert merged.quality.verdict == "trust"


def test_copies_of_one_frame_are_refused(data):
    with pytest.raises(InputError, match="only 1 different"):
        friedel.merge(np.tile(data.frames[:1], (100, 1)), data.detector)


def test_what_cannot_be_merged_is_refused(data):
    with pytest.raises(InputError, match="don't fit a detector"):
        friedel.merge(data.frames[:, :-1], data.detector)
    with pytest.raises(InputError, match="photons or more"):
        friedel.merge(np.zeros_like(data.frames), data.detector)
    broken = data.frames.astype(float)
    broken[0, 300] = np.nan
    with pytest.raises(InputError, match="not finite"):
        friedel.merge(broken, data.detector)


def test_the_command_leaves_files_that_read_back(tmp_path, data):
    emc, detector = tmp_path / "run.emc", tmp_path / "det.h5"
    frames = data.frames[:250]
    write_emc(emc, (sparse(frame) for frame in frames), n_frames=len(frames), n_pixels=frames.shape[1])
    write_detector(detector, data.detector)
    plan = MergePlan.read({"frames": [emc], "detector": detector, "density": {"write": True, "starts": 2}})
    run = run_merge(plan, tmp_path / "out")
    assert all(path.is_file() for path in run.files.values())
    back = Merged.load(run.files["merged"])
    np.testing.assert_array_equal(back.intensity, run.merged.intensity)
    assert back.intensity.dtype == np.float32
    assert back.voxel == 1.0
    assert back.quality.verdict == run.merged.quality.verdict
    summary = json.loads(run.files["summary"].read_text())
    assert summary["frames"] == 250
    lines = run.files["frames"].read_text().splitlines()
    assert len(lines) == 251
    assert "halves" in run.files["report"].read_text()
    assert MergePlan.load(run.files["plan"]).detector == detector


def test_a_plan_without_frames_or_detector_is_refused(tmp_path):
    with pytest.raises(PlanError, match="--detector"):
        run_merge(MergePlan(), tmp_path)


def test_sparse_frames_give_what_dense_ones_do(merged, data):
    again = friedel.merge(sp.csr_matrix(data.frames), data.detector)
    assert np.corrcoef(again.intensity.ravel(), merged.intensity.ravel())[0, 1] > 0.999


def test_a_missing_file_is_named(tmp_path):
    plan = MergePlan.read({"frames": [tmp_path / "no.emc"], "detector": tmp_path / "no.h5"})
    with pytest.raises(InputError, match=r"no\.emc"):
        run_merge(plan, tmp_path / "out")
    assert not Path(tmp_path / "out" / "merged.h5").exists()
