"""The whole preparation, on a simulated scan with every fault and on the real one."""

from pathlib import Path

import numpy as np
import pytest

from friedel.bcdi.forward.scan import PERFECT, SimulatedScan, gold_111_geometry, simulate_demo_scan
from friedel.bcdi.geometry.rocking import reciprocal_grid
from friedel.bcdi.prepare.options import PrepareOptions
from friedel.bcdi.prepare.prepare import clean_counts, prepare
from friedel.bcdi.records import BraggScan
from friedel.bcdi.records.origin import FACTS
from friedel.bcdi.scans.read import read_scan
from friedel.bcdi.scans.source import ScanSource
from friedel.core.errors import InputError, PlanError
from friedel.core.observer import Note, Recorder

STEPS = [
    "unit", "dead pixels", "hot pixels", "flat field", "angles", "beam", "centre", "aliens", "crop", "oversampling",
]  # fmt: skip


@pytest.fixture(scope="module")
def simulated() -> SimulatedScan:
    return simulate_demo_scan(seed=0, shape=(64, 72, 80))


def plain(frames: np.ndarray) -> BraggScan:
    return BraggScan(frames=frames, mask=np.ones(frames.shape[1:], bool), name="plain")


def test_every_step_says_what_it_did_with_numbers(simulated: SimulatedScan) -> None:
    recorder = Recorder()
    prepare(simulated.scan, observer=recorder)
    notes = [event for event in recorder.events if isinstance(event, Note)]
    assert [note.step for note in notes] == STEPS
    assert all(note.figures for note in notes if note.step not in FACTS)


def test_bad_pixels_are_unknown_and_good_ones_are_kept(simulated: SimulatedScan) -> None:
    found = ~clean_counts(simulated.scan).mask.any(axis=0)
    bad = simulated.dead | simulated.hot
    assert (found & bad).sum() >= 0.95 * bad.sum()
    assert (found & ~bad).sum() <= 3


def test_the_peak_comes_to_the_middle_and_counts_stay_photons(simulated: SimulatedScan) -> None:
    result = prepare(simulated.scan)
    middle = tuple(n // 2 for n in result.intensities.shape)
    assert np.unravel_index(result.intensities.argmax(), result.intensities.shape) == middle
    assert result.intensities.dtype == np.float32
    assert result.n_photons == pytest.approx(simulated.expected.sum(), rel=0.02)
    assert 0.9 < result.mask.mean() < 1


def test_the_grid_is_that_of_the_peak_and_follows_the_bins(simulated: SimulatedScan) -> None:
    scan, peak = simulated.scan, simulated.geometry.peak
    options = PrepareOptions(centre=peak, shape=(32, 32, 32))
    one = prepare(scan, options).grid
    two = prepare(scan, options.model_copy(update={"bin": (1, 2, 2)})).grid
    assert one is not None
    assert two is not None
    assert scan.beam is not None
    assert scan.detector is not None
    assert scan.diffractometer is not None
    truth = reciprocal_grid(
        beam=scan.beam, detector=scan.detector, diffractometer=scan.diffractometer, motors_deg=scan.motors_deg,
        centre=(float(peak[0]), float(peak[1]), float(peak[2])),
    )  # fmt: skip
    np.testing.assert_allclose(one.q_bragg, truth.q_bragg, atol=1e-9)
    np.testing.assert_allclose(one.basis, truth.basis, atol=1e-9)
    np.testing.assert_allclose(two.basis, truth.basis * [[1], [2], [2]], atol=2e-7)
    # The middle of a block of two pixels lies half a pixel before the second, in which the peak is.
    np.testing.assert_allclose(two.q_bragg, truth.shifted((0.0, -0.5, -0.5)).q_bragg, atol=1e-7)


def test_steps_that_are_switched_off_say_nothing(simulated: SimulatedScan) -> None:
    recorder = Recorder()
    off = PrepareOptions(
        lost_frames=False, dead_pixels=False, hot_pixels=False, flat_field=False, aliens=False, centre=(32, 36, 40)
    )
    prepare(simulated.scan, off, observer=recorder)
    assert [event.step for event in recorder.events] == ["unit", "angles", "crop", "oversampling"]


def test_a_plain_volume_has_no_grid() -> None:
    z, y, x = np.indices((20, 24, 28))
    frames = (500 * np.exp(-((z - 10) ** 2 + (y - 12) ** 2 + (x - 14) ** 2) / 20)).astype(np.int32)
    result = prepare(plain(frames))
    assert result.grid is None
    assert result.intensities.shape == (20, 24, 28)


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        (np.zeros((20, 20, 20), np.int32), "all measured intensities are zero"),
        (np.full((20, 20, 20), np.nan), "every voxel is masked"),
        (np.full((20, 20, 20), np.inf), "every voxel is masked"),
    ],
)
def test_nothing_usable_is_one_error(frames: np.ndarray, said: str) -> None:
    with pytest.raises(InputError, match=f"plain: .*{said}"):
        prepare(plain(frames))


def test_a_box_under_sixteen_is_refused_in_the_plan() -> None:
    with pytest.raises(PlanError, match=r"shape\.1"):
        PrepareOptions.read({"shape": [32, 8, 32]})


def test_a_perfect_scan_loses_nothing() -> None:
    assert PERFECT.n_dead == 0
    geometry = gold_111_geometry((32, 32, 32))
    z, y, x = np.indices((32, 32, 32)) - 16
    bell = 3e4 * np.exp(-(z**2 + y**2 + x**2) / 30.0)
    frames = np.random.default_rng(0).poisson(bell).astype(np.uint32)
    scan = BraggScan(
        frames=frames, mask=np.ones((32, 32), bool), beam=geometry.beam, detector=geometry.detector,
        diffractometer=geometry.diffractometer, motors_deg=geometry.motors_deg,
    )  # fmt: skip
    result = prepare(scan, PrepareOptions(centre=(16, 16, 16), shape=(32, 32, 32)))
    np.testing.assert_array_equal(result.intensities, frames)
    assert result.mask.all()


@pytest.fixture(scope="module")
def scan_54(shared_data: Path) -> BraggScan:
    folder = shared_data / "aps34idc_scan54"
    source = ScanSource(
        path=folder, spec=folder / "scan52-56.spec", scan=54, beamline="aps34idc",
        dark=folder / "dark.tif", flat=folder / "whitefield.tif",
    )  # fmt: skip
    return read_scan(source)


def test_the_real_scan_at_64(scan_54: BraggScan) -> None:
    result = prepare(scan_54, PrepareOptions(shape=(64, 64, 64)))
    assert np.unravel_index(result.intensities.argmax(), (64, 64, 64)) == (32, 32, 32)
    assert result.mask.all()
    assert result.grid is not None
    # Known of this scan: its angles give 2.335 Å where gold 111 is 2.355 Å.
    assert result.grid.d_spacing_angstrom == pytest.approx(2.335, abs=2e-3)


def test_the_real_scan_has_one_alien_in_its_full_box(scan_54: BraggScan) -> None:
    recorder = Recorder()
    result = prepare(scan_54, observer=recorder)
    assert result.intensities.shape == (200, 256, 256)
    aliens = next(event for event in recorder.events if event.step == "aliens")
    assert isinstance(aliens, Note)
    assert aliens.figures["aliens"] == 1
    assert "frame 164, row 62, column 102" in aliens.text
    assert 0.98 < result.mask.mean() < 0.99
