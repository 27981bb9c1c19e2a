"""Hits of a watch that grow into an intensity meanwhile, and are merged as a batch at the end."""

import time

import numpy as np
import pytest
from live_doubles import plan, write_run
from tiny_particle import tiny_data

import friedel
from friedel.core.errors import PlanError
from friedel.spi.frames.dragonfly import DragonflyDetector, read_detector, read_photons, write_detector
from friedel.spi.live.merging.hits import leave_detector
from friedel.spi.live.merging.process import Merger, coverage_of
from friedel.spi.live.plan import LiveMergeOptions, WatchPlan
from friedel.spi.live.watch import watch_hits
from friedel.spi.merge.merged import Merged

EDGE, FRAMES = 65, 130


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return the frames of a small particle amid a larger detector, and its detector file."""
    data, folder = tiny_data(5, n_frames=FRAMES, photons=900, sigma=0.0), tmp_path_factory.mktemp("run")
    stack = np.zeros((FRAMES, EDGE, EDGE), np.uint16)
    stack[:, 16:49, 16:49] = data.frames.reshape(-1, 33, 33)
    stack[:, 0, 0] = 99  # what the stand-in for the classifier goes by; the detector leaves it out
    y, x = np.mgrid[:EDGE, :EDGE].reshape(2, -1) - EDGE // 2
    length = np.sqrt(x**2 + y**2 + 90.0**2)
    q = np.stack([x * 90 / length, y * 90 / length, 90 * (90 / length - 1)], axis=-1)
    radius = np.hypot(x, y)
    mask = np.where(radius > 15, 2, np.where(radius < 1.5, 1, 0)).astype(np.uint8)
    detector = DragonflyDetector(q=q, correction=np.ones(len(q)), mask=mask, distance=90, ewald_radius=90)
    write_detector(folder / "det.h5", detector)
    return write_run(folder / "run.h5", stack), folder / "det.h5"


def test_the_final_intensity_is_the_batch_s_and_a_process_lets_it_grow(run, tmp_path):
    path, detector = run
    options = LiveMergeOptions(detector=detector, first=100)
    result = watch_hits(plan(tmp_path, f"file://{path}", merge=options))
    assert result.counts.processed == FRAMES
    final = Merged.load(result.files["merge merged"])
    batch = friedel.merge(read_photons(tmp_path / "out" / "hits.emc"), read_detector(detector))
    np.testing.assert_allclose(final.intensity, batch.intensity, rtol=1e-3, atol=1e-6)

    said = []
    merger = Merger(tmp_path / "out", options, None, said.append, lambda: None)
    try:
        until = time.monotonic() + 120
        while not len(merger.view.counts) and time.monotonic() < until:
            merger.hear()
            time.sleep(0.05)
    finally:
        merger.stop()
    view = merger.view
    assert not said
    assert view.counts.tolist() == [view.n_frames]
    assert view.n_frames + view.n_waiting == FRAMES
    assert view.slices.shape[0] == 3
    assert view.slices.max() == 255
    assert view.coverage.sum() == view.n_frames // 2
    assert 0 < view.correlations[-1] <= 1

    left = read_detector(leave_detector(tmp_path / "out"))
    assert left.mask[0] == 2  # bright in every frame
    assert left.mask.reshape(EDGE, EDGE)[32, 38] == 0
    assert left.q[EDGE * 32 + 38].tolist() == [6, 0, 0]


def test_a_merge_that_can_t_be_made_is_said_and_the_watch_goes_on(run, tmp_path):
    path, _ = run
    missing, said = tmp_path / "nowhere.h5", []
    result = watch_hits(
        plan(tmp_path, f"file://{path}", merge=LiveMergeOptions(detector=missing)), observer=said.append
    )
    assert result.counts.processed == FRAMES
    assert not any(name.startswith("merge") for name in result.files)
    assert any("nowhere.h5" in getattr(event, "text", "") for event in said)


def test_a_merge_needs_a_folder(run):
    with pytest.raises(PlanError, match="folder"):
        watch_hits(WatchPlan(source=f"file://{run[0]}", merge=LiveMergeOptions()))


def test_cells_of_the_coverage_are_of_equal_solid_angle():
    views = np.random.default_rng(0).normal(size=(40_000, 3)).astype(np.float32)
    views /= np.linalg.norm(views, axis=1, keepdims=True)
    counts = coverage_of(views)
    expected = 40_000 / counts.size
    assert np.abs(counts - expected).max() < 5 * np.sqrt(expected)
