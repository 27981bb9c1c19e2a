"""Watch rocking scans: receive and count frames, let each join its scan, show images as they get better.

The receiving thread puts every frame into the scan it belongs to, here; a process of its own images it. That process
can neither slow nor lose a frame: when it dies, another gets the scan as it stands.
"""

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from friedel.bcdi.live.plan import CrystalWatchPlan
from friedel.bcdi.live.scan import GrowingScan, numbers_in, setting_for
from friedel.bcdi.live.view import CrystalView
from friedel.bcdi.live.worker import Finish, Start, Worker, frame_order
from friedel.core.errors import InputError, PlanError
from friedel.core.observer import Note, Observer, Warned, silent
from friedel.stream.display import Display
from friedel.stream.ledger import Ledger, LedgerCounts
from friedel.stream.receiving import Receiver
from friedel.stream.snapshot import Snapshot
from friedel.stream.sources.events import Begun, Event, Message
from friedel.stream.sources.source import Source, find_source

OUTSIDE = "no place in the scan"
LEDGER_FILE = "ledger.json"
_TICK_S = 0.05
_RATE_OVER_S = 3.0
_DEATHS = 3


@dataclass(frozen=True, eq=False, kw_only=True)
class CrystalWatchResult:
    """What a watch leaves behind.

    Attributes
    ----------
    counts : LedgerCounts
        What became of every frame.
    snapshot : Snapshot
        The last one.
    folders : tuple of Path
        Results of the finished scans.
    """

    counts: LedgerCounts
    snapshot: Snapshot
    folders: tuple[Path, ...]


@dataclass(eq=False)
class _Series:
    """One scan, the process that images it, and its latest view."""

    scan: GrowingScan
    name: str
    first: int
    worker: Worker | None = None
    view: CrystalView = field(default_factory=CrystalView)
    frames: deque[Any] = field(default_factory=deque)
    over: bool = False
    told: bool = False
    done: bool = False
    deaths: int = 0


class _Tapped:
    """A source that remembers what came beside the latest frames: the receiver passes on frames alone."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.uri, self.patient = source.uri, source.patient
        self.meta: Mapping[str, Any] = {}

    def open(self) -> None:
        """Connect."""
        self._source.open()

    def receive(self, timeout_s: float) -> Event | None:
        """Return the next event."""
        event = self._source.receive(timeout_s)
        if isinstance(event, Message):
            self.meta = event.meta
        return event

    def close(self) -> None:
        """Let go of everything."""
        self._source.close()


class CrystalWatch:
    """A watch of rocking scans; `run` does it all, `stop` (from another thread) ends it early.

    Parameters
    ----------
    plan : CrystalWatchPlan
        What to watch and how.
    source : Source, optional
        Instead of the one the plan names.
    display : Display, optional
        Where snapshots are shown, and a pause comes from.
    observer : Observer
        Hears what is odd, and of finished scans.
    on_open : callable, optional
        Called once everything is loaded and the source is open.
    """

    def __init__(
        self,
        plan: CrystalWatchPlan,
        *,
        source: Source | None = None,
        display: Display | None = None,
        observer: Observer = silent,
        on_open: Callable[[], None] | None = None,
    ) -> None:
        if source is None and plan.source is None:
            raise PlanError("no source is named; give its URI, or 'source' in the plan")
        self.plan, self.observer, self.folder = plan, observer, plan.folder_for(None)
        self.source = _Tapped(source if source is not None else find_source(plan.source or ""))
        self.ledger = Ledger()
        self._display, self._on_open = display, on_open
        self._series: list[_Series] = []
        self._finished: list[Path] = []
        self._begun = Begun(series="scan")
        self._new_series = True
        self._stopped = threading.Event()
        self._spare: Worker | None = None
        self._rates: deque[tuple[float, int]] = deque(maxlen=256)
        self._shown_at = 0.0

    def stop(self) -> None:
        """End the watch; scans that aren't over get no final image."""
        self._stopped.set()

    def run(self) -> CrystalWatchResult:
        """Watch until the source ends and every scan has its final image, or `stop` is called.

        Raises
        ------
        InputError
            If the source or the plan's files can't be used, or the folder can't be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._spare = Worker(self.plan)
        self._receiver = Receiver(
            source=self.source, ledger=self.ledger, into=self, observer=self.observer, done={},
            silent_s=self.plan.silent_s, wake=lambda: None,
        )  # fmt: skip
        try:
            self._wait_until_ready(self._spare)
            self.source.open()
            self._receiver.start()
            if self._on_open is not None:
                self._on_open()
            self._loop()
            return self._result()
        finally:
            self._end()

    def snapshot(self) -> Snapshot:
        """Return what a display shows of this moment: the latest scan."""
        view = self._series[-1].view if self._series else CrystalView(label="no frame yet")
        if self._series:
            scan = self._series[-1].scan
            view = replace(view, collected=scan.n_measured, expected=scan.setting.n_frames or 0)
        return Snapshot(
            mode="crystal",
            taken=time.time(),
            source=self._receiver.state,
            ledger=self.ledger.counts(),
            frames_per_s=self._rate(),
            paused=self._receiver.paused,
            folder=str(self.folder),
            view=view,
        )

    # What the receiver asks of whoever takes the frames; it calls from its own thread.

    def begin(self, begun: Begun) -> None:
        """Take note of a new series: the scan before it is over."""
        self._begun, self._new_series = begun, True

    def mismatch(self, frames: NDArray[Any]) -> str:
        """Say why frames don't fit the scan; empty if they do."""
        if frames.ndim != 3 or frames.dtype.kind not in "uif":
            return f"{frames.dtype} of {frames.ndim} axes is no frame"
        if self._new_series:
            return ""
        shape = self._series[-1].scan.setting.mask.shape
        return "" if frames.shape[1:] == shape else f"shape {frames.shape[1:]} where the scan has {shape}"

    def accept(self, frames: NDArray[Any], numbers: NDArray[np.int64], *, series: int, timestamp: float) -> None:
        """Let frames join the scan; each is then processed."""
        arrived = time.monotonic()
        if self._new_series:
            self._begin_scan((frames.shape[1], frames.shape[2]), int(numbers[0]))
        now, readings = self._series[-1], numbers_in(self.source.meta)
        for frame, number in zip(frames, numbers, strict=True):
            try:
                now.scan.add(int(number) - now.first, frame, readings=readings)
            except InputError as error:
                self.ledger.dropped(1, OUTSIDE)
                self.observer(Warned("scan", str(error)))
                continue
            now.frames.append(frame_order(int(number) - now.first, frame, readings))
            self.ledger.processed(np.array([time.monotonic() - arrived]))
        if now.scan.complete:
            now.over = True

    def room(self, timeout_s: float) -> bool:
        """Say that there is room: a scan's frames are all kept."""
        return True

    def _begin_scan(self, shape: tuple[int, int], number: int) -> None:
        if self._series:
            self._series[-1].over = True
        setting = setting_for(self._begun, shape, self.plan.scan)
        # Sources count a scan's frames from 0; one that counts on from an earlier scan begins with what comes first.
        first = number if setting.n_frames is not None and number >= setting.n_frames else 0
        self._series.append(_Series(GrowingScan(setting), setting.name, first))
        self._new_series = False

    def _loop(self) -> None:
        while not self._stopped.wait(_TICK_S):
            if not self._receiver.running and self._series:
                self._series[-1].over = True
            for series in list(self._series):
                self._serve(series)
            self._show()
            if not self._receiver.running and all(series.done for series in self._series):
                break
        if self._receiver.error is not None:
            raise self._receiver.error

    def _serve(self, series: _Series) -> None:
        """Hand new frames to the scan's process, and hear what it shows."""
        if series.done:
            return
        if series.worker is None:
            series.worker, self._spare = self._spare or Worker(self.plan), None
            series.worker.tell(Start(series.scan.setting))
        while series.frames:
            series.worker.tell(series.frames.popleft())
        if series.over and not series.told:
            series.worker.tell(Finish(self._folder_of(series)))
            series.told = True
        for shown in series.worker.heard():
            series.view = shown.view
            if shown.final:
                self._over(series, shown.error)
        if not series.done and not series.worker.alive:
            self._revive(series)

    def _over(self, series: _Series, error: str) -> None:
        assert series.worker is not None
        series.done = True
        series.worker.stop()
        if error:
            self.observer(Warned(series.name, f"no final image: {error}"))
            series.view = replace(series.view, label=f"{series.view.label}, no final image", notes=(error,))
            return
        folder = self._folder_of(series)
        self._finished.append(folder)
        series.view = replace(series.view, report=str((folder / series.view.report).relative_to(self.folder)))
        self.observer(Note(series.name, f"{series.view.label}; report: {folder / 'report.html'}"))
        if self._receiver.running and self._spare is None:
            self._spare = Worker(self.plan)

    def _revive(self, series: _Series) -> None:
        """Start another process for a scan whose own died, with every frame that has come."""
        assert series.worker is not None
        series.worker.stop()
        series.deaths += 1
        if series.deaths >= _DEATHS:
            series.done = True
            self.observer(Warned(series.name, f"the imaging process died {_DEATHS} times; this scan gets no image"))
            return
        self.observer(Warned(series.name, "the imaging process died; another takes its place with the same frames"))
        series.worker, series.told = None, False
        series.frames = deque(frame_order(index, frame, readings) for index, frame, readings in series.scan.collected())

    def _folder_of(self, series: _Series) -> Path:
        name = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in series.name).strip("._")
        return self.folder / f"{self._series.index(series) + 1:03d}_{name or 'scan'}"

    def _show(self) -> None:
        now = time.monotonic()
        if self._display is None or now - self._shown_at < self.plan.display_s:
            return
        self._shown_at = now
        self._receiver.paused = self._display.control().paused
        self._display.show(self.snapshot())

    def _rate(self) -> float:
        now, processed = time.monotonic(), self.ledger.counts().processed
        self._rates.append((now, processed))
        while self._rates[0][0] < now - _RATE_OVER_S and len(self._rates) > 1:
            self._rates.popleft()
        (before, then), elapsed = self._rates[0], now - self._rates[0][0]
        return (processed - then) / elapsed if elapsed > 0 and before else 0.0

    def _wait_until_ready(self, worker: Worker) -> None:
        """Let the imaging process load before frames come, so that the first image isn't late."""
        while not worker.ready and not self._stopped.wait(_TICK_S):
            worker.heard()
            if not worker.alive:
                raise InputError("the imaging process ended before the first frame; run with --debug to see why")

    def _result(self) -> CrystalWatchResult:
        counts, last = self.ledger.counts(), self.snapshot()
        text = json.dumps({"ledger": counts.as_dict(), "scans": [series.name for series in self._series]}, indent=1)
        (self.folder / LEDGER_FILE).write_text(text, encoding="utf-8")
        self.observer(Note("ledger", counts.sentence()))
        if self._display is not None:
            self._display.show(last)
        return CrystalWatchResult(counts=counts, snapshot=last, folders=tuple(self._finished))

    def _end(self) -> None:
        self._receiver.stop()
        self.source.close()
        for worker in [self._spare, *(series.worker for series in self._series if not series.done)]:
            if worker is not None:
                worker.stop()


def watch_crystals(
    plan: CrystalWatchPlan,
    *,
    display: Display | None = None,
    observer: Observer = silent,
    on_open: Callable[[], None] | None = None,
) -> CrystalWatchResult:
    """Watch rocking scans until the source ends and every scan has its final image.

    Parameters
    ----------
    plan : CrystalWatchPlan
        What to watch, how to prepare and phase, where to write.
    display : Display, optional
        Where snapshots are shown.
    observer : Observer
        Hears what is odd, and of finished scans.
    on_open : callable, optional
        Called once everything is loaded and the source is open.

    Raises
    ------
    PlanError
        If no source or no folder is named.
    InputError
        If the source or the plan's files can't be used, or the folder can't be written.
    """
    return CrystalWatch(plan, display=display, observer=observer, on_open=on_open).run()
