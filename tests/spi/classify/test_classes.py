"""From a classification to classes one can look at, keep or drop; sizes in nm where the file says the geometry."""

import json

import h5py
import numpy as np
import pytest

from friedel.core.errors import InputError
from friedel.spi.classify.classes import run_classes
from friedel.spi.demo import run_hits_demo
from friedel.spi.frames.beam import read_beam


@pytest.fixture(scope="module")
def classified(tmp_path_factory):
    folder = tmp_path_factory.mktemp("classified") / "hits"
    run_hits_demo(folder, frames=96, seed=3)
    return folder


def test_classes_are_written_and_a_dropped_one_is_not_in_the_selection(classified, tmp_path) -> None:
    whole = run_classes(classified, tmp_path / "all", classes=4)
    counts = whole.classes.counts
    assert whole.kept == counts.sum() == len(whole.numbers)
    page = (tmp_path / "all" / "report.html").read_text()
    assert f"{len(counts)} classes of {counts.sum()} selected frames" in page
    assert "nm" in page
    fewer = run_classes(classified, tmp_path / "fewer", classes=4, drop=[1])
    assert fewer.kept == counts[1:].sum()
    rows = (tmp_path / "fewer" / "classes.csv").read_text().splitlines()[1:]
    assert [row.endswith(",0") for row in rows] == (fewer.classes.member == 0).tolist()
    with h5py.File(tmp_path / "fewer" / "selection.cxi") as file:
        assert len(file["entry_1/data_1/data"]) == fewer.kept
    with pytest.raises(InputError, match=r"there is no class 9: they are numbered from 1 to"):
        run_classes(classified, tmp_path / "none", classes=4, keep=[9])


def test_the_summary_says_precision_blanks_and_sizes_in_nm(classified) -> None:
    figures = json.loads((classified / "summary.json").read_text())
    assert 0.5 < figures["precision"] <= 1
    assert figures["sizes"]["unit"] == "nm"
    assert 25 < figures["sizes"]["modes"][0]["diameter"] < 100
    header = (classified / "scores.csv").read_text().splitlines()[0]
    assert "diameter_nm,diameter_error_nm,photons_per_um2,asphericity" in header


def test_a_file_without_geometry_has_no_beam(tmp_path) -> None:
    path = tmp_path / "plain.h5"
    with h5py.File(path, "w") as file:
        file["entry_1/data_1/data"] = np.zeros((2, 64, 64))
        file["entry_1/instrument_1/detector_1/distance"] = 0.5
    assert read_beam(path) is None
    assert read_beam(tmp_path / "frames.npy") is None
