"""Densities from files: size and place survive resampling; every kind of bad file says what is wrong with it."""

from pathlib import Path

import numpy as np
import pytest

from friedel.core.errors import InputError
from friedel.spi.particles.densities import density_particle
from friedel.spi.particles.particle import particle


@pytest.fixture
def ball() -> np.ndarray:
    """Return a ball of 20 voxels' diameter away from the middle of a box that isn't a cube."""
    z, y, x = np.indices((40, 44, 50))
    return ((z - 14) ** 2 + (y - 25) ** 2 + (x - 30) ** 2 <= 100).astype(np.float32)


@pytest.mark.parametrize("n", [32, 64])
def test_an_array_is_centred_and_brought_to_size(ball: np.ndarray, tmp_path: Path, n: int) -> None:
    np.save(tmp_path / "ball.npy", ball)
    made = density_particle(tmp_path / "ball.npy", n=n)
    reference = particle("sphere", rng=np.random.default_rng(0), n=n)
    overlap = np.sum(made.density * reference.density)
    assert overlap > 0.95 * np.sqrt(np.sum(made.density**2) * np.sum(reference.density**2))
    assert made.voxel_size_angstrom is None


def test_a_map_keeps_its_size_in_angstroms(ball: np.ndarray, tmp_path: Path) -> None:
    mrcfile = pytest.importorskip("mrcfile")
    with mrcfile.new(tmp_path / "ball.mrc") as file:
        file.set_data(ball)
        file.voxel_size = 5.0
    made = density_particle(tmp_path / "ball.mrc", n=32)
    assert made.voxel_size_angstrom is not None
    assert made.diameter_voxels * made.voxel_size_angstrom == pytest.approx(105.0, abs=6)
    given = density_particle(tmp_path / "ball.mrc", n=32, voxel_size_angstrom=10.0)
    assert given.voxel_size_angstrom == pytest.approx(2 * made.voxel_size_angstrom)


def test_noise_below_the_threshold_is_cut(ball: np.ndarray, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.01, ball.shape)
    np.save(tmp_path / "noisy.npy", ball + noise)
    made = density_particle(tmp_path / "noisy.npy", n=32, threshold=0.2)
    assert made.density.min() == 0
    assert made.density[0].max() == 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.ones((8, 8)), r"axes \(z, y, x\), got shape \(8, 8\)"),
        (np.ones((8, 8, 8), complex), "holds real numbers, got complex128"),
        (np.full((8, 8, 8), np.nan), "NaN or inf"),
        (np.zeros((8, 8, 8)), "nowhere above zero"),
        (np.zeros((0, 8, 8)), r"got shape \(0, 8, 8\)"),
    ],
    ids=["flat", "complex", "NaN", "empty", "no voxels"],
)
def test_arrays_that_are_no_density_are_refused(values: np.ndarray, message: str, tmp_path: Path) -> None:
    np.save(tmp_path / "bad.npy", values)
    with pytest.raises(InputError, match=message):
        density_particle(tmp_path / "bad.npy")


def test_files_that_are_no_density_are_refused(tmp_path: Path, ball: np.ndarray) -> None:
    with pytest.raises(InputError, match="no such file"):
        density_particle(tmp_path / "nowhere.mrc")
    (tmp_path / "text.npy").write_text("not an array")
    with pytest.raises(InputError, match="not a NumPy array"):
        density_particle(tmp_path / "text.npy")
    (tmp_path / "map.xyz").write_text("")
    with pytest.raises(InputError, match=r"unknown kind of density '.xyz'"):
        density_particle(tmp_path / "map.xyz")
    np.save(tmp_path / "ball.npy", ball)
    with pytest.raises(InputError, match="threshold is a share"):
        density_particle(tmp_path / "ball.npy", threshold=2.0)
    with pytest.raises(InputError, match="at least 16 voxels"):
        density_particle(tmp_path / "ball.npy", n=4)


def test_maps_that_are_no_density_are_refused(tmp_path: Path, ball: np.ndarray) -> None:
    mrcfile = pytest.importorskip("mrcfile")
    (tmp_path / "text.mrc").write_text("not a map" * 200)
    with pytest.raises(InputError, match="not an MRC map"):
        density_particle(tmp_path / "text.mrc")
    with mrcfile.new(tmp_path / "skew.mrc") as file:
        file.set_data(ball)
        file.voxel_size = (5.0, 5.0, 7.0)
    with pytest.raises(InputError, match="aren't cubes"):
        density_particle(tmp_path / "skew.mrc")
