"""Measured geometries: EXtra-geom's own example is the panel layout shipped here, and bad files say so."""

from pathlib import Path

import pytest

from friedel.core.errors import InputError
from friedel.spi.detectors import frame_detector
from friedel.spi.simulation.geometry import read_frame_geometry

extra_geom = pytest.importorskip("extra_geom")


@pytest.fixture
def agipd(tmp_path: Path) -> Path:
    path = tmp_path / "agipd.geom"
    extra_geom.AGIPD_1MGeometry.example().write_crystfel_geom(str(path), dims=("frame", "modno", "ss", "fs"))
    return path


@pytest.mark.parametrize("shape", [(256, 256), (128, 128)])
def test_the_shipped_agipd_is_extra_geoms_example(agipd: Path, shape: tuple[int, int]) -> None:
    read = read_frame_geometry(agipd, "agipd1m", shape)
    shipped = frame_detector("agipd1m", shape)
    assert read.binning == shipped.binning
    assert read.pixel_size_m == pytest.approx(shipped.pixel_size_m)
    assert (read.mask != shipped.mask).mean() < 0.01


def test_what_is_no_geometry_is_refused(agipd: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such geometry file"):
        read_frame_geometry(tmp_path / "nowhere.geom", "agipd1m")
    with pytest.raises(InputError, match="no geometry for 'eiger'; choose one of: agipd1m"):
        read_frame_geometry(agipd, "eiger")
    (tmp_path / "text.geom").write_text("hello\n")
    with pytest.raises(InputError, match="not a CrystFEL geometry of the agipd1m"):
        read_frame_geometry(tmp_path / "text.geom", "agipd1m")
