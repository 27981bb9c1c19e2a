"""Hits simulated for a merge: photons, the truth beside them in the merge's own conventions, the command."""

import numpy as np
import pytest
from scipy.ndimage import map_coordinates
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner

from friedel.cli.main import app
from friedel.core.errors import InputError, PlanError
from friedel.spi.frames.dragonfly import read_detector, read_photons
from friedel.spi.simulation.merge_data import MergeDataPlan, MergeTruth, simulate_merge_data

SMALL = {"hits": 60, "photons": 400, "pixels": 33, "distance": 90, "stop": 1.5, "diameter": 7, "fluence_spread": 0.3}


@pytest.fixture(scope="module")
def made():
    return simulate_merge_data(MergeDataPlan.read(SMALL | {"background": 50.0, "particle": "chain"}))


def test_frames_are_likelier_at_their_true_orientation_than_at_any_others(made):
    truth, used = made.truth, made.detector.mask == 0
    rotations = Rotation.from_quat(np.roll(truth.orientations, -1, axis=1)).as_matrix()
    q = made.detector.q[used]
    slices = np.stack([map_coordinates(truth.intensity, (q @ r.T)[:, ::-1].T + 16, order=1) for r in rotations])
    slices = slices.clip(slices.mean() * 0.1)
    slices /= slices.sum(1, keepdims=True)
    scores = made.photons[:, used] @ np.log(slices).T
    assert (scores.argmax(1) == np.arange(60)).mean() > 0.7


def test_photons_fluences_and_background_are_as_asked(made):
    truth, counts = made.truth, np.asarray(made.photons.sum(1)).ravel()
    assert counts.mean() == pytest.approx(450, rel=0.03)
    assert np.asarray(made.blanks.sum(1)).mean() == pytest.approx(50, rel=0.05)
    assert truth.fluence.mean() == pytest.approx(1)
    assert np.corrcoef(counts, truth.fluence)[0, 1] > 0.8
    amplitude = np.abs(np.fft.fftn(truth.density))
    assert np.corrcoef(np.fft.fftshift(amplitude**2).ravel(), truth.intensity.ravel())[0, 1] > 0.999


def test_the_command_leaves_what_a_merge_takes(tmp_path):
    settings = [f"--set={key}={value}" for key, value in SMALL.items() if key not in ("hits", "photons")]
    line = ["simulate", "hits", "-o", str(tmp_path / "x.emc"), "--frames", "20", "--photons", "100", *settings]
    done = CliRunner().invoke(app, [*line, "--particle", "cube", "--seed", "3"])
    assert done.exit_code == 0, done.output
    assert read_photons(tmp_path / "x.emc").shape == (20, 33 * 33)
    assert read_detector(tmp_path / "x_detector.h5").ewald_radius == 90
    assert MergeTruth.load(tmp_path / "x_truth.h5").density.shape == (33, 33, 33)
    again = CliRunner().invoke(
        app, ["simulate", "hits", "--plan", str(tmp_path / "x_plan.yaml"), "-o", str(tmp_path / "y.emc")]
    )
    assert again.exit_code == 0, again.output
    assert (tmp_path / "y.emc").read_bytes() == (tmp_path / "x.emc").read_bytes()


def test_what_cannot_be_simulated_is_refused(tmp_path):
    with pytest.raises(PlanError, match="neither a file nor a name"):
        simulate_merge_data(MergeDataPlan(particle="nothing"))
    with pytest.raises(PlanError, match="narrower than two pixels"):
        simulate_merge_data(MergeDataPlan(diameter=60))
    with pytest.raises(InputError, match="not the truth"):
        MergeTruth.load(tmp_path / "no.h5")
    wrong = CliRunner().invoke(app, ["simulate", "hits", "-o", str(tmp_path / "x.cxi"), "--particle", "cube"])
    assert wrong.exit_code != 0
