"""Every shipped beamline against xrayutilities' QConversion, an implementation of its own: q to one part in a million.

The frames, with one bright spot, go through the files of the beamline's own layout and through the whole preparation.
"""

from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
import yaml
from xrayutilities import QConversion

from friedel.bcdi.geometry.instrument import Beam, Circle, Detector, Diffractometer
from friedel.bcdi.geometry.rocking import q_of_frames
from friedel.bcdi.prepare.options import PrepareOptions
from friedel.bcdi.prepare.prepare import prepare
from friedel.bcdi.scans.beamline import (
    Beamline,
    FioLayout,
    Hdf5Layout,
    SpecTiffLayout,
    load_beamline,
    shipped_beamlines,
)
from friedel.bcdi.scans.read import read_scan
from friedel.bcdi.scans.source import ScanSource

SHAPE, SPOT = (24, 40, 36), (11, 22, 15)
DISTANCE, ENERGY, DIRECT = 0.83, 9000.0, (18.0, 20.5)
ANGLES = {
    "mu": 0.4, "beta": 0.3, "eta": 17.2, "om": 17.2, "omega": 17.2, "th": 0.3, "gontheta": 17.2, "nath": 2.0,
    "chi": 88.0, "phi": 3.1, "gonphi": 3.1, "nu": 6.0, "gam": 12.6, "gamma": 6.5, "del": 32.0, "delta": 31.0,
}  # fmt: skip
ROCKED = ("eta", "om", "omega", "th", "gontheta", "nath", "mu")


def frames() -> np.ndarray:
    z, y, x = np.indices(SHAPE)
    bell = 5000 * np.exp(-((z - SPOT[0]) ** 2 + (y - SPOT[1]) ** 2 + (x - SPOT[2]) ** 2) / 12)
    return np.random.default_rng(0).poisson(bell).astype(np.uint32)


def expected(
    beamline: Beamline, readings: dict, energies: np.ndarray, pixel: tuple[float, float], direct: tuple[float, float]
) -> np.ndarray:
    """Return q of one pixel in every frame, ``(n, 3)`` in the sample's frame, by xrayutilities."""
    sample, arm = beamline.sample_circles, beamline.detector_circles
    detector = [circle.axis for circle in arm] or ["y+"]
    converter = QConversion([circle.axis for circle in sample], detector, [0, 0, 1], en=ENERGY)
    pitch = beamline.detector.pixel_size_m
    converter.init_area(
        beamline.detector.y_axis, beamline.detector.x_axis, direct[0] - pixel[0], direct[1] - pixel[1], 1, 1,
        distance=DISTANCE, pwidth1=pitch[0], pwidth2=pitch[1],
    )  # fmt: skip
    out = []
    for frame in range(SHAPE[0]):
        angles = [
            circle.sign * float(np.broadcast_to(readings[circle.motor], SHAPE[0])[frame]) + circle.offset_deg
            for circle in (*sample, *arm)
        ] + ([] if arm else [0.0])
        q = converter.area(*angles, en=float(energies[frame]), deg=True)
        out.append([float(np.squeeze(component)) for component in q])
    return np.array(out)


def write(beamline: Beamline, readings: dict, energies: np.ndarray, folder: Path) -> ScanSource:
    """Write a scan in the beamline's own layout."""
    layout = beamline.layout
    options = {"beamline": beamline.name, "scan": 7, "distance_m": DISTANCE, "direct_beam_yx": DIRECT}
    if isinstance(layout, SpecTiffLayout):
        return ScanSource(**options, **_spec(readings, energies, folder))
    if isinstance(layout, FioLayout):
        return ScanSource(**options, path=_fio(readings, energies, folder))
    assert isinstance(layout, Hdf5Layout)
    return ScanSource(**options, path=_hdf5(beamline, layout, readings, energies, folder))


def _spec(readings: dict, energies: np.ndarray, folder: Path) -> dict:
    (folder / "x_S0007").mkdir()
    for index, frame in enumerate(frames()):
        tifffile.imwrite(folder / "x_S0007" / f"x_{index:05d}.tif", frame)
    still = {name: float(np.atleast_1d(value)[0]) for name, value in readings.items()} | {
        "en": energies[0] / 1e3,
        "cam": 1e3,
    }
    moving = {name: value for name, value in readings.items() if np.ndim(value)}
    if np.ptp(energies):
        moving["en"] = energies / 1e3
    lines = ["#F x", "#E 1", "#D Mon Jan  1 00:00:00 2024", "#O0 " + "  ".join(f"Long {n}" for n in still),
             "#o0 " + " ".join(still), "", "#S 7 ascan", "#P0 " + " ".join(f"{v:.12g}" for v in still.values()),
             f"#N {len(moving)}", "#L " + "  ".join(moving)]  # fmt: skip
    rows = [" ".join(f"{value[k]:.14g}" for value in moving.values()) for k in range(SHAPE[0])]
    (folder / "x.spec").write_text("\n".join([*lines, *rows, ""]))
    return {"path": folder / "x_S0007", "spec": folder / "x.spec"}


def _fio(readings: dict, energies: np.ndarray, folder: Path) -> Path:
    inner = folder / "x_00007" / "e4m"
    inner.mkdir(parents=True)
    with h5py.File(inner / "x_00007_data_000001.h5", "w") as file:
        file["entry/data/data"] = frames()
    with h5py.File(inner / "x_00007_master.h5", "w") as file:
        file["entry/data/data_000001"] = h5py.ExternalLink("x_00007_data_000001.h5", "/entry/data/data")
    moving = {name: value for name, value in readings.items() if np.ndim(value)}
    if np.ptp(energies):
        moving["fmbenergy"] = energies
    still = {name: value for name, value in readings.items() if not np.ndim(value)} | {"fmbenergy": energies[0]}
    lines = ["!", "%c", "ascan om 17 18", "%p", *(f"{n} = {v:.12g}" for n, v in still.items()), "%d"]
    lines += [f" Col {k + 1} {name} DOUBLE" for k, name in enumerate(moving)]
    lines += [" ".join(f"{value[k]:.14g}" for value in moving.values()) for k in range(SHAPE[0])]
    (folder / "x_00007" / "x_00007.fio").write_text("\n".join([*lines, ""]))
    return folder


def _hdf5(beamline: Beamline, layout: Hdf5Layout, readings: dict, energies: np.ndarray, folder: Path) -> Path:
    path = folder / "x.h5"
    with h5py.File(path, "w") as file:
        entry = file.create_group(layout.entry.format(scan=7).replace("*", "1"))
        entry[layout.frames[0].replace("*", "01")] = frames()
        for circle in (*beamline.sample_circles, *beamline.detector_circles):
            name = next((name for name in circle.names if "/" in name), f"{layout.positioners[0]}/{circle.motor}")
            if layout.scanned is not None and np.ndim(readings[circle.motor]):
                name = layout.scanned.positions
                if layout.scanned.motor_named_in:
                    entry[layout.scanned.motor_named_in] = np.bytes_(f"Scan1D_mg_{circle.motor}")
            name = name.replace("*", "")
            if name not in entry:
                entry[name] = readings[circle.motor]
        unit = {"eV": energies, "keV": energies / 1e3, "angstrom": 12398.419843320026 / energies}[beamline.energy.unit]
        motor = beamline.energy.motor
        at = motor if "/" in motor else f"{layout.positioners[0]}/{motor}"
        if at not in entry:
            entry[at] = unit if np.ptp(unit) else float(unit[0])
    return path


def readings_of(beamline: Beamline, kind: str) -> tuple[dict, np.ndarray]:
    names = [circle.motor for circle in (*beamline.sample_circles, *beamline.detector_circles)]
    readings: dict = {name: ANGLES[name] for name in names}
    steps, energies = np.arange(SHAPE[0]), np.full(SHAPE[0], ENERGY)
    rocked = next(name for name in ROCKED if name in [circle.motor for circle in beamline.sample_circles])
    if kind == "energy":
        return readings, ENERGY + 4.0 * steps
    readings[rocked] = readings[rocked] + 0.01 * steps
    if kind == "two motors":
        other = [circle.motor for circle in (*beamline.sample_circles, *beamline.detector_circles)][-1]
        if other != rocked:
            readings[other] = readings[other] + 0.004 * steps
    return readings, energies


def check(beamline: Beamline, kind: str, folder: Path) -> None:
    readings, energies = readings_of(beamline, kind)
    scan = read_scan(write(beamline, readings, energies, folder))
    assert scan.beam is not None
    assert scan.detector is not None
    assert scan.diffractometer is not None
    for pixel in ((0.0, 0.0), (22.0, 15.0), (39.0, 35.0)):
        ours = q_of_frames(
            beam=scan.beam, detector=scan.detector, diffractometer=scan.diffractometer, motors_deg=scan.motors_deg,
            pixel_yx=pixel, energies_ev=scan.energies_ev,
        )  # fmt: skip
        theirs = expected(beamline, readings, energies, pixel, DIRECT)
        assert np.abs(ours - theirs).max() < 1e-6 * np.linalg.norm(theirs, axis=1).max()
    result = prepare(scan, PrepareOptions(centre=SPOT, shape=(16, 24, 24), aliens=False))
    assert result.grid is not None
    # A fixed detector sees a spot near the direct beam here: planes further apart than any crystal's, and steps so fine
    # in q that the crystal would be far longer than wide; both are said.
    said = ("lattice planes", "the crystal comes out")
    assert [text for text in result.warnings if beamline.detector_circles or not any(s in text for s in said)] == []
    spot = expected(beamline, readings, energies, (22.0, 15.0), DIRECT)
    assert np.linalg.norm(result.grid.q_bragg) == pytest.approx(np.linalg.norm(spot[SPOT[0]]), rel=1e-6)
    step = np.linalg.norm(spot[SPOT[0] + 1] - spot[SPOT[0] - 1]) / 2
    assert np.linalg.norm(result.grid.basis[0]) == pytest.approx(step, rel=2e-4)


@pytest.mark.parametrize("kind", ["rocking", "energy", "two motors"])
@pytest.mark.parametrize("name", shipped_beamlines())
def test_a_spot_of_every_beamline_lies_where_an_independent_program_puts_it(
    name: str, kind: str, tmp_path: Path
) -> None:
    beamline = load_beamline(name)
    if kind != "rocking" and isinstance(beamline.layout, Hdf5Layout) and beamline.layout.scanned is not None:
        pytest.skip("this layout names one scanned circle")
    check(beamline, kind, tmp_path)


def test_a_beamline_of_ones_own_may_have_any_number_of_circles(tmp_path: Path) -> None:
    values = yaml.safe_load((Path(__file__).parents[3] / "src/friedel/bcdi/scans/beamlines/esrf_id01.yaml").read_text())
    values["sample_circles"] += [{"motor": "chi", "axis": "z+"}, {"motor": "omega", "axis": "x+", "sign": -1}]
    values["detector_circles"] += [{"motor": "gam", "axis": "z-", "offset_deg": 1.5}, {"motor": "beta", "axis": "y+"}]
    own = Beamline.read(values | {"name": str(tmp_path / "own.yaml")})
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(own.model_dump(mode="json")))
    check(own, "rocking", tmp_path)


def test_a_robot_moves_the_detector_after_its_circles_turned() -> None:
    circles = Diffractometer(sample_circles=(Circle("th", "y+"),), detector_circles=(Circle("arm", "y+"),))
    far = Detector(pixel_size_m=(1e-4, 1e-4), distance_m=0.5, direct_beam_yx=(10.0, 10.0), shift_m=(0.3, -0.2, 0.4))
    q = q_of_frames(
        beam=Beam(photon_energy_ev=ENERGY), detector=far, diffractometer=circles,
        motors_deg={"th": 0.0, "arm": 30.0}, pixel_yx=(10.0, 10.0),
    )[0]  # fmt: skip
    place = np.array([0.5 * np.sin(np.radians(30)) + 0.3, -0.2, 0.5 * np.cos(np.radians(30)) + 0.4])
    k = 2 * np.pi / (12398.419843320026 / ENERGY)
    np.testing.assert_allclose(q, k * (place / np.linalg.norm(place) - [0, 0, 1]), rtol=1e-9, atol=1e-12)


def test_a_fixed_detector_needs_the_direct_beam(tmp_path: Path) -> None:
    beamline = load_beamline("esrf_id27")
    source = write(beamline, *readings_of(beamline, "rocking"), tmp_path)
    with pytest.raises(Exception, match="direct_beam_yx"):
        read_scan(source.model_copy(update={"direct_beam_yx": None}))
