"""What became of every frame: counts that add up at all times.

A frame that reached this program is *seen*, and is at any moment in exactly one of six places: waiting for its score,
processed, dropped (with the reason counted), late (so far behind the newest that it can't be told from a duplicate),
duplicate, or malformed. Frames that were numbered at the source but never reached it are *missing*; they were never
seen and so stand beside the sum. Each method moves whole counts, so no reader ever finds a sum that is wrong.
"""

import math
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Fate(StrEnum):
    """What becomes of a frame that gets no score, from the moment it arrives."""

    LATE = "late"
    DUPLICATE = "duplicate"
    MALFORMED = "malformed"


@dataclass(frozen=True, kw_only=True)
class LedgerCounts:
    """The counts at one moment.

    Attributes
    ----------
    seen : int
        Frames that arrived: the sum of the next six.
    processed, dropped, late, duplicate, malformed, waiting : int
        Where they are; see the module.
    missing : int
        Frames that the source numbered and that never arrived.
    unsaved : int
        Processed frames whose score or picture couldn't be written (the disk was full).
    dropped_why, malformed_why : mapping of str to int
        The same frames by reason.
    queue_depth, queue_size : int
        Batches that wait now, and room for them.
    latency_p50_s, latency_p99_s : float
        From arrival to score, over the latest few thousand frames, s.
    latency_p99_overall_s : float
        Over all frames.
    """

    seen: int = 0
    processed: int = 0
    dropped: int = 0
    late: int = 0
    duplicate: int = 0
    malformed: int = 0
    waiting: int = 0
    missing: int = 0
    unsaved: int = 0
    dropped_why: Mapping[str, int] = field(default_factory=dict)
    malformed_why: Mapping[str, int] = field(default_factory=dict)
    queue_depth: int = 0
    queue_size: int = 0
    latency_p50_s: float = 0.0
    latency_p99_s: float = 0.0
    latency_p99_overall_s: float = 0.0

    @property
    def adds_up(self) -> bool:
        """Whether every frame seen is in exactly one place, and every reason is counted."""
        placed = self.processed + self.dropped + self.late + self.duplicate + self.malformed + self.waiting
        reasons = sum(self.dropped_why.values()), sum(self.malformed_why.values())
        return self.seen == placed and reasons == (self.dropped, self.malformed)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)

    def sentence(self) -> str:
        """Return the counts as one line for a log."""
        parts = [f"seen {self.seen} = processed {self.processed}"]
        for name in ("dropped", "late", "duplicate", "malformed", "waiting"):
            parts.append(f"{name} {getattr(self, name)}")
        return " + ".join(parts) + f"; missing {self.missing}"


class Ledger:
    """The counts as they change; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()
        self._malformed: Counter[str] = Counter()
        self._latencies = Latencies()
        self._queue = (0, 0)

    def arrived(self, n_frames: int) -> None:
        """Count frames that arrived and now wait for their scores."""
        with self._lock:
            self._counts["seen"] += n_frames
            self._counts["waiting"] += n_frames

    def refused(self, fate: Fate, n_frames: int, reason: str = "") -> None:
        """Count frames that arrived and will get no score, as late, duplicate or malformed (and why)."""
        with self._lock:
            self._counts["seen"] += n_frames
            self._counts[fate.value] += n_frames
            if fate is Fate.MALFORMED:
                self._malformed[reason or "unknown"] += n_frames

    def processed(self, latencies_s: NDArray[np.float64]) -> None:
        """Count waiting frames as scored; their times from arrival to score, ``(n,)``, s."""
        with self._lock:
            self._counts["waiting"] -= len(latencies_s)
            self._counts["processed"] += len(latencies_s)
            self._latencies.add(latencies_s)

    def dropped(self, n_frames: int, reason: str) -> None:
        """Count waiting frames as dropped, and why."""
        with self._lock:
            self._counts["waiting"] -= n_frames
            self._counts["dropped"] += n_frames
            self._dropped[reason] += n_frames

    def missed(self, n_frames: int) -> None:
        """Count frames that were numbered and didn't come; negative when some come after all."""
        with self._lock:
            self._counts["missing"] += n_frames

    def unsaved(self, n_frames: int) -> None:
        """Count processed frames that couldn't be written."""
        with self._lock:
            self._counts["unsaved"] += n_frames

    def queue(self, depth: int, size: int) -> None:
        """Tell how many batches wait, and how many could."""
        with self._lock:
            self._queue = (depth, size)

    def counts(self) -> LedgerCounts:
        """Return all counts of this moment."""
        with self._lock:
            middle, high = self._latencies.latest(50, 99)
            return LedgerCounts(
                **self._counts,
                dropped_why=dict(self._dropped),
                malformed_why=dict(self._malformed),
                queue_depth=self._queue[0],
                queue_size=self._queue[1],
                latency_p50_s=middle,
                latency_p99_s=high,
                latency_p99_overall_s=self._latencies.overall(99),
            )


_LATEST = 8192  # frames: enough for a 99th percentile from 80 of them, and a few seconds' worth at kHz rates
# From a microsecond to a quarter of an hour in steps of two per cent.
_SHORTEST_S, _STEP, _BINS = 1e-6, math.log(1.02), 1040


class Latencies:
    """Times from arrival to score, of single frames."""

    def __init__(self) -> None:
        self._latest = np.zeros(_LATEST)
        self._bins = np.zeros(_BINS, np.int64)
        self._count = 0

    def add(self, seconds: NDArray[np.float64]) -> None:
        """Add the times of some frames, ``(n,)``, s."""
        latest = seconds[-_LATEST:]
        self._latest[(self._count + np.arange(len(latest))) % _LATEST] = latest
        self._count += len(seconds)
        places = np.log(np.maximum(seconds, _SHORTEST_S) / _SHORTEST_S) / _STEP
        self._bins += np.bincount(np.minimum(places.astype(np.int64), _BINS - 1), minlength=_BINS)

    def latest(self, *percents: float) -> tuple[float, ...]:
        """Return percentiles over the latest few thousand frames, s; zeros while there are none."""
        held = self._latest[: min(self._count, _LATEST)]
        return tuple(float(x) for x in np.percentile(held, percents)) if len(held) else (0.0,) * len(percents)

    def overall(self, percent: float) -> float:
        """Return a percentile over all frames, s, to two per cent; zero while there are none."""
        if not self._count:
            return 0.0
        place = int(np.searchsorted(np.cumsum(self._bins), math.ceil(self._count * percent / 100)))
        return _SHORTEST_S * math.exp((place + 1) * _STEP)
