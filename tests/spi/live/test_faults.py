"""What goes wrong at a beamline, each thing once: nothing is lost unseen, and the counts add up."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from live_doubles import (
    Scripted,
    expected_hits,
    frames,
    plan,
    rows,
    write_run,
    writer_that_dies_over_frame_70,
    writer_that_is_dead,
)
from live_peers import KaraboPeer, SimplonPeer, free_port

from friedel.core.errors import FriedelError, InputError
from friedel.spi.live import writer_client
from friedel.spi.live.pool import ScoringPool
from friedel.spi.live.watch import HitsWatch, watch_hits
from friedel.stream.display import Control, Display, Viewer
from friedel.stream.sources.events import Lost, Malformed, Message


def _single(number, frame, timestamp=0.0):
    return Message(number=number, frames=frame[None], timestamp=timestamp)


def test_messages_of_every_damaged_kind_are_counted_where_they_belong(tmp_path):
    stack = frames(12)
    source = Scripted(
        *[_single(k, stack[k]) for k in range(4)],
        Malformed(reason="no shape", number=4),
        _single(5, stack[5][:, :40]),
        _single(6, stack[6].astype(np.float32)),
        _single(7, stack[7][:30, :30]),
        _single(2, stack[2]),
        _single(9, stack[9], timestamp=1e12),
        _single(8, stack[8], timestamp=-5.0),
        _single(10**15, stack[0]),
        _single(11, stack[11], timestamp=3.0),
        Malformed(reason="no shape"),
    )
    result = HitsWatch(plan(tmp_path, None), source=source).run()
    counts = result.counts
    assert counts.adds_up
    assert (counts.seen, counts.processed, counts.duplicate, counts.missing) == (14, 7, 1, 1)
    assert counts.malformed_why == {
        "no shape": 2,
        "smaller than 64 × 64 pixels": 2,
        "float32 where the series has uint16": 1,
        "a number too far ahead to be true": 1,
    }
    assert sorted(rows(result.files["part 1"])) == [0, 1, 2, 3, 8, 9, 11]
    assert 0 <= counts.latency_p99_overall_s < 30, "clocks that jump at the source don't touch latency"


def test_a_killed_scorer_s_frames_are_done_again_and_none_twice(tmp_path, traces):
    stack = frames(200)
    stack[70, 0, 1:3] = 666, 1
    source = Scripted(*[Message(number=k, frames=stack[k : k + 10]) for k in range(0, 200, 10)], patient=True)
    result = HitsWatch(plan(tmp_path, None), source=source).run()
    assert (traces / "1").exists()
    assert (result.counts.processed, result.counts.dropped) == (200, 0)
    assert sorted(rows(result.files["part 1"])) == list(range(200))


def test_frames_that_kill_every_scorer_are_dropped_and_counted(tmp_path, traces):
    stack = frames(96)
    stack[60, 0, 1] = 666
    stack[5, 0, 1] = 777
    source = Scripted(*[Message(number=k, frames=stack[k : k + 16]) for k in range(0, 96, 16)], patient=True)
    counts = HitsWatch(plan(tmp_path, None), source=source).run().counts
    assert counts.adds_up
    assert set(counts.dropped_why) == {"two scoring processes died over them", "the model can't score them"}
    assert counts.processed == 96 - counts.dropped > 0


def test_overload_drops_the_oldest_waiting_and_says_so(tmp_path):
    stack = frames(64)
    messages = [Message(number=64 * k, frames=stack) for k in range(40)]
    limits = {"workers": 1, "batch": 16, "memory_mb": 1, "sample": 16}
    slow = plan(tmp_path, None, model="live_doubles:slow_brightness", queue=limits)
    counts = HitsWatch(slow, source=Scripted(*messages)).run().counts
    assert counts.adds_up
    assert counts.seen == 64 * 40
    assert counts.dropped > counts.processed > 0
    assert set(counts.dropped_why) == {"overload: the oldest waiting batch made room"}
    assert counts.dropped + counts.processed == counts.seen


def test_a_full_disk_stops_the_writing_but_not_the_scoring(tmp_path):
    source = Scripted(Message(number=0, frames=frames(64)))
    said = []
    result = HitsWatch(plan(tmp_path, None, keep={"keep_free_mb": 1 << 30}), source=source, observer=said.append).run()
    assert (result.counts.processed, result.counts.unsaved) == (64, 64)
    assert [event for event in said if "MiB are kept free" in getattr(event, "text", "")]


def test_a_folder_that_another_watch_writes_is_refused(tmp_path):
    code = "import sys, time; from pathlib import Path; from friedel.stream.ledger_file import lock_folder\n"
    code += "lock_folder(Path(sys.argv[1])); print('locked', flush=True); time.sleep(60)"
    other = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "out")], stdout=subprocess.PIPE)
    try:
        assert other.stdout.readline() == b"locked\n"
        with pytest.raises(InputError, match="another process is writing"):
            HitsWatch(plan(tmp_path, None), source=Scripted()).run()
    finally:
        other.kill()
        other.wait()
        other.stdout.close()


def test_a_restart_goes_on_where_it_was_with_no_double_scores(tmp_path):
    stack = frames(120)
    path = write_run(tmp_path / "run.h5", stack[:70])
    first = watch_hits(plan(tmp_path, f"file://{path}"))
    write_run(tmp_path / "run.h5", stack)
    second = watch_hits(plan(tmp_path, f"file://{path}"))
    assert (first.counts.processed, second.counts.processed, second.counts.duplicate) == (70, 50, 70)
    numbers = np.concatenate([rows(second.files[name]) for name in ("part 1", "part 2")])
    assert sorted(numbers) == list(range(120))
    assert np.fromfile(second.files["photons"], "<i4", 1)[0] == len(expected_hits(stack))


def test_a_killed_writer_is_replaced_and_nothing_is_written_twice(tmp_path):
    stack = frames(200)
    watch = None

    def kill_writer():
        pid = watch.sink.output.writer.process.pid
        os.kill(pid, signal.SIGKILL)

    messages = [Message(number=k, frames=stack[k : k + 10]) for k in range(0, 200, 10)]
    source = Scripted(*messages[:10], 1.0, kill_writer, *messages[10:], patient=True)
    watch = HitsWatch(plan(tmp_path, None), source=source)
    result = watch.run()
    numbers = np.concatenate([rows(path) for name, path in result.files.items() if name.startswith("part")])
    assert sorted(numbers) == list(range(200))
    assert result.counts.unsaved == 0


def test_frames_over_which_every_writer_dies_are_given_up_and_the_others_written(tmp_path, monkeypatch):
    monkeypatch.setattr(writer_client, "run_writer", writer_that_dies_over_frame_70)
    stack, said = frames(160), []
    source = Scripted(*[Message(number=k, frames=stack[k : k + 16]) for k in range(0, 160, 16)], patient=True)
    watch = HitsWatch(plan(tmp_path, None, queue={"workers": 1}), source=source, observer=said.append)
    result = watch.run()
    numbers = np.concatenate([rows(path) for name, path in result.files.items() if name.startswith("part")])
    assert 70 not in numbers
    assert result.counts.processed == 160
    assert 0 < result.counts.unsaved == 160 - len(numbers) <= 32
    assert sorted(numbers) == sorted(set(numbers))
    assert [event for event in said if "died 3 times over them" in getattr(event, "text", "")]


def test_writers_that_die_one_after_another_end_the_watch_with_the_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(writer_client, "run_writer", writer_that_is_dead)
    watch = HitsWatch(plan(tmp_path, None), source=Scripted(Message(number=0, frames=frames(16))))
    with pytest.raises(FriedelError, match="the writing process died 3 times, with nothing written between; the watch"):
        watch.run()
    assert watch.ledger.counts().adds_up


def test_a_place_where_scorers_die_stays_empty_and_the_last_one_ends_the_watch(monkeypatch):
    class Dead:
        pid, gone, ready = 1, True, False

        def stop(self, leave_s):
            pass

    monkeypatch.setattr("friedel.spi.live.pool.spawn", lambda *_, **__: Dead())
    pool = ScoringPool("any", None, 2, wake=lambda: None)
    pool.start()
    first = [pool.replace(pool.scorers[0]) for _ in range(5)]
    assert first == ["another takes its place"] * 4 + ["5 did so one after another, and its place stays empty; 1 go on"]
    for _ in range(4):
        pool.replace(pool.scorers[0])
    with pytest.raises(FriedelError, match="5 scoring processes died one after another"):
        pool.replace(pool.scorers[0])


def test_a_viewer_that_never_reads_slows_nothing_and_the_page_is_obeyed(tmp_path):
    stack = frames(64)
    display = Display()
    never = Viewer(display.names)
    page = Viewer(display.names)
    seen = []

    def look():
        seen.append(page.latest())

    source = Scripted(
        Message(number=0, frames=stack), 1.0, lambda: page.ask(Control(threshold=0.9)), 0.5,
        Message(number=64, frames=stack), 0.5, look, lambda: page.ask(Control(threshold=0.9, paused=True)), 0.5,
        Message(number=128, frames=stack[:5]), 0.2,
    )  # fmt: skip
    quick = plan(tmp_path, None, display_s=0.05)
    try:
        result = HitsWatch(quick, source=source, display=display).run()
    finally:
        never.close()
        page.close()
        display.close()
    expected = int((stack[:, 0, 0] >= 50).sum() + (stack[:, 0, 0] / 100 >= 0.9).sum())
    assert result.snapshot.view.selected == expected
    assert result.counts.dropped_why == {"paused on request": 5}
    assert seen[0].threshold == 0.9
    assert seen[0].ledger.adds_up
    assert seen[0].ledger.processed == 128


def test_a_silent_source_is_called_silent_and_a_lost_one_lost(tmp_path):
    states = []
    source = Scripted(Message(number=0, frames=frames(16)), 0.7, Lost(reason="gone"), 0.3, _single(20, frames(1)[0]))
    watch = HitsWatch(
        plan(tmp_path, None, silent_s=0.3, display_s=0.05), source=source,
        on_snapshot=lambda snapshot: states.append((snapshot.source.state, snapshot.source.reason)),
    )  # fmt: skip
    counts = watch.run().counts
    assert ("silent", "nothing has come for 0.3 s") in states
    assert ("lost", "gone") in states
    assert (counts.processed, counts.missing) == (17, 4)


def test_a_bridge_that_is_killed_and_restarted_is_found_again_and_the_gap_counted(tmp_path):
    stack, port = frames(40), free_port()
    first = KaraboPeer(stack[:20].reshape(10, 2, 64, 64), port=port)
    watch = HitsWatch(plan(tmp_path, first.uri))
    done = []
    thread = threading.Thread(target=lambda: done.append(watch.run()))
    thread.start()
    _until(lambda: watch.ledger.counts().seen == 20)
    first.close()
    second = KaraboPeer(stack[20:].reshape(10, 2, 64, 64), port=port, first_train=1015)
    _until(lambda: watch.ledger.counts().seen == 40)
    watch.stop()
    thread.join(20)
    second.close()
    counts = done[0].counts
    assert (counts.processed, counts.missing) == (40, 10)


def test_a_detector_that_arms_again_begins_a_new_series(tmp_path):
    peer = SimplonPeer(frames(20), series=1)
    peer._series = 2
    peer.start_v1(20)
    for number, frame in enumerate(frames(20, edge=80)):
        peer.image_v1(number, frame)
    watch = HitsWatch(plan(tmp_path, peer.uri))
    threading.Thread(target=lambda: (_until(lambda: watch.ledger.counts().processed == 40), watch.stop())).start()
    result = watch.run()
    peer.close()
    assert result.counts.processed == 40
    assert len([name for name in result.files if name.startswith("part")]) == 2, "frames of another size: another part"


def _until(true, patience_s=25.0):
    until = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < until, "it took too long"
        time.sleep(0.02)


def test_ctrl_c_closes_all_files(tmp_path):
    path = write_run(tmp_path / "run.h5", frames(3000))
    command = [
        sys.executable, "-c", "from friedel.cli.main import main; main()", "watch", f"file://{path}?rate=200",
        "-o", str(tmp_path / "out"), "--model", "live_doubles:brightness", "--set", "keep.keep_free_mb=0",
    ]  # fmt: skip
    search = os.pathsep.join(entry for entry in sys.path if entry)
    process = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": search}, stdout=subprocess.PIPE, text=True)
    try:
        _until(lambda: (tmp_path / "out" / "hits_001.cxi").exists())
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0
    numbers = rows(tmp_path / "out" / "hits_001.cxi")
    assert 0 < len(numbers) < 3000
    assert f"processed {len(numbers)}" in out
    assert (tmp_path / "out" / "summary.json").exists()
