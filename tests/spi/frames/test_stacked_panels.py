"""Panels that lie one upon the other, without a geometry: refused by the detector's name, or asked about."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from friedel.core.errors import InputError
from friedel.spi.frames.source import open_frames


def write(path: Path, shape: tuple[int, ...]) -> Path:
    frames = np.zeros((2, *shape), np.uint16)
    if path.suffix == ".npy":
        np.save(path, frames)
    else:
        with h5py.File(path, "w") as file:
            file.create_dataset("entry_1/data_1/data", data=frames, chunks=(1, *shape), compression="gzip")
    return path


@pytest.mark.parametrize("suffix", ["cxi", "npy"])
@pytest.mark.parametrize(
    ("shape", "name"),
    [((8192, 128), "AGIPD"), ((1480, 1552), "CSPAD"), ((1480, 388), "CSPAD"), ((4096, 1024), "JUNGFRAU"),
     ((2048, 512), "DSSC"), ((1408, 384), "ePix10k")],
)  # fmt: skip
def test_known_stacks_are_refused_by_name(tmp_path: Path, suffix: str, shape: tuple[int, int], name: str) -> None:
    path = write(tmp_path / f"run.{suffix}", shape)
    with pytest.raises(InputError, match=rf"an? (quarter of a )?{name}.*--geometry"), open_frames(path):
        pass


@pytest.mark.parametrize("suffix", ["cxi", "npy"])
def test_many_rows_are_asked_about_and_whole_detectors_are_not(tmp_path: Path, suffix: str) -> None:
    with open_frames(write(tmp_path / f"long.{suffix}", (256, 64))) as source:
        assert any("256 rows and 64 columns" in note for note in source.notes)
    for k, shape in enumerate([(128, 128), (514, 1030), (195, 1475), (1024, 512), (260, 257)]):
        with open_frames(write(tmp_path / f"whole_{k}.{suffix}", shape)) as source:
            assert source.notes == ()
