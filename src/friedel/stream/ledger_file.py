"""The ledger on disk: what became of every frame, and which frames are written where. SQLite, one file a folder.

`counts` grows by a row whenever the counts have changed, at most half a second behind; `batches` by a row for every
batch that is in a file *and flushed*: a frame that isn't in it counts as not written, whatever the file holds beyond.
So a folder can be taken up again after any kill, and its account and its files can't disagree: `replay` takes what was
written from `batches`, and counts what a kill took apart.
"""

import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.stream.ledger import LedgerCounts

FILE, NOW = "ledger.db", "ledger.json"
KILLED = "the watch was killed before they were written"
_BEHIND_S = 0.5  # s between two rows of counts: the most that a kill can leave uncounted
_BUSY_S = 10.0  # s; how long SQLite waits for another process's write (which takes milliseconds) before it fails
_TABLES = """
CREATE TABLE IF NOT EXISTS sessions (session INTEGER PRIMARY KEY, began REAL, source TEXT, ended REAL);
CREATE TABLE IF NOT EXISTS counts (session INTEGER, time REAL, counts TEXT);
CREATE TABLE IF NOT EXISTS batches (session INTEGER, part TEXT, series TEXT, first INTEGER, n INTEGER, numbers BLOB,
    until INTEGER, pictures INTEGER);
"""


@dataclass(frozen=True, eq=False, kw_only=True)
class WrittenBatch:
    """Frames that are in a file.

    Attributes
    ----------
    part : str
        The file's name.
    series : str
        Of the frames.
    numbers : (n,) int64
        Their numbers.
    until, pictures : int
        Rows and pictures that the file has with them.
    """

    part: str
    series: str
    numbers: NDArray[np.int64]
    until: int
    pictures: int


class Account:
    """The ledger file of one folder, opened by one process; several processes may have it open.

    Parameters
    ----------
    folder : Path
        Where it lies; it is made if there is none.

    Raises
    ------
    InputError
        If it is damaged or can't be made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self._base = sqlite3.connect(folder / FILE, timeout=_BUSY_S, check_same_thread=False)
            # Where a file system can't share memory SQLite keeps its other journal: slower, and as safe.
            self._base.execute("PRAGMA journal_mode=WAL")
            # Lost at worst in a power cut: the last moments. A killed process loses nothing.
            self._base.execute("PRAGMA synchronous=NORMAL")
            self._base.executescript(_TABLES)
        except sqlite3.Error as error:
            text = "can't be used; move it elsewhere to begin a new account (what is scored is read from the files)"
            raise InputError(f"{folder / FILE}: {text}: {error}") from None

    def begin(self, source: str) -> int:
        """Begin a session; return its number."""
        with self._base:
            made = self._base.execute("INSERT INTO sessions (began, source) VALUES (?, ?)", (time.time(), source))
        return int(made.lastrowid or 0)

    def count(self, session: int, counts: LedgerCounts, *, ended: bool = False) -> None:
        """Add the counts of this moment; with ``ended``, the session's last.

        Raises
        ------
        OSError
            If they can't be written.
        """
        row = (session, time.time(), json.dumps(counts.as_dict()))
        try:
            with self._base:
                self._base.execute("INSERT INTO counts VALUES (?, ?, ?)", row)
                if ended:
                    self._base.execute("UPDATE sessions SET ended = ? WHERE session = ?", (time.time(), session))
        except sqlite3.Error as error:
            raise OSError(f"the ledger can't be written: {error}") from error

    def begin_part(self, session: int, part: str) -> None:
        """Enter a file before it is made: what it holds counts from now on only as far as it is entered.

        Raises
        ------
        OSError
            If it can't be written.
        """
        none = np.zeros(0, np.int64)
        self.written(session, [WrittenBatch(part=part, series="", numbers=none, until=0, pictures=0)])

    def written(self, session: int, batches: Iterable[WrittenBatch]) -> None:
        """Add batches that are flushed: all of them or none.

        Raises
        ------
        OSError
            If they can't be written.
        """
        try:
            with self._base:
                self._base.executemany(
                    "INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?, ?, ?)", [_row(session, batch) for batch in batches]
                )
        except sqlite3.Error as error:
            raise OSError(f"the ledger can't be written: {error}") from error

    def done(self) -> dict[str, NDArray[np.int64]]:
        """Return the numbers of all frames that are written, sorted, by series."""
        found: dict[str, list[NDArray[np.int64]]] = {}
        for series, first, n, numbers in self._base.execute(
            "SELECT series, first, n, numbers FROM batches WHERE n > 0"
        ):
            whole = np.arange(first, first + n) if numbers is None else np.frombuffer(numbers, np.int64)
            found.setdefault(series, []).append(whole)
        return {series: np.unique(np.concatenate(some)) for series, some in found.items()}

    def parts(self) -> dict[str, tuple[int, int]]:
        """Return how many rows and pictures of each file are written, by the file's name."""
        found = self._base.execute("SELECT part, MAX(until), MAX(pictures) FROM batches GROUP BY part")
        return {part: (int(until), int(pictures)) for part, until, pictures in found}

    def replay(self) -> dict[int, LedgerCounts]:
        """Return the counts of each session. Of one that was killed, what hadn't been written is dropped, by `KILLED`.

        For such a session ``processed`` without ``unsaved`` is what the files hold.
        """
        known = {item.name for item in fields(LedgerCounts)}
        found = {}
        for session, ended in self._base.execute("SELECT session, ended FROM sessions").fetchall():
            last = self._base.execute(
                "SELECT counts FROM counts WHERE session = ? ORDER BY rowid DESC LIMIT 1", (session,)
            ).fetchone()
            values = {} if last is None else {k: v for k, v in json.loads(last[0]).items() if k in known}
            counts = LedgerCounts(**values)
            found[int(session)] = counts if ended else self._killed(int(session), counts)
        return found

    def close_killed(self) -> list[tuple[int, LedgerCounts]]:
        """End the sessions that were killed, with what `replay` says of them as their last row; return them.

        Only while the folder is locked and no session runs.
        """
        running = [session for (session,) in self._base.execute("SELECT session FROM sessions WHERE ended IS NULL")]
        found = [(session, counts) for session, counts in self.replay().items() if session in running]
        for session, counts in found:
            self.count(session, counts, ended=True)
        return found

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def _killed(self, session: int, counts: LedgerCounts) -> LedgerCounts:
        (written,) = self._base.execute("SELECT SUM(n) FROM batches WHERE session = ?", (session,)).fetchone()
        written = int(written or 0)
        elsewhere = counts.dropped + counts.late + counts.duplicate + counts.malformed
        kept = written + counts.unsaved
        lost = max(counts.seen - elsewhere - kept, 0)
        values = counts.as_dict() | {"processed": kept, "waiting": 0, "seen": elsewhere + kept + lost}
        if lost:
            values |= {"dropped": counts.dropped + lost, "dropped_why": {**counts.dropped_why, KILLED: lost}}
        return LedgerCounts(**values)


def _row(session: int, batch: WrittenBatch) -> tuple[Any, ...]:
    numbers = batch.numbers
    straight = len(numbers) > 0 and numbers[-1] - numbers[0] == len(numbers) - 1 and bool((np.diff(numbers) == 1).all())
    kept = None if straight else np.ascontiguousarray(numbers, np.int64).tobytes()
    first = int(numbers[0]) if len(numbers) else 0
    return session, batch.part, batch.series, first, len(numbers), kept, batch.until, batch.pictures


class Keeper:
    """Keeps the account of a running watch on disk from a thread of its own: the watch never waits for a disk.

    Parameters
    ----------
    folder : Path
        Locked for this watch.
    source : str
        Its URI.
    counts : function
        Returns the counts of the moment.
    """

    def __init__(self, folder: Path, source: str, counts: Callable[[], LedgerCounts]) -> None:
        self.account = Account(folder)
        self.session = self.account.begin(source)
        self._source, self._counts = source, counts
        self._last: LedgerCounts | None = None
        self._stop = threading.Event()
        self.trouble = ""
        self._thread = threading.Thread(target=self._keep, name="ledger", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write the last counts, which end the session."""
        self._stop.set()
        self._thread.join(_BUSY_S)
        self._note(ended=True)
        self.account.close()

    def _keep(self) -> None:
        while not self._stop.wait(_BEHIND_S):
            self._note()

    def _note(self, *, ended: bool = False) -> None:
        counts = self._counts()
        if counts == self._last and not ended:
            return
        try:
            self.account.count(self.session, counts, ended=ended)
            self._export(counts)
            self._last, self.trouble = counts, ""
        except OSError as error:  # a full disk: the next row says more
            self.trouble = str(error)

    def _export(self, counts: LedgerCounts) -> None:
        """Replace the file that says how things stand: readers find the old one or the new one, never half of one."""
        whole = {"ledger": counts.as_dict(), "source": self._source, "time": time.time()}
        draft = self.account.folder / f".{NOW}"
        draft.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
        draft.replace(self.account.folder / NOW)


def lock_folder(folder: Path) -> int:
    """Make the folder if need be and take its lock, for this process alone; return the descriptor that holds it.

    Raises
    ------
    InputError
        If another process writes there, or nothing can be written.
    """
    import fcntl

    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise InputError(f"{folder}: can't be written ({error.strerror or error}); choose another folder") from error
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise InputError(
            f"{folder}: locked: another process is writing its results there; stop it, or choose another folder"
        ) from None
    return descriptor
