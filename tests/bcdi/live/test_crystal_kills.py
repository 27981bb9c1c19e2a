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
from friedel.bcdi.live.plan import CrystalWatchPlan
from friedel.bcdi.live.watch import CrystalWatch
from friedel.stream.ledger_file import Account
from friedel.stream.sources.events import Begun, Ended, Message

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
