"""A scan that grows is, when it is whole, the scan that a file holds; and what hasn't come is unknown, not dark."""

import numpy as np
import pytest

from friedel.bcdi.forward.scan import simulate_demo_scan
from friedel.bcdi.live.scan import GrowingScan, ScanSetting
from friedel.bcdi.prepare.options import PrepareOptions
from friedel.bcdi.prepare.prepare import prepare
from friedel.bcdi.scans.angles import Geometry
from friedel.core.errors import InputError


@pytest.fixture(scope="module")
def simulated():
    return simulate_demo_scan(seed=2, shape=(48, 48, 48)).scan


def _setting(scan, **changed):
    def geometry(look):
        motors = {name: look(name, "deg") if name == "th" else value for name, value in scan.motors_deg.items()}
        return Geometry(beam=scan.beam, detector=scan.detector, diffractometer=scan.diffractometer, motors_deg=motors)

    given = {"mask": scan.mask, "n_frames": len(scan.frames), "flat": scan.flat, "geometry": geometry} | changed
    return ScanSetting(name=scan.name, **given)


def _grown(scan, indices, **changed):
    growing = GrowingScan(_setting(scan, **changed))
    for index in indices:
        assert growing.add(index, scan.frames[index], readings={"th": float(scan.motors_deg["th"][index])})
    return growing


def test_the_whole_scan_in_any_order_is_the_scan_of_the_file(simulated):
    growing = _grown(simulated, np.random.default_rng(0).permutation(48))
    assert growing.complete
    whole = growing.scan()
    assert whole.frames.dtype == simulated.frames.dtype
    np.testing.assert_array_equal(whole.frames, simulated.frames)
    live, batch = prepare(whole), prepare(simulated)
    np.testing.assert_array_equal(live.intensities, batch.intensities)
    np.testing.assert_allclose(live.grid.basis, batch.grid.basis, rtol=1e-9)


def test_frames_that_have_not_come_are_unknown_in_the_pattern(simulated):
    growing = _grown(simulated, range(32))
    options = PrepareOptions(shape=(48, 48, 48), centre=(24, 24, 24))
    pattern, whole = growing.pattern(options), prepare(simulated, options.model_copy(update={"aliens": False}))
    assert (growing.n_measured, growing.complete) == (32, False)
    assert not pattern.mask[32:].any()
    both = pattern.mask & whole.mask
    assert both[:32].mean() > 0.98
    np.testing.assert_allclose(pattern.intensities[both], whole.intensities[both])


def test_angles_of_frames_to_come_are_continued(simulated):
    early = _grown(simulated, range(20)).pattern(PrepareOptions(shape=(48, 48, 48), centre=(24, 24, 24)))
    whole = prepare(simulated, PrepareOptions(shape=(48, 48, 48), centre=(24, 24, 24)))
    np.testing.assert_allclose(early.grid.basis, whole.grid.basis, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(early.grid.q_bragg, whole.grid.q_bragg, rtol=1e-9)


def test_missing_frames_of_an_ended_scan_are_nan_and_marked_pixels_stay_unknown():
    frames = np.ones((4, 16, 16), np.uint16)
    frames[1, 3, 4] = 65535
    growing = GrowingScan(ScanSetting(mask=np.ones((16, 16), bool), n_frames=4))
    for index in (0, 1, 3):
        growing.add(index, frames[index])
    scan = growing.scan()
    assert np.isnan(scan.frames[2]).all()
    assert np.isnan(scan.frames[1, 3, 4])
    assert np.isfinite(scan.frames[0]).all()


def test_a_frame_that_comes_twice_counts_once():
    growing = GrowingScan(ScanSetting(mask=np.ones((16, 16), bool)))
    assert growing.add(7, np.ones((16, 16), np.uint16))
    assert not growing.add(7, np.zeros((16, 16), np.uint16))
    assert (growing.n_measured, growing.n_frames, growing.complete) == (1, 8, False)
    assert growing.scan().frames[7].sum() == 256


def test_room_grows_with_a_scan_of_unknown_length_and_with_the_dtype():
    growing = GrowingScan(ScanSetting(mask=np.ones((2, 2), bool)))
    growing.add(0, np.full((2, 2), 3, np.uint8))
    growing.add(200, np.full((2, 2), 0.5, np.float32))
    assert growing.n_frames == 201
    assert growing.scan().frames[0, 0, 0] == 3
    assert growing.scan().frames[200, 0, 0] == 0.5


@pytest.mark.parametrize(
    ("index", "shape", "said"), [(0, (16, 15), "shape"), (-1, (16, 16), "belong"), (4, (16, 16), "belong")]
)
def test_a_frame_that_does_not_belong_is_refused(index, shape, said):
    growing = GrowingScan(ScanSetting(mask=np.ones((16, 16), bool), n_frames=4))
    with pytest.raises(InputError, match=said):
        growing.add(index, np.ones(shape))


def test_a_scan_without_frames_is_no_plan():
    with pytest.raises(InputError, match="None if it isn't known"):
        ScanSetting(mask=np.ones((2, 2), bool), n_frames=0)
