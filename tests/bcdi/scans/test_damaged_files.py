"""A few files of each format damaged at random bytes: an error, a warning, or the same data; never a crash."""

import sys
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest

from friedel.core.errors import InputError
from friedel.core.files.arrays import read_volume

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))
damaged_files = pytest.importorskip("damaged_files")


@pytest.mark.parametrize("kind", damaged_files.FORMATS)
def test_damage_is_refused_said_or_without_effect(kind: str) -> None:
    found = {damaged_files.outcome(kind, seed) for seed in range(6)}
    assert found <= {"refused", "said", "same", "values changed"}


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "f8"])
@pytest.mark.parametrize("shape", [(5, 17, 19), (4, 3, 2), (6, 128, 130)])
def test_sound_chunks_are_read_and_those_whose_lengths_are_damaged_refused(
    dtype: str, shape: tuple[int, int, int], tmp_path: Path
) -> None:
    """Damaged lengths of bitshuffled blocks end in a crash of the library that unpacks them."""
    values = np.random.default_rng(0).poisson(3, shape).astype(dtype)
    path = tmp_path / "run.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset("data", data=values, chunks=(1, *shape[1:]), **hdf5plugin.Bitshuffle(cname="lz4"))
        chunk = data.id.get_chunk_info(2)
    np.testing.assert_array_equal(read_volume(path).values, values)
    content = bytearray(path.read_bytes())
    has_blocks = np.prod(shape[1:]) >= 8
    for place in (0, 9, 12) if has_blocks else (0,):
        damaged = content.copy()
        damaged[chunk.byte_offset + place] ^= 0x41
        path.write_bytes(damaged)
        if place == 9 and np.prod(shape[1:]) < 1000:  # one block only: its largest length doesn't matter
            np.testing.assert_array_equal(read_volume(path).values, values)
            continue
        with pytest.raises(InputError, match="damaged"):
            read_volume(path)


def test_parts_never_written_are_no_damage(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "run.h5", "w") as file:
        packed = hdf5plugin.Bitshuffle(cname="lz4")
        data = file.create_dataset("data", (6, 32, 32), "u2", chunks=(1, 16, 32), **packed)
        data[:, :16] = 7
        data[:3, 16:] = 7
    volume = read_volume(tmp_path / "run.h5")
    assert volume.lost is not None
    assert volume.lost.sum() == 3 * 16 * 32
    assert (volume.values[~volume.lost] == 7).all()
