"""A real command under a fault, and what must hold after it: ledger, files, and nothing left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py

from friedel.stream.ledger import LedgerCounts
from friedel.stream.ledger_file import Account

HERE = Path(__file__).resolve().parent
ROOMY_S = 120.0
_SMALL = ("queue.workers=1", "queue.batch=16", "queue.sample=16", "queue.memory_mb=8", "keep.keep_free_mb=0")


class FaultError(Exception):
    """Something that must hold doesn't."""


def need(holds: bool, text: str) -> None:
    """Make sure that something holds.

    Raises
    ------
    FaultError
        If it doesn't.
    """
    if not holds:
        raise FaultError(text)


def until(true: Callable[[], Any], what: str, patience_s: float = ROOMY_S) -> None:
    """Wait until something is true.

    Raises
    ------
    FaultError
        If it doesn't come to be.
    """
    end = time.monotonic() + patience_s
    while not true():
        need(time.monotonic() < end, f"{what}: not within {patience_s:g} s")
        time.sleep(0.03)


class Command:
    """A running command that keeps a ledger in a folder.

    Parameters
    ----------
    words : str
        Its command line.
    folder : Path
        Its results.
    first : tuple of Path
        Folders whose modules its processes find before all others.
    """

    def __init__(self, *words: str, folder: Path, first: tuple[Path, ...] = ()) -> None:
        self.folder = folder
        code = "from friedel.cli.main import main; main()"
        search = os.pathsep.join([*map(str, first), str(HERE), *(entry for entry in sys.path if entry)])
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *words],
            env=os.environ | {"PYTHONPATH": search, "OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.family: set[int] = set()
        self.memory: set[Path] = set()
        self.said = ""

    @property
    def ledger(self) -> dict[str, Any]:
        """The ledger as the folder has it now."""
        try:
            found: dict[str, Any] = json.loads((self.folder / "ledger.json").read_text())["ledger"]
        except (OSError, ValueError):
            return {"seen": 0, "processed": 0}
        return found

    def look(self) -> dict[str, int]:
        """Take note of its processes and shared memory; return the processes by name."""
        found = _below(self.process.pid)
        self.family |= set(found.values())
        self.memory |= blocks_of(self.process.pid)
        return found

    def until_scored(self, n_frames: int) -> None:
        """Wait until so many frames are scored."""
        until(lambda: self.ledger["processed"] >= n_frames or self.ended, f"{n_frames} frames scored")
        if self.ended and self.ledger["processed"] < n_frames:
            raise FaultError(f"it ended early: {self.leave()[-300:]}")
        self.look()

    @property
    def ended(self) -> bool:
        """Whether the command is over."""
        return self.process.poll() is not None

    def signal(self, number: int) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def leave(self, timeout_s: float = ROOMY_S) -> str:
        """Wait for its end; return what it said.

        Raises
        ------
        FaultError
            If it doesn't end, or says what only a bug says.
        """
        if self.said:
            return self.said
        try:
            out, err = self.process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            raise FaultError("the command doesn't end") from None
        self.said = f"{out}\n{err}\n"
        need("Traceback" not in self.said, f"a traceback: {self.said.partition('Traceback')[2][:1500]}")
        return self.said

    def end(self) -> None:
        """End it and all its processes, whatever happened."""
        if not self.ended:
            self.look()
            self.process.kill()
        self.process.communicate()
        for pid in self.family:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)

    def counts(self) -> dict[int, LedgerCounts]:
        """Make sure that nothing is left behind and the ledger adds up; return its counts by session.

        Raises
        ------
        FaultError
            If something doesn't hold.
        """
        until(lambda: not any(map(alive, self.family)), "orphans end", 30)
        need(not [block for block in self.memory if block.exists()], "shared memory is left")
        account = Account(self.folder)
        try:
            sessions = account.replay()
        finally:
            account.close()
        need(all(counts.adds_up for counts in sessions.values()), "the ledger doesn't add up")
        return sessions


class WatchCommand(Command):
    """A running ``friedel watch`` of single hits.

    Parameters
    ----------
    uri : str
        The source.
    folder : Path
        For the results.
    words : str
        More of the command line.
    model : str
        The scorer.
    first : tuple of Path
        As for `Command`.
    """

    def __init__(
        self, uri: str, folder: Path, *words: str, model: str = "Brightness", first: tuple[Path, ...] = ()
    ) -> None:
        given = [word for setting in _SMALL for word in ("--set", setting)]
        scored_by = ("--model", f"faults_peer:{model}")
        super().__init__("watch", uri, "-o", str(folder), *scored_by, *given, *words, folder=folder, first=first)

    def check(self, seen: int | None = None) -> LedgerCounts:
        """Make sure that the ledger adds up, the files hold what it says, and nothing is left behind.

        Parameters
        ----------
        seen : int, optional
            Frames that were sent.

        Raises
        ------
        FaultError
            If something doesn't hold.
        """
        sessions = self.counts()
        rows = rows_in(self.folder)
        need(not [number for number, count in Counter(rows).items() if count > 1], "frames stand twice in the files")
        written = sum(counts.processed - counts.unsaved for counts in sessions.values())
        need(len(rows) == written, f"{len(rows)} rows in the files, {written} in the ledger")
        last = sessions[max(sessions)]
        need(seen is None or last.seen == seen, f"{seen} frames were sent, {last.seen} seen: {last.sentence()}")
        return last


def rows_in(folder: Path) -> list[tuple[str, int]]:
    """Return series and number of every row of a folder's files, which must be ordinary ones."""
    found = []
    for path in sorted(folder.glob("hits_*.cxi")):
        with h5py.File(path, "r", locking=False) as file:
            names = [name.decode() for name in file["entry_1/series_1/name"][()]]
            numbers, series = file["entry_1/result_1/number"][()], file["entry_1/result_1/series"][()]
            need(len(numbers) == len(file["entry_1/result_1/single"]), f"{path.name}: columns of different length")
            pictures = int(file["entry_1/result_1/selected"][()].sum())
            need(pictures == len(file["entry_1/data_1/data"]), f"{path.name}: pictures don't fit the rows")
            found += [(names[index], int(number)) for index, number in zip(series, numbers, strict=True)]
    return found


def alive(pid: int) -> bool:
    """Say whether a process runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _below(pid: int) -> dict[str, int]:
    """Return the processes below one by what they do: as they were started, scorer, writer, page."""
    found: dict[str, int] = {}
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, _text(path).split()):
            try:
                words = Path(f"/proc/{child}/cmdline").read_bytes()
            except OSError:
                continue
            if b"spawn_main" in words:
                found[f"child {len(found)}"] = child
            found |= {f"{name} of {child}": below for name, below in _below(child).items()}
    return found


def _text(path: Path) -> str:
    """Return what a file of /proc says; nothing if its process or thread has just ended."""
    try:
        return path.read_text()
    except OSError:
        return ""


def blocks_of(pid: int) -> set[Path]:
    """Return the blocks of friedel's shared memory that a process has."""
    lines = _text(Path(f"/proc/{pid}/maps")).splitlines()
    return {Path(line.split()[5]) for line in lines if "/dev/shm/friedel-" in line and "deleted" not in line}
