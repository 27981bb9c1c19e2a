"""Watch rocking scans: receive and count frames, let each join its scan, show images as they get better.

The receiving thread puts every frame into the scan it belongs to, here; a process of its own images it. That process
can neither slow nor lose a frame: each is given the frames in the order of their arrival, from the first, and when one
dies its successor is given them all again. A frame counts as saved once the final image of its scan is.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from friedel.bcdi.live.imaging import AddFrame, FinishScan, Shown, StartScan, start_imaging
from friedel.bcdi.live.plan import CrystalWatchPlan
from friedel.bcdi.live.scan import FARTHEST, GrowingScan, numbers_in, setting_for
from friedel.bcdi.live.series import folder_for_scan
from friedel.bcdi.live.view import CrystalView
from friedel.core.errors import InputError, PlanError
from friedel.core.files.atomic import remove_unfinished
from friedel.core.observer import Note, Observer, Warned, silent
from friedel.stream.display import Control, Display
from friedel.stream.ledger import Ledger, LedgerCounts
from friedel.stream.processes import Supervised
from friedel.stream.snapshot import Snapshot
from friedel.stream.sources.events import Begun, Event, Message
from friedel.stream.sources.source import Source, find_source
from friedel.stream.watching import Watch, WatchSetting

OUTSIDE = "no place in the scan"
GIVEN_UP = "its scan was given up: no image is made of it"
# Scans imaged at once, the latest among them: each takes the memory of a process with torch, and a share of the cores.
_AT_ONCE = 3
_DEATHS = 3  # of a scan's imaging process: frames that kill it three times will kill it again
_LEAVE_S = 0.5  # s to leave before it is killed; what it would still write is incomplete and removed


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
class ScanUnderWay:
    """One scan, the process that images it, and its latest view.

    Attributes
    ----------
    scan : GrowingScan
        All its frames; the receiver's thread adds to it.
    name : str
        Its name.
    folder : Path
        For its final image.
    first : int
        The number of the frame whose place is 0.
    order : list of int
        Places of its frames as they came; the receiver's thread adds to it.
    process : Supervised or None
        Images it.
    given : int
        So many of ``order`` the process has been given.
    over : bool
        No more frames come.
    told : bool
        The process has been told so.
    done : bool
        There is a final image, or there will be none.
    deaths : int
        Of its processes.
    waits : bool
        It was said to wait for a process.
    """

    scan: GrowingScan
    name: str
    folder: Path
    first: int
    order: list[int] = field(default_factory=list)
    process: Supervised | None = None
    given: int = 0
    view: CrystalView = field(default_factory=CrystalView)
    over: bool = False
    told: bool = False
    done: bool = False
    deaths: int = 0
    waits: bool = False


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


class CrystalSink:
    """Images scans; see `friedel.stream.watching.Sink`. It takes the frames itself, from the receiver's thread.

    Parameters
    ----------
    plan : CrystalWatchPlan
        How.
    folder : Path
        For the results.
    source : _Tapped
        Tells what came beside the latest frames.
    ledger : Ledger
        The watch's.
    observer : Observer
        Hears what is odd, and of finished scans.
    """

    mode = "crystal"

    def __init__(
        self, plan: CrystalWatchPlan, folder: Path, source: _Tapped, ledger: Ledger, observer: Observer
    ) -> None:
        self.plan, self.folder, self.ledger, self.observer = plan, folder, ledger, observer
        self.scans: list[ScanUnderWay] = []
        self.finished: list[Path] = []
        self._source = source
        self._begun, self._series = Begun(series="scan"), -1
        self._new_series = True
        self._given_up = threading.Lock()
        self._taken: set[Path] = set()
        self._spare: Supervised | None = None
        self._stopped = False

    # What the receiver asks of whoever takes the frames; it calls from its own thread.

    def begin(self, begun: Begun) -> None:
        """Take note of a new series: the scan before it is over."""
        self._begun, self._new_series = begun, True

    def mismatch(self, frames: NDArray[Any]) -> str:
        """Say why frames don't fit the scan; empty if they do."""
        if frames.ndim != 3 or frames.dtype.kind not in "uif":
            return f"{frames.dtype} of {frames.ndim} axes is no frame"
        mask = self._begun.mask if self._new_series else self.scans[-1].scan.setting.mask
        if mask is None or frames.shape[1:] == mask.shape:
            return ""
        return f"shape {frames.shape[1:]} where the scan has {mask.shape}"

    def accept(self, frames: NDArray[Any], numbers: NDArray[np.int64], *, series: int, timestamp: float) -> None:
        """Let frames join the scan; each is then processed.

        Parameters
        ----------
        frames : (n, y, x), any real dtype
            Photons or detector units.
        numbers : (n,) int64
            Their numbers in the series.
        series : int
            The series' number in this watch, from 1.
        timestamp : float
            The source's time, s since the epoch; NaN if it gives none.
        """
        arrived = time.monotonic()
        if self._new_series or series != self._series:  # another one also when its numbers began anew unannounced
            self._begin_scan((frames.shape[1], frames.shape[2]), int(numbers[0]))
            self._series = series
        now, readings = self.scans[-1], numbers_in(self._source.meta)
        with self._given_up:
            if now.done and not now.over:
                self.ledger.dropped(len(frames), GIVEN_UP)
                return
            for frame, number in zip(frames, numbers, strict=True):
                place = int(number) - now.first
                try:
                    new = now.scan.add(place, frame, readings=readings)
                except InputError as error:
                    self.ledger.dropped(1, OUTSIDE)
                    self.observer(Warned("scan", str(error)))
                    continue
                if new:
                    now.order.append(place)
                self.ledger.processed(np.array([time.monotonic() - arrived]))
        if now.scan.complete:
            now.over = True

    def room(self, timeout_s: float) -> bool:
        """Say that there is room: a scan's frames are all kept."""
        return True

    def _begin_scan(self, shape: tuple[int, int], number: int) -> None:
        if self.scans:
            self.scans[-1].over = True
        setting = setting_for(self._begun, shape, self.plan.scan)
        # Sources count a scan's frames from 0; one that counts on from an earlier scan begins with what comes first.
        first = number if number >= (setting.n_frames or FARTHEST) else 0
        folder = folder_for_scan(self.folder, setting.name, self._taken, again=self._begun.lasting)
        self._taken.add(folder)
        self.scans.append(ScanUnderWay(GrowingScan(setting), setting.name, folder, first))
        self._new_series = False

    # What the loop asks.

    @property
    def into(self) -> "CrystalSink":
        """The sink itself."""
        return self

    def start(self, watch: Watch) -> None:
        """Start the process of the first scan."""
        self._watch = watch
        self._spare = start_imaging(self.plan, watch.wake)

    def step(self) -> None:
        """Serve every scan."""
        self._hear_spare()
        running = self._watch.receiver.running
        scans = list(self.scans)
        for scan in scans:
            scan.over = scan.over or (not running and self._received)
            if not scan.done:
                self._serve(scan)
            elif scan is not scans[-1]:  # with its frames and pictures: else a day's scans would stay in memory
                self.scans.remove(scan)

    @property
    def ready(self) -> bool:
        """Whether the imaging process has loaded: else the first image would be late."""
        return self._spare is not None and self._spare.ready

    @property
    def hungry(self) -> bool:
        """Always: a frame is passed on at once."""
        return True

    @property
    def drained(self) -> bool:
        """Whether every scan has its final image; once stopped, those without get none."""
        return self._stopped or all(scan.done for scan in self.scans)

    def stopping(self) -> None:
        """Make no more images."""
        self._stopped = True

    def obey(self, control: Control) -> None:
        """Nothing but a pause, which is the receiver's."""

    def view(self) -> CrystalView:
        """Return the view of the latest scan."""
        if not self.scans:
            return CrystalView(label="no frame yet")
        scan = self.scans[-1].scan
        return replace(self.scans[-1].view, collected=scan.n_measured, expected=scan.setting.n_frames or 0)

    def note(self, counts: LedgerCounts) -> None:
        """Nothing: the ledger is in the folder."""

    def finish(self) -> None:
        """Count the frames of scans that get no final image as unsaved, and say so."""
        for scan in self.scans:
            if not scan.done:
                self._no_image(scan, "the watch was stopped before its final image was made")

    def close(self) -> None:
        """End all processes; what the killed left half-written goes."""
        processes = [self._spare, *(scan.process for scan in self.scans)]
        for process in processes:
            if process is not None:
                process.hang_up()
        for process in processes:
            if process is not None:
                process.stop(_LEAVE_S)
        remove_unfinished(self.folder)

    @property
    def _received(self) -> bool:
        return self._watch.receiver.state.state != "opening" or bool(self.scans)

    def _hear_spare(self) -> None:
        if self._spare is None:
            return
        self._spare.heard()
        if self._spare.gone:
            if not self._spare.ready:
                raise InputError("the imaging process ended before the first frame; run with --debug to see why")
            self._spare.stop(0.0)
            self._spare = start_imaging(self.plan, self._watch.wake)

    def _serve(self, scan: ScanUnderWay) -> None:
        """Hand new frames to the scan's process, and hear what it shows."""
        if scan.process is None and sum(other.process is not None for other in self.scans) >= _AT_ONCE:
            self._let_wait(scan)
            return
        process = self._process_of(scan)
        over = scan.over  # asked first: every frame of a scan that is over stands in its order
        while scan.given < len(scan.order):
            process.tell(self._frame(scan, scan.order[scan.given]))
            scan.given += 1
        if over and not scan.told:
            process.tell(FinishScan(scan.folder))
            scan.told = True
        for shown in process.heard():
            if isinstance(shown, Shown):
                scan.view = shown.view
                if shown.final:
                    self._over(scan, shown.error)
        if not scan.done and process.gone:
            self._revive(scan)

    def _let_wait(self, scan: ScanUnderWay) -> None:
        if not scan.waits:
            text = f"its images wait: {_AT_ONCE} earlier scans are being imaged; its frames are kept in memory"
            self.observer(Warned(scan.name, text))
            scan.waits, scan.view = True, replace(scan.view, label=f"waits for {_AT_ONCE} earlier scans' images")

    def _process_of(self, scan: ScanUnderWay) -> Supervised:
        if scan.process is None:
            scan.process = self._spare or start_imaging(self.plan, self._watch.wake)
            self._spare = None
            scan.process.tell(StartScan(scan.scan.setting))
            scan.given, scan.told = 0, False
        return scan.process

    def _frame(self, scan: ScanUnderWay, place: int) -> AddFrame:
        frame, readings = scan.scan.frame(place)
        return AddFrame(place, frame, readings)

    def _over(self, scan: ScanUnderWay, error: str) -> None:
        assert scan.process is not None
        scan.process.stop(_LEAVE_S)
        scan.process = None
        if error:
            self._no_image(scan, error)
            scan.view = replace(scan.view, label=f"{scan.view.label}, no final image", notes=(error,))
        else:
            self._note_image(scan)
        scan.done = True
        if self._watch.receiver.running and self._spare is None:
            self._spare = start_imaging(self.plan, self._watch.wake)

    def _note_image(self, scan: ScanUnderWay) -> None:
        folder = scan.folder
        self.finished.append(folder)
        scan.view = replace(scan.view, report=str((folder / scan.view.report).relative_to(self.folder)))
        self.observer(Note(scan.name, f"{scan.view.label}; report: {folder / 'report.html'}"))

    def _no_image(self, scan: ScanUnderWay, why: str) -> None:
        with self._given_up:
            scan.done = True
            self.ledger.unsaved(len(scan.order))
        self.observer(Warned(scan.name, f"no final image: {why}; its {len(scan.order)} frames count as unsaved"))

    def _revive(self, scan: ScanUnderWay) -> None:
        """Give the scan to another process, which gets every frame that has come."""
        assert scan.process is not None
        scan.process.stop(0.0)
        scan.process = None
        scan.deaths += 1
        remove_unfinished(self.folder, scan.folder.name)
        if scan.deaths >= _DEATHS:
            self._no_image(scan, f"the imaging process died {_DEATHS} times")
            return
        self.observer(Warned(scan.name, "the imaging process died; another takes its place with the same frames"))


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
    on_snapshot : callable, optional
        Called with each snapshot in this process.
    """

    def __init__(
        self,
        plan: CrystalWatchPlan,
        *,
        source: Source | None = None,
        display: Display | None = None,
        observer: Observer = silent,
        on_open: Callable[[], None] | None = None,
        on_snapshot: Callable[[Snapshot], None] | None = None,
    ) -> None:
        if source is None and plan.source is None:
            raise PlanError("no source is named; give its URI, or 'source' in the plan")
        folder = plan.folder_for(None)
        self.ledger = Ledger()
        tapped = _Tapped(source if source is not None else find_source(plan.source or ""))
        self.sink = CrystalSink(plan, folder, tapped, self.ledger, observer)
        setting = WatchSetting(folder=folder, silent_s=plan.silent_s, display_s=plan.display_s, alarms=plan.alarms)
        self.watch = Watch(
            tapped, self.sink, setting, ledger=self.ledger, display=display, observer=observer,
            on_snapshot=on_snapshot, on_open=on_open,
        )  # fmt: skip

    def stop(self) -> None:
        """End the watch; scans that aren't over get no final image."""
        self.watch.stop()

    def run(self) -> CrystalWatchResult:
        """Watch until the source ends and every scan has its final image, or `stop` is called.

        Raises
        ------
        InputError
            If the source or the plan's files can't be used, or the folder can't be written.
        """
        self.watch.run()
        return CrystalWatchResult(
            counts=self.ledger.counts(), snapshot=self.watch.snapshot(), folders=tuple(self.sink.finished)
        )


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
