"""A seeded campaign of faults against the real commands, with real peers on loopback.

Bar: 500 faults over all kinds, 500 survived. Survived means: the command ends as it should and says nothing untrue;
the ledger adds up and counts what was sent; the files are readable and hold what the ledger says, each frame once; no
process and no shared memory are left. The whole takes an hour or two; ``--quick`` one fault of every kind.
"""

import argparse
import contextlib
import os
import resource
import shutil
import signal
import socket
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from faults_cluster import CLUSTER
from faults_crystals import CRYSTALS
from faults_inputs import INPUTS
from faults_peer import Detector, Webhook, free_port, garbage, made_up, write_run
from faults_watch import FaultError, WatchCommand, need, rows_in, until
from report import Report, arguments

from friedel.stream.ledger import LedgerCounts

Rng = np.random.Generator
FRAMES, RATE = 240, 200
FAULTS, QUICK = 500, 5


def _file(folder: Path, rate: float | None = RATE) -> str:
    run = write_run(folder / "run.h5", FRAMES)
    return f"file://{run}" + (f"?rate={rate:g}" if rate else "")


def _run(command: WatchCommand, *, seen: int | None = FRAMES, code: int = 0) -> LedgerCounts:
    said = command.leave()
    need(command.process.returncode == code, f"exit code {command.process.returncode}: {said[-300:]}")
    return command.check(seen)


# Processes: each is killed or stopped at a random moment.


def kill_child(rng: Rng, folder: Path) -> None:
    """Kill a process of the watch; whatever it did goes on."""
    with _watch(_file(folder), folder, "--serve", "--port", "0") as command:
        command.until_scored(int(rng.integers(1, FRAMES // 2)))
        children = sorted(command.look().values())
        os.kill(children[int(rng.integers(len(children)))], signal.SIGKILL)
        counts = _run(command)
    need(counts.unsaved == 0, "frames count as unsaved though there was room")


def stop_child(rng: Rng, folder: Path, seconds: float = 2.0) -> None:
    """Stop a process of the watch for a while, as a debugger does, or a machine out of memory."""
    with _watch(_file(folder), folder) as command:
        command.until_scored(int(rng.integers(1, FRAMES // 2)))
        children = sorted(command.look().values())
        stopped = children[int(rng.integers(len(children)))]
        os.kill(stopped, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(stopped, signal.SIGCONT)
        _run(command)


def stop_watch(rng: Rng, folder: Path, seconds: float = 2.0) -> None:
    """Stop the watch itself for a while: the source waits or is dropped from, and all of it is counted."""
    with _watch(_file(folder, None if rng.random() < 0.5 else RATE), folder) as command:
        command.until_scored(1)
        command.signal(signal.SIGSTOP)
        time.sleep(seconds)
        command.signal(signal.SIGCONT)
        _run(command)


def end_with_halted(rng: Rng, folder: Path) -> None:
    """Stop a process of the watch for good, then end the watch: within a minute, and what is lost is counted."""
    with _watch(_file(folder), folder, "--serve", "--port", "0") as command:
        command.until_scored(int(rng.integers(1, FRAMES // 2)))
        children = sorted(command.look().values())
        os.kill(children[int(rng.integers(len(children)))], signal.SIGSTOP)
        time.sleep(float(rng.uniform(0, 0.5)))
        command.signal(signal.SIGTERM)
        command.leave(60.0)
        _run(command, seen=None)


def clock_set(rng: Rng, folder: Path) -> None:
    """Set the clock, as all processes read it, by up to ten years while frames come: nothing is lost by it."""
    by = float(rng.choice([-1, 1]) * 10 ** rng.uniform(1, 8.5))
    at = time.monotonic() + float(rng.uniform(3, 10))  # the monotonic clock is one for all processes (Linux)
    (folder / "clock").mkdir()
    (folder / "clock" / "sitecustomize.py").write_text(
        f"import time\ntrue = time.time\ntime.time = lambda: true() + ({by} if time.monotonic() > {at} else 0.0)\n"
    )
    with _watch(_file(folder), folder, "--serve", "--port", "0", first=(folder / "clock",)) as command:
        command.until_scored(FRAMES // 2)
        counts = _run(command)
    need(counts.processed == FRAMES and not counts.unsaved, counts.sentence())


# Signals to the watch itself.


def end_by_signal(rng: Rng, folder: Path) -> None:
    """End it by Ctrl-C, SIGTERM or SIGHUP: cleanly, and by a second one at once."""
    with _watch(_file(folder), folder) as command:
        command.until_scored(int(rng.integers(1, FRAMES // 2)))
        number = int(rng.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP]))
        command.signal(number)
        if rng.random() < 0.3:
            time.sleep(float(rng.uniform(0, 0.2)))
            if not command.ended:
                command.signal(number)
        _run(command, seen=None)


def kill_and_resume(rng: Rng, folder: Path) -> None:
    """Kill everything at a random moment; the same command goes on, and every frame is there once."""
    uri = _file(folder)
    with _watch(uri, folder) as command:
        command.until_scored(int(rng.integers(1, FRAMES // 2)))
        time.sleep(float(rng.uniform(0, 0.3)))
        for pid in [command.process.pid, *command.look().values()]:
            os.kill(pid, signal.SIGKILL)
    with _watch(uri.partition("?")[0], folder) as command:
        _run(command)
    need(len(rows_in(folder / "out")) == FRAMES, f"{len(rows_in(folder / 'out'))} of {FRAMES} frames are in the files")


# Streams: a detector that lies, in every field of its wire format.


def bad_messages(rng: Rng, folder: Path) -> None:
    """Send messages that are wrong in one place among good ones; all good ones are scored."""
    version = int(rng.integers(1, 3))

    def send(detector: Detector) -> None:
        for _ in range(5):
            detector.raw(garbage(rng, version))

    _stream(rng, folder, version, send)


def disorder(rng: Rng, folder: Path) -> None:
    """Send frames twice, late, out of order."""

    def send(detector: Detector) -> None:
        for number in rng.integers(0, 200, 30):
            detector.frame(int(number), made_up(1)[0])

    _stream(rng, folder, int(rng.integers(1, 3)), send, scored=0)


def other_frames(rng: Rng, folder: Path) -> None:
    """Send frames of another shape or type among the others; they are malformed."""

    def send(detector: Detector) -> None:
        for number in range(1000, 1005):
            shape = (int(rng.integers(1, 200)), int(rng.integers(1, 200)))
            detector.frame(number, rng.integers(0, 9, shape).astype(rng.choice(["uint8", "uint32", "int16"])))

    _stream(rng, folder, 1, send)


def new_series(rng: Rng, folder: Path) -> None:
    """Arm the detector again, or let it jump far ahead."""

    def send(detector: Detector) -> None:
        series, first = (8, 0) if rng.random() < 0.5 else (7, int(rng.integers(10**7, 10**9)))
        if series == 8:
            detector.start(series)
        for number in range(first, first + 40):
            detector.frame(number, made_up(1)[0], series)

    _stream(rng, folder, int(rng.integers(1, 3)), send, scored=0)


def count_anew(rng: Rng, folder: Path) -> None:
    """Count from 0 again without a word: all but a few frames, by which that is noticed, are scored."""

    def send(detector: Detector) -> None:
        for number, frame in enumerate(made_up(40, seed=1)):
            detector.frame(number, frame)

    counts = _stream(rng, folder, int(rng.integers(1, 3)), send, scored=140)
    need(counts.processed >= 120, counts.sentence())


def silence(rng: Rng, folder: Path) -> None:
    """Send nothing for a while: that is said, also to a webhook, and so is its end."""
    hook = Webhook()
    hook.start()
    try:
        words = ("--set", "silent_s=0.5", "--set", f"alarms.webhook={hook.url}")
        _stream(rng, folder, 1, lambda detector: time.sleep(2.5), words=words)
        told = [(post["alarm"], post["over"]) for post in hook.posted]
    finally:
        hook.close()
    need(told[:2] == [("source", False), ("source", True)], f"the webhook was told {told}")


def overload(rng: Rng, folder: Path) -> None:
    """Send frames ten times too fast; what is dropped is counted, and the rest is scored."""
    port = free_port()
    detector = Detector(1, port)
    try:
        with _watch(detector.uri, folder, "--set", "queue.memory_mb=1", model="Slow") as command:
            detector.start()
            stack = made_up(50)
            for number in range(600):
                detector.frame(number, stack[number % 50])
                time.sleep(0.001)
            until(lambda: command.ledger["seen"] >= detector.sent, "all frames seen")
            command.look()
            command.signal(signal.SIGINT)
            counts = _run(command, seen=detector.sent)
    finally:
        detector.close()
    need(counts.dropped > 0, "nothing was dropped")


def _stream(
    rng: Rng,
    folder: Path,
    version: int,
    fault: Callable[[Detector], Any],
    *,
    scored: int = 100,
    words: tuple[str, ...] = (),
) -> LedgerCounts:
    """Send fifty frames, a fault, and fifty more; what was sent must be seen, and ``scored`` of it scored at least."""
    detector, stack = Detector(version, free_port()), made_up(100)
    try:
        with _watch(detector.uri, folder, *words) as command:
            detector.start()
            for number in range(50):
                detector.frame(number, stack[number])
            command.until_scored(50)
            fault(detector)
            for number in range(50, 100):
                detector.frame(number, stack[number])
            until(lambda: command.ledger["seen"] >= detector.sent and not command.ledger["waiting"], "all frames seen")
            command.look()
            command.signal(signal.SIGINT)
            counts = _run(command, seen=None)
    finally:
        detector.close()
    # Garbage that names a frame which was sent is that frame's duplicate.
    good = counts.seen - counts.malformed - counts.duplicate - counts.late
    need(good <= detector.sent, f"{detector.sent} frames were sent, {good} of those seen are no garbage")
    need(counts.processed + counts.duplicate + counts.late >= scored, counts.sentence())
    need(not counts.dropped, f"frames are dropped: {dict(counts.dropped_why)}")
    return counts


# Disks.


def full_disk(rng: Rng, folder: Path) -> None:
    """Let files not grow beyond some size: scoring goes on, and what isn't written is counted."""
    with _watch(_file(folder), folder) as command:
        command.until_scored(int(rng.integers(1, 40)))
        children = command.look().values()
        for pid in children:
            _limit(pid, int(rng.integers(1, 400_000)))
        if rng.random() < 0.5:
            time.sleep(0.3)
            for pid in children:
                _limit(pid, resource.RLIM_INFINITY)
        _run(command)


def _limit(pid: int, n_bytes: int) -> None:
    """Let a process's files grow so far, if it is there: a writer whose file is spoilt leaves for another."""
    with contextlib.suppress(ProcessLookupError):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (n_bytes, resource.RLIM_INFINITY))


def little_room(rng: Rng, folder: Path) -> None:
    """Keep more room free than the disk has: nothing is written, all of it is counted."""
    with _watch(_file(folder), folder, "--set", "keep.keep_free_mb=100000000") as command:
        counts = _run(command)
    need(counts.unsaved == counts.processed > 0, counts.sentence())


def folder_vanishes(rng: Rng, folder: Path) -> None:
    """Remove the folder while it is written: the watch ends, and its processes with it."""
    with _watch(_file(folder), folder) as command:
        command.until_scored(int(rng.integers(1, FRAMES // 2)))
        shutil.rmtree(folder / "out")
        command.leave()
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in command.family), "orphans end", 30)
        need(not [block for block in command.memory if block.exists()], "shared memory is left")


def source_truncated(rng: Rng, folder: Path) -> None:
    """Cut off or remove the file that is read, in the middle."""
    uri = _file(folder)
    run = folder / "run.h5"
    with _watch(uri, folder) as command:
        command.until_scored(int(rng.integers(1, FRAMES // 2)))
        if rng.random() < 0.5:
            run.unlink()
        else:
            os.truncate(run, int(rng.integers(0, run.stat().st_size)))
        said = command.leave()
        need(command.process.returncode in (0, 2), f"exit code {command.process.returncode}: {said[-300:]}")
        command.check(None)


# Memory.


def no_memory(rng: Rng, folder: Path) -> None:
    """Give a scorer not the memory it wants: its batch is dropped and counted, the others are scored."""
    with _watch(_file(folder), folder, model="Heavy") as command:
        counts = _run(command)
    need(counts.dropped > 0 and counts.processed > 0, counts.sentence())


# Network.


def detector_restarts(rng: Rng, folder: Path) -> None:
    """Let the sender die and come back on the same port; what it sends then is scored."""
    port, stack = free_port(), made_up(60)
    first = Detector(2, port)
    with _watch(first.uri, folder) as command:
        first.start()
        for number in range(30):
            first.frame(number, stack[number])
        command.until_scored(30)
        first.close()
        time.sleep(float(rng.uniform(0, 0.5)))
        second = Detector(2, port)
        try:
            for number in range(30, 60):
                second.frame(number, stack[number])
            until(lambda: command.ledger["processed"] >= 60, "frames of the second sender")
            command.look()
            command.signal(signal.SIGTERM)
            _run(command, seen=60)
        finally:
            second.close()


def strangers(rng: Rng, folder: Path) -> None:
    """Connect to the page and say nothing, garbage, or half a request; it goes on serving."""
    port = free_port()
    with _watch(_file(folder), folder, "--serve", "--port", str(port)) as command:
        command.until_scored(1)
        opened = []
        for _ in range(int(rng.integers(10, 200))):
            stranger = socket.create_connection(("127.0.0.1", port), timeout=5)
            opened.append(stranger)
            stranger.sendall(
                [b"", rng.bytes(200), b"GET / HTTP/1.1\r\nHost: loc", b"GET /socket HTTP/1.1\r\n"][rng.integers(4)]
            )
        need(_status(port, "/health") == 200, "the page doesn't answer")
        need(_status(port, "/", Host="evil.example") == 403, "another host is served")
        need(_status(port, "/run/../../etc/passwd") in (403, 404), "a path outside is served")
        for stranger in opened:
            stranger.close()
        _run(command)


def port_in_use(rng: Rng, folder: Path) -> None:
    """Take the page's port: one clear line, before anything is begun."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with _watch(_file(folder), folder, "--serve", "--port", str(taken.getsockname()[1])) as command:
            said = command.leave()
            need(command.process.returncode == 2 and "choose another port" in said, said[-300:])


def two_watches(rng: Rng, folder: Path) -> None:
    """Watch one source into one folder twice: the second is refused, the first goes on."""
    uri = _file(folder, rate=4)  # a minute: the second must find the first at work, on a machine under load, too
    with _watch(uri, folder) as first:
        first.until_scored(1)
        with _watch(uri, folder) as second:
            said = second.leave()
            need(second.process.returncode == 2 and "another process is writing" in said, said[-300:])
        first.signal(signal.SIGTERM)
        _run(first, seen=None)


def _status(port: int, path: str, **headers: str) -> int:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def _watch(uri: str, folder: Path, *words: str, **more: Any) -> "_Ending":
    return _Ending(WatchCommand(uri, folder / "out", *words, **more))


class _Ending:
    """Ends a command whatever happens."""

    def __init__(self, command: WatchCommand) -> None:
        self._command = command

    def __enter__(self) -> WatchCommand:
        return self._command

    def __exit__(self, *_: object) -> None:
        self._command.end()


Fault = Callable[[Rng, Path], None]
KINDS: dict[str, tuple[Fault, ...]] = {
    "process": (kill_child, stop_child, stop_watch, end_with_halted, clock_set),
    "signals": (end_by_signal, kill_and_resume),
    "stream": (bad_messages, disorder, other_frames, new_series, count_anew, silence, overload),
    "disk": (full_disk, little_room, folder_vanishes, source_truncated),
    "memory": (no_memory,),
    "network": (detector_restarts, port_in_use, two_watches),
    "page": (strangers,),
    "inputs": INPUTS,
    "cluster": CLUSTER,
    "crystals": CRYSTALS,
}
# So many of each hundred faults are of this kind; inputs are quick.
_SHARES = {
    "process": 18, "signals": 12, "stream": 20, "disk": 8, "memory": 4, "network": 6, "page": 4, "inputs": 16,
    "cluster": 6, "crystals": 6,
}  # fmt: skip


def campaign(
    n_faults: int, seed: int, only: str | None = None, turns: Sequence[int] | None = None
) -> tuple[Counter[str], Counter[str], list[str]]:
    """Run so many faults; return how many of each kind there were, how many were survived, and what wasn't.

    Parameters
    ----------
    n_faults : int
        How many.
    seed : int
        Of all that is random.
    only : str, optional
        One kind, instead of all in their shares.
    turns : sequence of int, optional
        Of each kind, these alone.
    """
    tried, survived, complaints = Counter[str](), Counter[str](), list[str]()
    kinds = [only] if only else list(KINDS)
    for kind in kinds:
        count = max(round(n_faults * (1 if only else _SHARES[kind] / 100)), 1)
        for turn in turns or range(count):
            fault = KINDS[kind][(turn + seed) % len(KINDS[kind])]
            began = time.monotonic()
            complaint = _one(fault, np.random.default_rng((seed, turn, sum(map(ord, fault.__name__)))))
            tried[kind] += 1
            survived[kind] += complaint is None
            line = f"{kind}, {fault.__name__}, seed {seed}, turn {turn}: {complaint or 'survived'}"
            print(f"{line} ({time.monotonic() - began:.1f} s)", file=sys.stderr, flush=True)
            if complaint is not None:
                complaints.append(line)
    return tried, survived, complaints


def _one(fault: Fault, rng: Rng) -> str | None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            fault(rng, Path(folder))
        except FaultError as error:
            return str(error)
        except Exception as error:  # one fault's own accident shall not end the hour
            return f"the campaign itself: {type(error).__name__}: {error}"
    return None


def _own(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--faults", type=int, default=FAULTS, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="of all that is random")
    parser.add_argument("--only", choices=tuple(KINDS), help="one kind")
    parser.add_argument("--turns", type=int, nargs="*", help="of that kind, these alone: to run a fault again")


def main() -> None:
    """Run the campaign, print kinds and how many were survived; exit with 1 if one wasn't."""
    given = arguments(__doc__, more=_own)
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a shell's background jobs ignore it, and so would watches
    report = Report(title="faults: what the commands survive", quick=given.quick or given.faults < FAULTS)
    began = time.monotonic()
    n_faults = QUICK if given.quick else given.faults
    tried, survived, complaints = campaign(n_faults, given.seed, given.only, given.turns)
    for kind, count in tried.items():
        report.add(kind, f"{survived[kind]} of {count}", bar="all", met=survived[kind] == count)
    report.add("all kinds", f"{survived.total()} of {tried.total()}", bar=f"{FAULTS} of {FAULTS}",
               met=survived.total() == tried.total() >= FAULTS if not report.quick else None)  # fmt: skip
    report.note(f"seed {given.seed}, {time.monotonic() - began:.0f} s")
    for complaint in complaints:
        report.note(complaint)
    report.finish()
    sys.exit(bool(complaints))


if __name__ == "__main__":
    main()
