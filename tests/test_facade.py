"""The public names do what the rooms behind them do, take what a notebook has, and say what they are."""

import itertools
import subprocess
import sys

import h5py
import numpy as np
import pytest

import friedel
from friedel.bcdi.crystals.random_crystal import random_crystal
from friedel.bcdi.forward.bragg import diffract
from friedel.bcdi.phasing.prediction.model import kept_phasing_model
from friedel.core.errors import InputError
from friedel.core.observer import Progress
from friedel.spi.hits.model import kept_model

PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def pattern():
    crystal = random_crystal((32, 32, 32), seed=4, oversampling=2.5, phase_range_rad=2.0)
    return diffract(crystal.object, n_photons=1e6, seed=4)


@pytest.fixture(scope="module")
def frames():
    rng = np.random.default_rng(0)
    radius = np.hypot(*(np.indices((64, 64)) - 31.5))
    expected = 40 / (1 + radius**2 / 9) * (1 + np.cos(radius)) + 0.05
    return rng.poisson(np.broadcast_to(expected, (12, 64, 64))).astype(np.uint16)


def test_importing_the_package_loads_no_library():
    code = (
        "import sys, friedel; print([name for name in ('numpy', 'torch', 'h5py', 'pydantic') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert set(friedel.__all__) == set(dir(friedel))
    assert all(getattr(friedel, name) is not None for name in friedel.__all__)


def test_a_volume_goes_from_file_to_crystal_and_back(pattern, tmp_path):
    np.save(tmp_path / "crystal.npy", pattern)
    scan = friedel.read_scan(tmp_path / "crystal.npy")
    assert "32 frames of 32 × 32" in repr(scan)
    prepared = friedel.prepare(scan)
    assert "photons" in repr(prepared)
    result = friedel.reconstruct(prepared, plan={"starts": 2, "start": "random"}, seed=1)
    crystal = friedel.analyse(result, {"isosurface_level": 0.4})
    assert crystal.isosurface_level == 0.4
    assert "voxels" in repr(result)
    assert "χ" in repr(result)
    assert "inside" in repr(crystal)
    again = friedel.load(result.save(tmp_path / "crystal.cxi"))
    np.testing.assert_array_equal(again.object, result.object)
    for record in (prepared, result, crystal):
        assert record._repr_png_().startswith(PNG)


def test_every_part_of_the_default_path_comes_to_the_end_of_its_progress(pattern):
    told = []

    def watch(event):
        if isinstance(event, Progress):
            told.append(event)

    friedel.reconstruct(pattern, observer=watch)
    ended = [one for one, next_one in itertools.pairwise(told) if one.task != next_one.task]
    assert len(ended) >= 2
    assert [(one.task, one.done, one.total) for one in ended if one.done < one.total] == []


def test_predict_takes_a_prepared_pattern_and_keeps_its_network(pattern):
    prepared = friedel.Diffraction(intensities=pattern, mask=np.ones(pattern.shape, bool))
    first, second = friedel.predict(prepared), friedel.predict(pattern)
    np.testing.assert_array_equal(first.object, second.object)
    assert kept_phasing_model(device="cpu") is kept_phasing_model("default", device="cpu")
    with pytest.raises(InputError, match="a mask of its own"):
        friedel.predict(prepared, mask=prepared.mask)


def test_a_run_is_an_array_that_is_read_when_it_is_sliced(frames, tmp_path):
    with h5py.File(tmp_path / "run.h5", "w") as file:
        file["entry/data/data"] = frames
    with friedel.open_frames(tmp_path / "run.h5") as run:
        assert len(run) == 12
        np.testing.assert_array_equal(run[3], frames[3])
        np.testing.assert_array_equal(run[-1], frames[-1])
        np.testing.assert_array_equal(run[8:2:-3], frames[8:2:-3])
        assert run[5:5].shape == (0, 64, 64)
        assert "12 frames of 64 × 64, uint16, no mask" in repr(run)
        with pytest.raises(IndexError, match="no frame 12"):
            run[12]


def test_a_run_scores_as_its_frames_do(frames, tmp_path):
    np.save(tmp_path / "run.npy", frames)
    with friedel.open_frames(tmp_path / "run.npy") as run:
        scores = friedel.classify(run)
    plain = friedel.classify(frames)
    np.testing.assert_allclose(scores.single, plain.single, atol=1e-6)
    np.testing.assert_array_equal(friedel.classify(tmp_path / "run.npy").single, scores.single)
    assert "12 frames" in repr(scores)
    assert kept_model(device="cpu") is kept_model("default", device="cpu")


def test_a_watch_yields_until_the_stream_ends(frames, tmp_path):
    np.save(tmp_path / "run.npy", np.tile(frames, (4, 1, 1)))
    last = None
    for event in friedel.watch(f"file://{tmp_path / 'run.npy'}", output=tmp_path / "out"):
        last = event
    assert last is not None
    assert last.ledger.seen == 48
    assert last.ledger.processed == 48
    assert (tmp_path / "out" / "summary.json").is_file()


def test_a_watch_that_cannot_begin_says_why(tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        next(friedel.watch(f"file://{tmp_path / 'nowhere.h5'}"))


def test_a_prediction_says_what_was_odd_about_its_input(pattern):
    clean = friedel.predict(pattern)
    assert "can bend" not in repr(clean)
    assert dict(clean.provenance.read)["file"].startswith("intensities: an array of")
    cut = friedel.predict(np.where(pattern < 3, 0, pattern))
    assert "can bend the result" in repr(cut)
    assert "lower counts were set to 0" in repr(cut)
    assert any(reason.startswith("input: ") and "lower counts" in reason for reason in cut.quality.reasons)


def test_errors_are_caught_by_a_public_name():
    with pytest.raises(friedel.FriedelError):
        friedel.predict(np.zeros((32, 32, 32)))
    assert issubclass(friedel.InputError, friedel.FriedelError)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("scan.h5", r"read the file first: .*friedel\.read_scan"),
        (np.ones((32, 32, 32), bool), "True and False, as of a mask"),
        (np.full((32, 32, 32), 7), "every voxel is masked, or holds what marks"),
        (np.full((32, 32, 32), 2**63, np.uint64), "every voxel is masked, or holds what marks"),
    ],
)
def test_what_is_no_pattern_is_refused_with_what_it_is(given, said):
    with pytest.raises(InputError, match=said):
        friedel.predict(given)
