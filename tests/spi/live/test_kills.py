"""Whole commands killed, by process and by signal: nothing is lost unseen, nothing is left behind."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from live_doubles import Scripted, frames, plan, rows, write_run

from friedel.core.observer import Recorder
from friedel.spi.live.watch import HitsWatch, watch_hits
from friedel.stream.display import Control, Display, Viewer
from friedel.stream.ledger_file import KILLED, Account
from friedel.stream.shared import SharedBlock, sweep
from friedel.stream.sources.events import Begun, Message

SHM = Path("/dev/shm")


def _until(true, patience_s=60.0):
    until = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < until, "it took too long"
        time.sleep(0.05)


def _command(*words, **more):
    search = os.pathsep.join(entry for entry in sys.path if entry)
    code = "from friedel.cli.main import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)], env=os.environ | {"PYTHONPATH": search},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more,
    )  # fmt: skip


def _watch(uri, folder, *more):
    settings = ("queue.workers=1", "queue.batch=16", "queue.sample=16", "queue.memory_mb=8", "keep.keep_free_mb=0")
    given = [word for setting in settings for word in ("--set", setting)]
    return _command("watch", uri, "-o", folder, "--model", "live_doubles:brightness", *given, *more)


def _family(pid):
    """Return the ids of all processes below one."""
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in path.read_text().split():
            found += [int(child), *_family(int(child))]
    return found


def _alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _ours(pid):
    """Return the blocks of shared memory that a process has mapped."""
    return {SHM / Path(line.split()[5]).name for line in Path(f"/proc/{pid}/maps").read_text().splitlines()
            if line.rpartition("/dev/shm/")[2].startswith("friedel-")}  # fmt: skip


def _ledger(folder):
    try:
        return json.loads((folder / "ledger.json").read_text())["ledger"]
    except OSError:
        return {"processed": 0}


def _written(folder):
    return np.concatenate([rows(path) for path in sorted(folder.glob("hits_*.cxi"))])


def test_what_a_killed_writer_had_not_flushed_is_written_by_the_next(tmp_path):
    stack = frames(400)
    watch = None

    def kill_writer():
        os.kill(watch.sink.output.writer.process.pid, signal.SIGKILL)

    messages = [Message(number=k, frames=stack[k : k + 10]) for k in range(0, 400, 10)]
    source = Scripted(*messages[:20], 0.2, kill_writer, *messages[20:], patient=True)
    # It would flush only every ten minutes: whatever it acknowledged before would be lost with it.
    # It flushes seldom: what it has written by then, and not flushed, goes with it.
    watch = HitsWatch(plan(tmp_path, None, keep={"flush_s": 0.5}), source=source)
    result = watch.run()
    numbers = _written(tmp_path / "out")
    assert sorted(numbers) == list(range(400))
    assert result.counts.processed == 400
    assert result.counts.unsaved == 0


@pytest.mark.parametrize("ends", ["stopped", "by itself"])
def test_a_writer_that_stands_still_at_the_end_is_replaced_and_nothing_is_lost(tmp_path, ends):
    stack, halted = frames(400), []
    watch = None

    def halt_writer():
        halted.append(watch.sink.output.writer.process.pid)
        os.kill(halted[0], signal.SIGSTOP)

    messages = [Message(number=k, frames=stack[k : k + 10]) for k in range(0, 400, 10)]
    last = [lambda: watch.stop(), 60.0] if ends == "stopped" else []
    source = Scripted(*messages[:20], 0.2, halt_writer, *messages[20:], *last, patient=True)
    watch = HitsWatch(plan(tmp_path, None, keep={"flush_s": 0.5}), source=source)
    began = time.monotonic()
    result = watch.run()
    assert time.monotonic() - began < 50, "it waited for the writer until it gave it up"
    assert not _alive(halted[0])
    assert sorted(_written(tmp_path / "out")) == list(range(result.counts.processed))
    assert result.counts.processed >= 390, "the message on its way at the stop may not have been read"
    assert result.counts.unsaved == 0


def test_a_writer_that_stands_still_in_mid_stream_is_replaced_and_nothing_is_lost(tmp_path, monkeypatch):
    monkeypatch.setattr("friedel.spi.live.writer_client._STILL_S", 1.0)
    stack, halted, heard = frames(400), [], Recorder()
    watch = None

    def halt_writer():
        halted.append(watch.sink.output.writer.process.pid)
        os.kill(halted[0], signal.SIGSTOP)

    def replaced():
        _until(lambda: watch.sink.output.writer.process.pid != halted[0])

    messages = [Message(number=k, frames=stack[k : k + 10]) for k in range(0, 400, 10)]
    source = Scripted(*messages[:20], 0.2, halt_writer, *messages[20:30], replaced, *messages[30:], patient=True)
    watch = HitsWatch(plan(tmp_path, None, keep={"flush_s": 0.5}), source=source, observer=heard)
    result = watch.run()
    assert not _alive(halted[0])
    assert sorted(_written(tmp_path / "out")) == list(range(400))
    assert result.counts.unsaved == 0
    assert any("was stopped; another writes" in event.text for event in heard.events)


def test_the_summary_counts_what_the_end_could_not_write(tmp_path, monkeypatch):
    monkeypatch.setattr("friedel.spi.live.watch_files._CLOSE_S", 1.0)
    monkeypatch.setattr("friedel.spi.live.writer_client._STILL_AT_END_S", 60.0)
    stack = frames(100)
    watch = None

    def halt_writer():
        os.kill(watch.sink.output.writer.process.pid, signal.SIGSTOP)

    messages = [Message(number=k, frames=stack[k : k + 10]) for k in range(0, 100, 10)]
    source = Scripted(*messages[:5], 1.0, halt_writer, *messages[5:], 1.0, lambda: watch.stop(), 60.0, patient=True)
    watch = HitsWatch(plan(tmp_path, None, keep={"flush_s": 0.1}), source=source)
    result = watch.run()
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["ledger"]["unsaved"] == result.counts.unsaved > 0
    assert summary["ledger"]["processed"] == result.counts.processed


def test_a_killed_watch_leaves_nothing_behind_and_is_taken_up_again(tmp_path):
    path, folder = write_run(tmp_path / "run.h5", frames(600)), tmp_path / "out"
    process = _watch(f"file://{path}?rate=150", folder, "--serve", "--port", "0")
    try:
        _until(lambda: _ledger(folder)["processed"] > 60)
        family, memory = _family(process.pid), _ours(process.pid)
        assert len(family) >= 3, "scorer, writer, page"
        assert memory
    finally:
        process.kill()
        process.communicate()
    began = time.monotonic()
    _until(lambda: not any(map(_alive, family)), 20)
    assert time.monotonic() - began < 20
    second = watch_hits(plan(tmp_path, f"file://{path}"))
    assert not [block for block in memory if block.exists()], "what was stale is swept"
    numbers = _written(folder)
    assert sorted(numbers) == list(range(600)), "each once"
    account = Account(folder)
    first, again = account.replay().values()
    account.close()
    assert first.adds_up
    assert first.processed + again.processed == 600
    assert again.duplicate == first.processed
    assert first.dropped_why.get(KILLED, 0) == first.dropped
    assert second.counts.adds_up
    for part in sorted(folder.glob("hits_*.cxi")):
        with h5py.File(part) as file:  # an ordinary file, also the one whose writer was killed
            selected = file["entry_1/result_1/selected"][()]
            assert len(selected) == len(file["entry_1/result_1/single"])
            assert selected.sum() == len(file["entry_1/data_1/data"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_watch_cleanly(tmp_path, number):
    path, folder = write_run(tmp_path / "run.h5", frames(2000)), tmp_path / "out"
    process = _watch(f"file://{path}?rate=150", folder)
    try:
        _until(lambda: _ledger(folder)["processed"] > 30)
        process.send_signal(number)
        out, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, said
    assert f"processed {len(_written(folder))} " in out
    assert _ledger(folder)["processed"] == len(_written(folder))


@pytest.mark.parametrize("jump", [-3600.0, 3600.0 * 24 * 365])
def test_the_system_s_clock_may_be_set_while_frames_come(tmp_path, monkeypatch, jump):
    stack, clock = frames(200), {"ahead": 0.0}
    true = time.time
    monkeypatch.setattr(time, "time", lambda: true() + clock["ahead"])

    def messages(first, last):
        return [Message(number=k, frames=stack[k : k + 10]) for k in range(first, last, 10)]

    source = Scripted(*messages(0, 100), 0.5, lambda: clock.update(ahead=jump), *messages(100, 200), patient=True)
    watch = HitsWatch(plan(tmp_path, None), source=source)
    result = watch.run()
    assert (result.counts.processed, result.counts.unsaved, result.counts.dropped) == (200, 0, 0)
    assert sorted(_written(tmp_path / "out")) == list(range(200))
    ends, rates = watch.sink.statistics._rate.curve()
    assert ends[-1] - ends[0] < 600, "its stretches of time are those that passed"
    assert np.isfinite(rates).any()


def test_series_that_begin_in_one_second_have_different_names(tmp_path, monkeypatch):
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    stack = frames(40)
    runs = [[Begun(series="7"), *(Message(number=k, frames=stack[k : k + 10]) for k in range(0, 40, 10))]] * 2
    for _ in range(2):  # the second watch as after a clock was set back: its series would be those of the first
        watch = HitsWatch(plan(tmp_path, None), source=Scripted(*runs[0], *runs[1], patient=True))
        assert watch.run().counts.processed == 80
    with_names = [entry for path in sorted((tmp_path / "out").glob("hits_*.cxi")) for entry in _named_rows(path)]
    assert len(with_names) == len(set(with_names)) == 160


def _named_rows(path):
    with h5py.File(path) as file:
        names = file["entry_1/series_1/name"][()]
        columns = file["entry_1/result_1/series"][()], file["entry_1/result_1/number"][()]
    return [(names[series], int(number)) for series, number in zip(*columns, strict=True)]


def test_a_signal_in_the_middle_of_the_loop_s_wait_is_heard(tmp_path):
    watch = HitsWatch(plan(tmp_path, None), source=Scripted(5.0))
    with watch.watch._news._cond:  # what the loop holds for a moment, when a signal's handler may interrupt it
        stopping = threading.Thread(target=watch.stop, daemon=True)
        stopping.start()
        stopping.join(5.0)
        assert not stopping.is_alive()


def test_without_a_threshold_the_page_s_wish_is_the_plan_s_selection(tmp_path):
    stack, display = frames(64), Display()
    page = Viewer(display.names)
    source = Scripted(
        lambda: page.ask(Control(threshold=0.99)), 0.6, Message(number=0, frames=stack), 0.6,
        lambda: page.ask(Control()), 0.6, Message(number=64, frames=stack), 0.6,
    )  # fmt: skip
    quick = plan(tmp_path, None, display_s=0.05, queue={"sample": 16})
    try:
        result = HitsWatch(quick, source=source, display=display).run()
    finally:
        page.close()
        display.close()
    expected = int((stack[:, 0, 0] >= 50).sum() + (stack[:, 0, 0] / 100 >= 0.99).sum())
    assert result.snapshot.view.selected == expected
    assert result.snapshot.threshold is None


def test_a_page_that_dies_comes_back_on_its_port():
    import urllib.request

    from friedel.web.options import ServeOptions
    from friedel.web.page import Page

    def answers():
        try:
            with urllib.request.urlopen(f"{address}health", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    display = Display()
    try:
        with Page(display.names, ServeOptions(port=0)) as page:
            address, dead = page.url, page.pid
            os.kill(dead, signal.SIGKILL)
            _until(lambda: page.pid != dead and answers())
            assert page.url == address
    finally:
        display.close()


def test_only_stale_shared_memory_is_swept():
    held = SharedBlock(n_bytes=4096)
    code = "import os; from multiprocessing import resource_tracker; from friedel.stream.shared import SharedBlock\n"
    code += "print(SharedBlock(n_bytes=4096).name, flush=True)\n"
    code += "os.kill(resource_tracker._resource_tracker._pid, 9); os._exit(1)"
    search = {"PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    told = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, env=os.environ | search, check=False)
    stale = SHM / told.stdout.decode().strip()
    try:
        assert stale.exists()
        assert sweep() >= 1
        assert not stale.exists()
        assert (SHM / held.name).exists()
    finally:
        held.close()
    assert not (SHM / held.name).exists()


def test_a_command_that_ends_by_accident_takes_its_processes_with_it(tmp_path):
    # Python waits for them at its end, after a SIGTERM which they ignore.
    script = tmp_path / "accident.py"
    script.write_text(
        "import time\n"
        "from friedel.stream.processes import Ready, spawn\n"
        "def work(orders):\n"
        "    orders.send(Ready())\n"
        "    time.sleep(600)\n"
        "if __name__ == '__main__':\n"
        "    process = spawn(work, name='works on', wake=lambda: None)\n"
        "    assert process.wait(60) == Ready()\n"
        "    print(process.pid)\n"
    )
    search = os.pathsep.join(entry for entry in sys.path if entry)
    done = subprocess.run([sys.executable, str(script)], env=os.environ | {"PYTHONPATH": search}, capture_output=True,
                          text=True, timeout=60, check=True)  # fmt: skip
    assert not _alive(int(done.stdout))
