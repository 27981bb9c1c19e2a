"""SPEC files as programs other than SPEC write them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from friedel.core.errors import InputError
from friedel.core.files.spec import read_spec_scan

ANGLES = np.round(0.2 + 0.01 * np.arange(12), 5)
NAMES, MNEMONICS, POSITIONS = ("Theta", "Camera Z", "Energy"), "th cam en", "0.2 500 9"


def written(path: Path, *, names: str = "  ".join(NAMES), labels: str = "th  Seconds", rows: list[str]) -> Path:
    head = f"#F x\n#E 1\n#O0 {names}\n#o0 {MNEMONICS}\n\n#S 54  ascan  th 0.2 0.31 11 1\n#P0 {POSITIONS}\n"
    path.write_text(f"{head}#N 2\n#L {labels}\n" + "\n".join(rows) + "\n\n")
    return path


def rows(change: Callable[[int, float], str] = lambda k, angle: f"{angle:.5f} 1") -> list[str]:
    return [change(k, angle) for k, angle in enumerate(ANGLES)]


def test_names_parted_by_one_blank_are_told_by_their_number(tmp_path: Path) -> None:
    scan = read_spec_scan(written(tmp_path / "x", names="Theta Camera Energy", rows=rows()))
    assert scan.motors["Camera"] == 500
    assert read_spec_scan(written(tmp_path / "y", rows=rows())).motors["Camera Z"] == 500
    with pytest.raises(InputError, match="1 names on its #O lines"):
        read_spec_scan(written(tmp_path / "z", names="Theta Camera Z Energy", rows=rows()))


@pytest.mark.parametrize("word", ["nan", "inf", "NaN"])
def test_a_point_without_a_reading_is_a_point(tmp_path: Path, word: str) -> None:
    path = written(tmp_path / "x", rows=rows(lambda k, angle: f"{word if k == 7 else angle} 1"))
    found = read_spec_scan(path).columns["th"]
    assert found.size == 12
    assert not np.isfinite(found[7])


def test_spectra_between_the_points_are_no_points(tmp_path: Path) -> None:
    with_spectra = [line for row in rows() for line in (row, "@A 1 2 3\\", "   4 5 6\\", " 7 8 9")]
    np.testing.assert_array_equal(read_spec_scan(written(tmp_path / "x", rows=with_spectra)).columns["th"], ANGLES)


@pytest.mark.parametrize(
    "change",
    [
        lambda k, angle: f"{angle:.5E} 1".replace("E", "D"),
        lambda k, angle: f"{angle:.5f} 1".replace(".", ","),
        lambda k, angle: f"  {angle:.5f}\t1  ",
    ],
)
def test_numbers_of_other_languages_are_read(tmp_path: Path, change: Callable[[int, float], str]) -> None:
    np.testing.assert_allclose(read_spec_scan(written(tmp_path / "x", rows=rows(change))).columns["th"], ANGLES)


def test_of_two_columns_of_one_name_the_first_is_read_and_it_is_said(tmp_path: Path) -> None:
    path = written(tmp_path / "x", labels="th  th", rows=rows(lambda k, angle: f"{angle:.5f} 0.0"))
    scan = read_spec_scan(path)
    np.testing.assert_array_equal(scan.columns["th"], ANGLES)
    assert any("several columns 'th'" in note for note in scan.notes)


@pytest.mark.parametrize("opening", ["#E 2\n#D Tue Jan  2 00:00:00 2024\n", ""])
def test_motors_named_anew_between_scans_hold_from_there(opening: str, tmp_path: Path) -> None:
    path = written(tmp_path / "x", rows=rows())
    again = "#O0 Energy  Theta  Camera Z\n#o0 en th cam\n\n#S 55  ascan  th 0 1 1 1\n#P0 9 0.2 500\n#N 1\n#L th\n0\n1\n"
    path.write_text(path.read_text() + opening + again)
    for number in (54, 55):
        motors = read_spec_scan(path, number).motors
        assert (motors["th"], motors["cam"], motors["Energy"]) == (0.2, 500, 9)
