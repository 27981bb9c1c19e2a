"""Crystal watches killed and stopped: the successor has every frame, the ledger stays, nothing half-written does."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from friedel.bcdi.live.demo import rocking_beamline
from friedel.bcdi.live.imaging import AddFrame, FinishScan, Shown, StartScan
from friedel.bcdi.live.plan import CrystalWatchPlan
from friedel.bcdi.live.view import CrystalView
from friedel.bcdi.live.watch import GIVEN_UP, OUTSIDE, CrystalWatch
from friedel.stream.ledger_file import Account
from friedel.stream.sources.events import Begun, Ended, Lost, Message

LONG = {"start": "random", "starts": 2, "schedule": "20000*HIO", "rounds": 1}


class Quick:
    """Frames of a spot that moves through, in quick succession, of a scan whose length nobody said; then silence."""

    uri, patient = "test://quick", False

    def __init__(self, n_frames, edge=24):
        y, x = np.indices((edge, edge)) - edge / 2
        theta = (np.arange(n_frames) - n_frames / 2)[:, None, None] / (n_frames / 8)
        rings = 1e4 * np.sinc(np.hypot(y, x) / 4)[None] ** 2 * np.exp(-(theta**2))
        self._frames = np.random.default_rng(0).poisson(rings).astype(np.uint16)
        self._sent, self.over = -1, False

    def open(self):
        pass

    def receive(self, timeout_s):
        self._sent += 1
        if self._sent == 0:
            return Begun(series="scan")
        if self._sent <= len(self._frames):
            time.sleep(0.002)
            return Message(number=self._sent - 1, frames=self._frames[self._sent - 1 : self._sent])
        if self.over:
            return Ended()
        time.sleep(timeout_s)
        return None

    def close(self):
        pass


def test_the_successor_of_a_killed_imaging_process_gets_every_frame(tmp_path):
    images = {"seconds": 0.02, "model": None, "members": 1}
    plan = CrystalWatchPlan.read({"images": images, "output": tmp_path / "live", "display_s": 0.05})
    source, kills = Quick(600), []

    def look(snapshot):
        scans = watch.sink.scans
        if scans and len(kills) < 2 and scans[0].given > (100, 350)[len(kills)]:
            os.kill(scans[0].process.pid, signal.SIGKILL)
            kills.append(scans[0].given)
        if scans and scans[0].view.label.startswith("600 frames"):
            watch.stop()

    watch = CrystalWatch(plan, source=source, on_snapshot=look)
    counts = watch.run().counts
    assert len(kills) == 2
    assert watch.sink.scans[0].view.label.startswith("600 frames"), "what the process itself holds"
    assert (counts.seen, counts.processed, counts.unsaved) == (600, 600, 600)


def _command(folder, beamline):
    plan = folder / "plan.yaml"
    settings = {"phasing": beamline.plan.phasing.read(LONG), "images": beamline.plan.images.read({"model": None})}
    plan.write_text(beamline.plan.model_copy(update=settings).text())
    search = os.pathsep.join(entry for entry in sys.path if entry)
    code = "from friedel.cli.main import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, "watch", "--crystals", "--plan", str(plan)],
        env=os.environ | {"PYTHONPATH": search}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def _until(true, patience_s=90.0):
    until = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < until, "it took too long"
        time.sleep(0.05)


def _ledger(folder):
    try:
        return json.loads((folder / "ledger.json").read_text())["ledger"]
    except OSError:
        return {"processed": 0}


def _below(pid):
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False).stdout
    return [int(word) for word in found.split()]


def _gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_stopped_in_the_final_image_it_leaves_a_ledger_and_nothing_half_written(tmp_path, number):
    folder = tmp_path / "out"
    beamline = rocking_beamline(folder, shape=(48, 48, 48))
    process = _command(tmp_path, beamline)
    try:
        with beamline.running(frames_per_s=200) as go:
            go.set()
            _until(lambda: list(folder.glob(".*-unfinished-*")) and _ledger(folder)["processed"] == 48)
        children = _below(process.pid)
        process.send_signal(number)
        out, said = process.communicate(timeout=60)
    finally:
        process.kill()
    _until(lambda: all(map(_gone, children)), 20)
    assert _ledger(folder)["processed"] == 48
    if number is signal.SIGKILL:
        account = Account(folder)
        ((counts),) = account.replay().values()
        account.close()
        assert (counts.seen, counts.processed, counts.dropped) == (48, 0, 48), "no image is there: nothing is written"
        return
    assert process.returncode == 0, said
    assert _ledger(folder)["unsaved"] == 48
    assert not list(folder.glob(".*-unfinished-*"))
    assert "its 48 frames count as unsaved" in said
    assert "processed 48" in out


class Scans:
    """Scans of unknown length one after another, each announced or each counted from 0 without a word."""

    uri, patient = "test://scans", False

    def __init__(self, n_scans, n_frames, *, announced=True, name="scan"):
        quick = Quick(n_frames)
        self.events = []
        for scan in range(n_scans):
            if announced or not scan:
                self.events.append(Begun(series=name))
            else:
                self.events.append(Lost(reason="the connection was cut"))
            self.events += [Message(number=k, frames=quick._frames[k : k + 1]) for k in range(n_frames)]
        self.events.append(Ended(reason="all played"))

    def open(self):
        pass

    def receive(self, timeout_s):
        time.sleep(0.002)
        return self.events.pop(0)

    def close(self):
        pass


def _scans(folder, source, monkeypatch):
    """Watch scans whose final image is their number of frames; return counts, finished folders, the watch."""
    monkeypatch.setattr("friedel.bcdi.live.watch.start_imaging", Counting)
    watch = CrystalWatch(CrystalWatchPlan.read({"output": folder}), source=source)
    result = watch.run()
    return result.counts, result.folders, watch


class Counting:
    """Stands in for an imaging process: its final image is a folder with a report that says how many frames it got."""

    alive = most = 0
    pid, ready = None, True

    def __init__(self, plan, wake):
        self.frames, self.over, self.busy, self.gone = 0, None, 0, False

    def tell(self, order):
        match order:
            case StartScan():
                Counting.alive += 1
                Counting.most = max(Counting.most, Counting.alive)
            case AddFrame():
                self.frames += 1
            case FinishScan():
                self.over = order.folder

    def heard(self):
        self.busy += self.over is not None
        if self.busy != 20:  # a final image takes longer than a scan
            return []
        self.over.mkdir(parents=True, exist_ok=True)
        (self.over / "report.html").write_text(str(self.frames))
        return [Shown(CrystalView(label=f"{self.frames} frames", report="report.html"), final=True)]

    def hang_up(self):
        pass

    def stop(self, leave_s):
        Counting.alive -= self.busy >= 20


def test_scans_that_are_done_leave_the_memory_and_few_are_imaged_at_once(tmp_path, monkeypatch):
    Counting.alive = Counting.most = 0
    counts, folders, watch = _scans(tmp_path, Scans(12, 30), monkeypatch)
    assert [folder.name for folder in folders] == [f"{n:03d}_scan" for n in range(1, 13)]
    assert {(folder / "report.html").read_text() for folder in folders} == {"30"}
    assert (counts.seen, counts.processed, counts.unsaved) == (360, 360, 0)
    assert len(watch.sink.scans) <= 2, "only the last ones are held, with their frames"
    assert 1 < Counting.most <= 3


def test_a_source_that_counts_anew_unannounced_begins_another_scan(tmp_path, monkeypatch):
    counts, folders, _ = _scans(tmp_path, Scans(3, 30, announced=False), monkeypatch)
    assert [(folder / "report.html").read_text() for folder in folders] == ["30", "30", "30"]
    assert (counts.processed, counts.duplicate, counts.unsaved) == (90, 0, 0)


def test_a_later_watch_in_the_folder_replaces_no_scan_s_image(tmp_path, monkeypatch):
    (first,) = _scans(tmp_path, Scans(1, 30), monkeypatch)[1]
    (second,) = _scans(tmp_path, Scans(1, 40), monkeypatch)[1]
    assert [first.name, second.name] == ["001_scan", "002_scan"]
    assert [(folder / "report.html").read_text() for folder in (first, second)] == ["30", "40"]


def test_frames_of_a_scan_that_was_given_up_are_counted_as_dropped(tmp_path, monkeypatch):
    class Dying(Counting):
        def tell(self, order):
            super().tell(order)
            self.gone = self.gone or self.frames == 10

    monkeypatch.setattr(sys.modules[__name__], "Counting", Dying)
    counts, folders, _ = _scans(tmp_path, Scans(1, 600), monkeypatch)
    assert not folders
    assert counts.adds_up
    assert counts.dropped == counts.dropped_why[GIVEN_UP] > 0
    assert counts.unsaved == counts.processed > 0


@pytest.mark.parametrize("expected", [None, 50_000])
def test_neither_an_absurd_number_nor_a_generous_plan_takes_the_memory(tmp_path, monkeypatch, expected):
    source = Scans(1, 30)
    big = np.ones((1, 1024, 1024), np.uint32)
    far = 50_000 if expected is None else 50_500
    source.events = [Begun(series="scan", expected=expected), Message(number=0, frames=big)]
    source.events += [Message(number=far, frames=big), Message(number=1, frames=big), Ended()]
    counts, (folder,), watch = _scans(tmp_path, source, monkeypatch)
    assert (folder / "report.html").read_text() == "2"
    assert (counts.processed, counts.dropped_why) == (2, {OUTSIDE: 1})
    assert watch.sink.scans[-1].scan._frames.nbytes < 2**30
