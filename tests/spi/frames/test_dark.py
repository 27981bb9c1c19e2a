"""A dark taken off the frames: from Python, from a plan, on the command line; its marks and shape."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import friedel
from friedel.cli.main import app
from friedel.core.errors import InputError
from friedel.spi.scores.files import read_scores

SHAPE = (128, 128)


@pytest.fixture(scope="module")
def run() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return photons, the dark, and frames in detector units above it."""
    rng = np.random.default_rng(0)
    radius = np.hypot(*(np.indices(SHAPE) - 64.0)) + 1e-3
    sphere = 60 * (3 * (np.sin(radius * 0.4) - radius * 0.4 * np.cos(radius * 0.4)) / (radius * 0.4) ** 3) ** 2
    photons = rng.poisson(np.where(np.arange(32)[:, None, None] % 3 == 0, sphere, 0.003))
    dark = np.round(rng.uniform(300, 900, SHAPE)).astype(np.uint16)
    return photons, dark, (20 * photons + dark + rng.normal(0, 2, photons.shape)).round().astype(np.uint16)


def test_scores_are_those_of_the_photons(run: tuple[np.ndarray, ...], tmp_path: Path) -> None:
    photons, dark, frames = run
    right = friedel.classify(photons)
    assert np.abs(friedel.classify(frames, dark=dark).single - right.single).max() < 0.02
    np.save(tmp_path / "run.npy", frames)
    np.save(tmp_path / "dark.npy", np.stack([dark, dark + 4, dark - 4]))
    with friedel.open_frames(tmp_path / "run.npy", dark=tmp_path / "dark.npy") as opened:
        np.testing.assert_array_equal(opened[3], frames[3].astype(np.float32) - dark)
        assert np.abs(friedel.classify(opened).single - right.single).max() < 0.02
    arguments = [
        "classify",
        str(tmp_path / "run.npy"),
        "-o",
        str(tmp_path / "hits"),
        "--dark",
        str(tmp_path / "dark.npy"),
    ]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert np.abs(read_scores(tmp_path / "hits" / "scores.h5").single - right.single).max() < 0.02
    # Another dark, and nothing else changed: no score is kept.
    np.save(tmp_path / "dark.npy", dark + 100)
    assert f"{len(frames)} frames, in" in CliRunner().invoke(app, arguments).output


def test_marks_stay_marks_and_unknown_darks_are_unknown_pixels(run: tuple[np.ndarray, ...], tmp_path: Path) -> None:
    _, dark, frames = run
    marked, unsure = frames.copy(), dark.astype(np.float32)
    marked[:, 5, 5] = 65535
    unsure[7, 7] = np.nan
    np.save(tmp_path / "run.npy", marked)
    np.save(tmp_path / "dark.npy", unsure)
    with friedel.open_frames(tmp_path / "run.npy", dark=tmp_path / "dark.npy") as opened:
        assert np.isnan(opened[0][5, 5])
        assert opened.mask is not None
        assert not opened.mask[7, 7]
        assert any("dark of" in note for note in opened.notes)


def test_a_dark_of_another_shape_is_refused(run: tuple[np.ndarray, ...], tmp_path: Path) -> None:
    np.save(tmp_path / "run.npy", run[2])
    np.save(tmp_path / "dark.npy", np.zeros((64, 64)))
    with pytest.raises(InputError, match=r"the dark is \(64, 64\)"):
        friedel.open_frames(tmp_path / "run.npy", dark=tmp_path / "dark.npy")
    with pytest.raises(InputError, match=r"a dark of \(64, 64\)"):
        friedel.classify(run[2], dark=np.zeros((64, 64)))
