"""Frames clipped at a limit, a beam far off the middle, a pedestal of each frame's own: found, said, scored alike."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from friedel.spi.classify.classify import run_classification
from friedel.spi.classify.plan import ClassifyPlan
from friedel.spi.frames.files import FrameFiles
from friedel.spi.hits.model import kept_model
from friedel.spi.hits.preparation.frame_levels import clipped_at
from friedel.spi.hits.preparation.run_calibration import measure_run

MASK = np.ones((160, 150), bool)


def spheres(n: int = 48, off: tuple[int, int] = (0, 0), *, light: float = 60.0) -> NDArray[np.int64]:
    """Return frames of which every third shows a sphere."""
    rng = np.random.default_rng(4)
    y, x = np.indices(MASK.shape)
    radius = np.hypot(y - 80 - off[0], x - 75 - off[1]) + 1e-3
    frames = np.full((n, *MASK.shape), 0.003)
    for frame in frames[::3]:
        t = radius * rng.uniform(0.25, 0.5)
        frame += rng.gamma(4, 0.25) * light * (3 * (np.sin(t) - t * np.cos(t)) / t**3) ** 2
    return rng.poisson(frames)


@pytest.mark.parametrize("off", [(50, 0), (30, -45), (-20, 40), (0, 0), (6, -3)])
def test_a_beam_anywhere_on_the_frame_is_found(off: tuple[int, int]) -> None:
    assert measure_run(spheres(off=off), MASK).centre == pytest.approx((80 + off[0], 75 + off[1]), abs=1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_clipped_frames_are_found_and_a_stuck_pixel_is_not_taken_for_it(dtype: type) -> None:
    bright = spheres(light=3000)
    assert clipped_at(np.minimum(bright, 255).astype(dtype), MASK, ()) == 255
    assert clipped_at(bright, MASK, ()) is None
    stuck = spheres()
    stuck[:, 3:6, 3:9] = 500
    assert clipped_at(stuck, MASK, ()) is None


@pytest.mark.parametrize("gain", [1.0, 40.0])
@pytest.mark.parametrize("often", [0.2, 1.0])
def test_a_pedestal_of_each_frames_own_changes_no_score(gain: float, often: float) -> None:
    rng = np.random.default_rng(5)
    frames = spheres() * gain + (rng.normal(0, 0.15 * gain, (48, *MASK.shape)) if gain > 1 else 0)
    offsets = np.round(rng.uniform(20, 200, 48)) * (rng.random(48) < often) * (1 if gain == 1 else 3)
    model = kept_model()
    run = model.measure(frames + offsets[:, None, None], MASK)
    assert run.drifts
    assert run.gain == pytest.approx(gain, rel=0.03)
    moved, right = model.score(frames + offsets[:, None, None], MASK, run=run), model.score(frames, MASK)
    assert np.abs(moved.single - right.single).max() < 0.03
    assert not model.measure(frames, MASK).drifts


def test_frames_lit_all_over_have_no_pedestal_of_their_own() -> None:
    light = np.random.default_rng(6).gamma(1, 4, 48)
    frames = np.random.default_rng(7).poisson(spheres() + light[:, None, None])
    assert not measure_run(frames, MASK).drifts


def test_clipping_and_pedestals_are_said_and_such_frames_become_no_photons(tmp_path: Path) -> None:
    frames = np.minimum(spheres(light=3000), 255) + 10 * np.arange(48)[:, None, None]
    np.save(tmp_path / "run.npy", frames.astype(np.float32))
    np.save(tmp_path / "clipped.npy", np.minimum(spheres(light=3000), 255).astype(np.uint8))
    for name, words in (("run", "pedestal of its own"), ("clipped", "clipped at 255")):
        plan = ClassifyPlan(frames=FrameFiles(paths=(tmp_path / f"{name}.npy",)))
        result = run_classification(plan, tmp_path / name)
        assert any(words in odd for odd in result.run.files[0].read["odd"])
        assert ("photons" in result.files) == (name == "clipped")
