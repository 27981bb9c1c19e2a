"""What a file records of beam and detector, where it isn't what the scan is read with: both values are said."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from friedel.bcdi.scans.read import read_scan
from friedel.bcdi.scans.source import ScanSource
from friedel.core.observer import Recorder, Warned

N = 12


def eiger(folder: Path, shape: tuple[int, int] = (24, 30), energy: float = 9000, **recorded: Any) -> ScanSource:
    """Write a master file with a .fio beside it, and return how to read it."""
    with h5py.File(folder / "c_00007_master.h5", "w") as file:
        file["entry/data/data_000001"] = np.random.default_rng(0).poisson(3, (N, *shape)).astype(np.uint32)
        for name, value in recorded.items():
            file[f"entry/instrument/{name.replace('__', '/')}"] = value
    motors = (
        "\n".join(f"{name} = 10" for name in ("om", "del", "gam", "phi", "chi", "mu", "chi"))
        + f"\nfmbenergy = {energy}"
    )
    rows = "\n".join(f" {10 + 0.01 * k:.4f}" for k in range(N))
    text = f"!\n%c\nascan om 10 10.11 11 1\n!\n%p\n{motors}\n!\n%d\n Col 1 om DOUBLE\n{rows}\n"
    (folder / "c_00007.fio").write_text(text)
    return ScanSource(path=folder / "c_00007_master.h5", beamline="petra3_p10", distance_m=1.8, energy_ev=9000.0)


def warned(source: ScanSource) -> list[Warned]:
    heard = Recorder()
    read_scan(source, observer=heard)
    steps = ("geometry", "photon energy", "detector distance", "shape", "pixels")
    return [event for event in heard.events if isinstance(event, Warned) and event.step in steps]


def test_what_agrees_raises_no_word(tmp_path: Path) -> None:
    source = eiger(
        tmp_path, detector__detectorSpecific__photon_energy=9010.0, detector__detector_distance=1.81,
        beam__incident_wavelength=1.3776,
    )  # fmt: skip
    assert warned(source) == []


@pytest.mark.parametrize(
    ("recorded", "words"),
    [
        ({"detector__detectorSpecific__photon_energy": 12000.0}, ("12000 eV", "9000 eV")),
        ({"beam__incident_wavelength": 1.2}, ("10332 eV", "9000 eV")),
        ({"detector__detector_distance": 1.2}, ("1.2 m", "1.8 m")),
    ],
)
def test_what_differs_from_what_is_stated_is_said_with_both_values(
    recorded: dict[str, float], words: tuple[str, str], tmp_path: Path
) -> None:
    said = warned(eiger(tmp_path, **recorded))
    assert len(said) == 1
    assert all(word in said[0].text for word in words)
    assert not said[0].bends


def test_pixels_stated_otherwise_than_recorded_are_said(tmp_path: Path) -> None:
    source = eiger(tmp_path, detector__x_pixel_size=75e-6, detector__y_pixel_size=75e-6)
    said = warned(source.model_copy(update={"pixel_size_m": (55e-6, 55e-6)}))
    assert "75 × 75 µm" in said[0].text
    assert "55 × 55 µm" in said[0].text


@pytest.mark.parametrize(
    ("shape", "recorded"),
    [((30, 24), {"y_pixels_in_detector": 24, "x_pixels_in_detector": 30}), ((1030, 514), {})],
)
def test_exchanged_rows_and_columns_are_counted(
    shape: tuple[int, int], recorded: dict[str, int], tmp_path: Path
) -> None:
    named = {f"detector__detectorSpecific__{name}": value for name, value in recorded.items()}
    said = warned(eiger(tmp_path, shape, **named))
    assert "are rows and columns exchanged?" in said[0].text
    assert said[0].bends


def test_a_stated_energy_beside_another_recorded_one_is_said(tmp_path: Path) -> None:
    said = warned(eiger(tmp_path, energy=12000))
    assert "9000 is stated with 'energy_ev' and used, but 12000 is recorded as 'fmbenergy'" in said[0].text
