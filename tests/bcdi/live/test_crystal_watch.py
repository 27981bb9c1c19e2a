"""A whole watch of a rocking scan: every frame counted, images on the way, and the last one the batch's own."""

import os
import signal
import threading
import time

import numpy as np
import pytest

from friedel.bcdi.forward.scan import simulate_demo_scan
from friedel.bcdi.live.plan import CrystalWatchPlan
from friedel.bcdi.live.watch import CrystalWatch
from friedel.bcdi.phasing.ambiguities import correlation
from friedel.bcdi.phasing.options import PhasingOptions
from friedel.bcdi.prepare.options import PrepareOptions
from friedel.bcdi.prepare.prepare import prepare
from friedel.bcdi.reconstruct import reconstruct_diffraction
from friedel.bcdi.results.save import load_reconstruction
from friedel.bcdi.scans.read import read_scan
from friedel.bcdi.scans.write import write_aps34idc_scan
from friedel.core.observer import Recorder
from friedel.stream.display import Control
from friedel.stream.sources.events import Begun, Ended, Message

SHAPE = (48, 48, 48)
QUICK = {
    "start": "random",
    "starts": 2,
    "rounds": 1,
    "schedule": "60*HIO+20*ER",
    "polish": "20*RAAR+5*ER",
    "polish_betas": (0.8,),
    "candidates": (0.1, 0.16),
    "keep": 2,
    "refine": {"steps": 10},
}


class Rocking:
    """A source that plays a scan, some of it wrongly: a frame twice, one of another shape."""

    uri, patient = "test://rocking", False

    def __init__(self, scan, *, pause_s=0.03, hold=None):
        self.hold = hold or threading.Event()
        n, theta = len(scan.frames), scan.motors_deg["th"]
        fixed = {name: float(value) for name, value in scan.motors_deg.items() if np.ndim(value) == 0}
        meta = {"motors": fixed | {"cam": 1e3 * scan.detector.distance_m, "en": scan.beam.photon_energy_ev / 1e3}}
        self.events = [Begun(series="scan 1", expected=n, mask=scan.mask, meta=meta)]
        for k in range(n):
            self.events.append(Message(number=k, frames=scan.frames[k : k + 1], meta={"th": float(theta[k])}))
        self.events.insert(9, self.events[8])
        self.events.insert(20, Message(number=500, frames=np.zeros((1, 8, 8), np.int32)))
        self.events.append(Ended(reason="all played"))
        self.pause_s, self.sent = pause_s, 0

    def open(self):
        pass

    def receive(self, timeout_s):
        if self.sent == len(self.events) - 10 and not self.hold.wait(0.05):
            return None
        time.sleep(self.pause_s)
        self.sent += 1
        return self.events[self.sent - 1]

    def close(self):
        pass


class Watched:
    """Stands in for a display: keeps every snapshot."""

    def __init__(self):
        self.snapshots = []

    def control(self):
        return Control()

    def show(self, snapshot):
        self.snapshots.append(snapshot)
        return True


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """A scan watched to its end, its imaging process killed on the way, and the batch's result from its files."""
    folder = tmp_path_factory.mktemp("watch")
    simulated = simulate_demo_scan(seed=1, shape=SHAPE)
    files = write_aps34idc_scan(folder / "files", simulated.scan)
    settings = {"prepare": {"shape": SHAPE}, "phasing": QUICK, "seed": 3}
    images = {"seconds": 0.3, "members": 2, "model": None}
    plan = CrystalWatchPlan.read(settings | {"images": images, "display_s": 0.05, "output": folder / "live"})
    source, shown, recorder = Rocking(simulated.scan), Watched(), Recorder()
    watch = CrystalWatch(plan.model_copy(update={"scan": files}), source=source, display=shown, observer=recorder)
    found = {}
    thread = threading.Thread(target=lambda: found.update(result=watch.run()))
    thread.start()
    _until(lambda: any("provisional" in one.view.label for one in shown.snapshots), thread)
    os.kill(watch.sink.scans[0].process.pid, signal.SIGKILL)
    n_before = len(shown.snapshots)
    _until(lambda: any("provisional" in one.view.label for one in shown.snapshots[n_before + 10 :]), thread)
    source.hold.set()
    thread.join(120)
    assert not thread.is_alive()
    pattern = prepare(read_scan(files), PrepareOptions(shape=SHAPE))
    batch = reconstruct_diffraction(pattern, PhasingOptions.read(QUICK), seed=3)
    return found["result"], shown.snapshots, recorder, batch, folder


def _until(true, thread, timeout_s=60.0):
    end = time.monotonic() + timeout_s
    while not true():
        assert thread.is_alive()
        assert time.monotonic() < end
        time.sleep(0.05)


def test_every_frame_is_counted_and_the_counts_add_up_at_all_times(watched):
    result, snapshots, *_ = watched
    assert all(one.ledger.adds_up for one in snapshots)
    counts = result.counts
    assert (counts.seen, counts.processed, counts.duplicate, counts.malformed) == (50, 48, 1, 1)


def test_the_images_on_the_way_say_what_they_are(watched):
    _, snapshots, *_ = watched
    views = [one.view for one in snapshots]
    assert views[0].label == "no frame yet"
    assert any("isn't passed yet" in " ".join(view.notes) for view in views)
    provisional = [view for view in views if "provisional" in view.label]
    assert all("of 48 frames, provisional" in view.label for view in provisional)
    latest = provisional[-1]
    assert latest.slices.keys() == latest.strain_slices.keys() == {"xy", "xz", "yz"}
    assert (latest.coloured_by, latest.unit, latest.report) == ("strain (10⁻³)", "nm", "")
    assert latest.faces.max() < len(latest.vertices) == len(latest.vertex_strain)
    assert any("not measured yet" in note for note in latest.notes)


def test_a_killed_imaging_process_is_replaced_and_its_scan_goes_on(watched):
    _, _, recorder, *_ = watched
    assert any("another takes its place" in event.text for event in recorder.events)


def test_the_last_live_image_is_the_batch_one(watched):
    result, snapshots, _, batch, folder = watched
    live = load_reconstruction(result.folders[0] / "reconstruction.cxi")
    assert abs(correlation(live.object, batch.object)) >= 0.999
    last = snapshots[-1].view
    assert last.label == "48 of 48 frames, final"
    assert (folder / "live" / last.report).is_file()
    middle = {name: np.abs(values).max() for name, values in last.slices.items()}
    assert min(middle.values()) > 0.5
