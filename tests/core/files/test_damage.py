"""Damaged headers end in one error that names the file."""

from pathlib import Path

import numpy as np
import pytest

from friedel.core.errors import InputError
from friedel.core.files.arrays import read_array
from friedel.spi.frames.source import open_frames


def test_a_numpy_header_that_is_no_expression_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "v.npy"
    np.save(path, np.zeros((4, 64, 64), np.uint16))
    path.write_bytes(path.read_bytes().replace(b"{'descr'", b"\x8d'descr'").replace(b"64), }", b"(4, (4 "))
    for read in (read_array, lambda path: open_frames(path).__enter__()):
        with pytest.raises(InputError, match=r"v\.npy"):
            read(path)
