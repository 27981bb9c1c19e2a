import json
import resource
from contextlib import contextmanager

import numpy as np
import pytest

from friedel.bcdi.records import Diffraction
from friedel.bcdi.results.save import load_reconstruction, save_quality, save_reconstruction
from friedel.core.errors import InputError


@contextmanager
def small_disk(n_bytes):
    """Make every file end at ``n_bytes``, as a full disk does: the write itself fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def assert_same(left, right):
    np.testing.assert_array_equal(left.object, right.object)
    np.testing.assert_array_equal(left.support, right.support)
    assert left.object.dtype == np.complex64
    assert left.support.dtype == bool
    assert left.provenance == right.provenance
    assert left.quality.as_dict() == right.quality.as_dict()
    for one, other in zip(left.starts, right.starts, strict=True):
        np.testing.assert_array_equal(one.chi_curve, other.chi_curve)
        assert one.chi_curve.dtype == np.float32
        np.testing.assert_array_equal(one.iterations, other.iterations)
        assert (one.chi, one.free_deviance, one.chosen) == (other.chi, other.free_deviance, other.chosen)


@pytest.mark.parametrize("suffix", [".cxi", ".npz"])
def test_what_is_saved_comes_back(finished, tmp_path, suffix):
    result = finished()
    path = result.save(tmp_path / f"result{suffix}")
    again = load_reconstruction(path)
    assert_same(again, result)
    np.testing.assert_allclose(again.grid.basis, result.grid.basis, rtol=1e-14)
    np.testing.assert_allclose(again.grid.q_bragg, result.grid.q_bragg, rtol=1e-14)
    assert again.grid.wavelength_angstrom == pytest.approx(result.grid.wavelength_angstrom, rel=1e-14)
    assert np.isnan(again.quality.prtf.value[-1])


@pytest.mark.parametrize("suffix", [".cxi", ".npz"])
def test_unknown_geometry_stays_unknown(finished, tmp_path, suffix):
    path = save_reconstruction(finished(geometry=None), tmp_path / f"result{suffix}")
    assert load_reconstruction(path).grid is None


@pytest.mark.parametrize("name", ["result.tif", "result"])
def test_an_unknown_suffix_names_the_known_ones(finished, tmp_path, name):
    with pytest.raises(InputError, match=r"\.cxi, \.npz, \.vti, got"):
        save_reconstruction(finished(), tmp_path / name)
    with pytest.raises(InputError, match=r"\.cxi, \.npz, got"):
        load_reconstruction(tmp_path / name)


def test_a_capital_suffix_is_the_same_format(finished, tmp_path):
    path = save_reconstruction(finished(), tmp_path / "RESULT.NPZ")
    assert_same(load_reconstruction(path), finished())


def test_only_cxi_takes_the_measurement(finished, tmp_path):
    result = finished()
    measurement = Diffraction(intensities=np.ones((4, 4, 4), np.float32), mask=np.ones((4, 4, 4), bool))
    with pytest.raises(InputError, match=r"only a \.cxi file"):
        save_reconstruction(result, tmp_path / "result.npz", diffraction=measurement)


@pytest.mark.parametrize("suffix", [".cxi", ".npz", ".vti", ".json"])
def test_a_full_disk_keeps_the_good_file(finished, tmp_path, suffix):
    if suffix == ".vti":
        pytest.importorskip("pyvista")
    write = save_quality if suffix == ".json" else save_reconstruction
    path = write(finished(), tmp_path / f"result{suffix}")
    before = path.read_bytes()
    with small_disk(300), pytest.raises(InputError, match=f"result{suffix}: can't be written"):
        write(finished(trusted=False), path)
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".cxi", ".npz"])
def test_a_damaged_or_foreign_file_is_named(finished, tmp_path, suffix):
    path = save_reconstruction(finished(), tmp_path / f"result{suffix}")
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"not a result at all"):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=f"result{suffix}: not a reconstruction written by friedel"):
            load_reconstruction(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"gone\.cxi: no such file"):
        load_reconstruction(tmp_path / "gone.cxi")


def test_quality_is_strict_json_with_null_for_nan(finished, tmp_path):
    path = save_quality(finished(), tmp_path / "quality.json")
    record = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert record["quality"]["chi"] == 0.0412
    assert record["quality"]["prtf"]["value"][-1] is None
    assert record["provenance"]["seed"] == 7
    with pytest.raises(InputError, match=r"\.json"):
        save_quality(finished(), tmp_path / "quality.txt")
