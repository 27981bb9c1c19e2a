"""Whatever is wrong with the input: one line that names the file, exit code 2, and nothing half-written."""

import h5py
import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from friedel.cli.main import app

GOOD = np.random.default_rng(0).poisson(5.0, (16, 16, 16)).astype(np.float32)


def _array(values):
    return lambda path: np.save(path, np.asarray(values))


def _truncated_npy(path):
    np.save(path, GOOD)
    path.write_bytes(path.read_bytes()[:-1000])


def _truncated_hdf5(path):
    with h5py.File(path, "w") as file:
        file["data"] = GOOD
    path.write_bytes(path.read_bytes()[:-8000])


def _truncated_tiff(path):
    tifffile.imwrite(path, GOOD)
    path.write_bytes(path.read_bytes()[:-8000])


def _two_volumes(path):
    np.savez(path, first=GOOD, second=GOOD)


CASES = {
    "image.npy": _array(np.ones((16, 16))),
    "four.npy": _array(np.ones((2, 16, 16, 16))),
    "zeros.npy": _array(np.zeros((16, 16, 16))),
    "unknown.npy": _array(np.full((16, 16, 16), np.nan)),
    "negative.npy": _array(-GOOD),
    "complex.npy": _array(GOOD + 1j),
    "words.npy": _array(np.full((16, 16, 16), "a")),
    "empty.npy": _array(np.ones((0, 16, 16))),
    "cut.npy": _truncated_npy,
    "cut.h5": _truncated_hdf5,
    "cut.tif": _truncated_tiff,
    "two.npz": _two_volumes,
    "text.npy": lambda path: path.write_text("not an array"),
    "text.h5": lambda path: path.write_text("not an array"),
    "volume.xyz": lambda path: path.write_text("which format?"),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_input_gives_one_line_and_leaves_nothing(name, tmp_path):
    path = tmp_path / name
    CASES[name](path)
    result = CliRunner().invoke(app, ["reconstruct", str(path), "-o", str(tmp_path / "result")])
    assert result.exit_code == 2, result.output
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert name in errors[0]
    assert result.stdout == ""
    assert [entry.name for entry in tmp_path.iterdir()] == [name]
