import h5py
import numpy as np
import pytest
import scipy.sparse as sp

from friedel.core.errors import InputError
from friedel.spi.frames.dragonfly import (
    DragonflyDetector,
    read_detector,
    read_photons,
    write_detector,
    write_photons_hdf5,
)
from friedel.spi.frames.emc import sparse, write_emc


@pytest.fixture
def frames():
    return np.random.default_rng(0).poisson(0.7, (7, 50)).astype(np.int32)


def write_sparse(path, frames):
    write_emc(path, (sparse(frame) for frame in frames), n_frames=len(frames), n_pixels=frames.shape[1])


def test_sparse_files_read_back(tmp_path, frames):
    write_sparse(tmp_path / "a.emc", frames)
    write_photons_hdf5(tmp_path / "a.h5", sp.csr_matrix(frames))
    for name in ("a.emc", "a.h5"):
        np.testing.assert_array_equal(read_photons(tmp_path / name).toarray(), frames)


@pytest.mark.parametrize("listed", [True, False], ids=["a list a frame", "in one line"])
def test_lengths_may_stand_beside_the_places_and_must_agree_with_them(tmp_path, frames, listed):
    path = tmp_path / "a.h5"
    places = [[np.flatnonzero(kind(frame)) for frame in frames] for kind in (lambda f: f == 1, lambda f: f > 1)]
    counts = [frame[frame > 1] for frame in frames]
    with h5py.File(path, "w") as file:
        file["num_pix"] = frames.shape[1]
        file["ones"], file["multi"] = ([len(row) for row in rows] for rows in places)
        for name, rows in zip(("place_ones", "place_multi", "count_multi"), (*places, counts), strict=True):
            if listed:
                file.create_dataset(name, (len(rows),), h5py.vlen_dtype(np.int32))[:] = rows
            else:
                file[name] = np.concatenate(rows)
    np.testing.assert_array_equal(read_photons(path).toarray(), frames)
    with h5py.File(path, "a") as file:
        del file["count_multi"]
        file["count_multi"] = np.ones(3, np.int32)
    with pytest.raises(InputError, match=r"damaged|not a file"):
        read_photons(path)


@pytest.mark.parametrize(("kind", "dtype"), [(1, "<i4"), (2, "<f8")])
def test_dense_files_are_read(tmp_path, frames, kind, dtype):
    header = np.zeros(256, "<i4")
    header[:3] = *frames.shape, kind
    (tmp_path / "d.emc").write_bytes(header.tobytes() + frames.astype(dtype).tobytes())
    np.testing.assert_array_equal(read_photons(tmp_path / "d.emc").toarray(), frames)


def test_a_truncated_file_says_so(tmp_path, frames):
    path = tmp_path / "a.emc"
    write_sparse(path, frames)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(InputError, match="truncated"):
        read_photons(path)


def test_places_beyond_the_detector_are_damage(tmp_path, frames):
    path = tmp_path / "a.emc"
    write_sparse(path, frames)
    content = bytearray(path.read_bytes())
    content[4:8] = np.array([10], "<i4").tobytes()
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match="damaged"):
        read_photons(path)


@pytest.mark.parametrize("name", ["det.h5", "det.dat"])
def test_detectors_read_back(tmp_path, name):
    rng = np.random.default_rng(1)
    detector = DragonflyDetector(
        q=rng.normal(size=(9, 3)),
        correction=rng.uniform(size=9),
        mask=np.arange(9, dtype=np.uint8) % 3,
        distance=200.0,
        ewald_radius=150.0,
    )
    write_detector(tmp_path / name, detector)
    back = read_detector(tmp_path / name)
    np.testing.assert_allclose(back.q, detector.q, rtol=1e-7)
    np.testing.assert_allclose(back.correction, detector.correction, rtol=1e-7)
    np.testing.assert_array_equal(back.mask, detector.mask)
    assert (back.distance, back.ewald_radius) == (200.0, 150.0)


def test_anything_else_is_no_detector(tmp_path):
    (tmp_path / "x.dat").write_text("not numbers\n")
    with pytest.raises(InputError, match="not a Dragonfly detector"):
        read_detector(tmp_path / "x.dat")
