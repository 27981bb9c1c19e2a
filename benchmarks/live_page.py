"""The live page and the live crystal: what looking costs, and how soon there is something to look at.

Bars: page open or closed, one viewer or ten, less than 5 % difference in the rate of scored frames; of a 64³ scan at
ten frames a second the first provisional image within 2 s of the first useful frames, then at least every 2 s while
frames arrive. Sender, watch, page and viewers share the same cores; viewers are plain sockets that read everything.

A rate over seconds scatters by some per cent: the runs take turns, and medians are compared.
"""

import argparse
import asyncio
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from report import Report, arguments, spread

from friedel.bcdi.live.demo import rocking_beamline
from friedel.bcdi.live.watch import CrystalWatch
from friedel.spi.live.plan import QueueOptions, WatchPlan
from friedel.spi.live.watch import HitsWatch
from friedel.stream.display import Display
from friedel.stream.snapshot import Snapshot
from friedel.stream.sources.events import Begun, Ended, Event, Message
from friedel.web.options import ServeOptions
from friedel.web.page import Page

FRAME, BATCH = 256, 64
SETTLED_S = 4.0
DIFFERENCE, SECONDS = 0.05, 2.0
SETTINGS: dict[str, int | None] = {"no page": None, "page, nobody looks": 0, "one viewer": 1, "ten viewers": 10}


class Playing:
    """A source that gives the same frames again and again, as fast as they are taken, until it is told to stop."""

    uri, patient = "benchmark://playing", True

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        y, x = np.indices((FRAME, FRAME)) - FRAME / 2
        rings = 30 * np.sinc(np.hypot(y, x) / 14) ** 2
        self._frames = rng.poisson(rings, (8, BATCH, FRAME, FRAME)).astype(np.uint16)
        self._sent = -1
        self.enough = threading.Event()

    def open(self) -> None:
        """Connect to nothing."""

    def receive(self, timeout_s: float) -> Event | None:
        """Return the next batch."""
        self._sent += 1
        if self._sent == 0:
            return Begun(series="benchmark")
        if self.enough.is_set():
            return Ended()
        frames = self._frames[self._sent % len(self._frames)]
        return Message(number=(self._sent - 1) * BATCH, frames=frames)

    def close(self) -> None:
        """Let go of nothing."""


def look(url: str, n_viewers: int) -> None:
    """Look at a page with so many viewers until this process is ended."""
    import aiohttp

    async def one(session: aiohttp.ClientSession) -> None:
        async with session.ws_connect(f"{url}socket", max_msg_size=0) as opened:
            async for _ in opened:
                pass

    async def everybody() -> None:
        async with aiohttp.ClientSession() as session:
            await asyncio.gather(*(one(session) for _ in range(n_viewers)))

    asyncio.run(everybody())


@contextmanager
def looked_at(n_viewers: int | None) -> Iterator[Display | None]:
    """Give a display that so many viewers look at through a page; None without a page."""
    if n_viewers is None:
        yield None
        return
    display = Display()
    with Page(display.names, ServeOptions(port=0)) as page:
        viewers = get_context("spawn").Process(target=look, args=(page.url, n_viewers), daemon=True)
        if n_viewers:
            viewers.start()
        yield display
        if n_viewers:
            viewers.terminate()
            viewers.join()
    display.close()


def rate_with(n_viewers: int | None, seconds: float) -> float:
    """Return the frames scored a second with so many viewers, after the first few seconds."""
    marks: list[tuple[float, int]] = []
    source = Playing()

    def note(snapshot: Snapshot) -> None:
        if snapshot.ledger.processed:
            marks.append((snapshot.taken, snapshot.ledger.processed))
        if marks and snapshot.taken - marks[0][0] > SETTLED_S + seconds:
            source.enough.set()

    plan = WatchPlan(source=Playing.uri, queue=QueueOptions(workers=2, sample=BATCH))
    with looked_at(n_viewers) as display:
        HitsWatch(plan, source=source, display=display, on_snapshot=note).run()
    used = [mark for mark in marks if SETTLED_S <= mark[0] - marks[0][0] <= SETTLED_S + seconds]
    (began, before), (ended, after) = used[0], used[-1]
    return (after - before) / (ended - began)


class Timed(Display):
    """A display that remembers when frames were collected and when each image came."""

    def __init__(self) -> None:
        super().__init__()
        self.collected: list[tuple[float, int]] = []
        self.images: list[tuple[float, int]] = []
        self.over = threading.Event()

    def show(self, snapshot: Snapshot) -> bool:
        """Note what is new, and show it."""
        now, view = time.monotonic(), snapshot.view
        if view is not None:
            self.collected.append((now, view.collected))
            if len(view.quality_frames) > len(self.images):
                self.images.append((now, int(view.quality_frames[-1])))
            if "final" in view.label:
                self.over.set()
        return super().show(snapshot)


def image_times(seed: int, folder: Path) -> tuple[float, list[float]]:
    """Return the time from the first useful frames to the first image, and those between images, s."""
    beamline = rocking_beamline(folder, seed=seed)
    plan = beamline.plan.model_copy(update={"display_s": 0.02})
    display = Timed()
    with beamline.running() as go:
        watch = CrystalWatch(plan, display=display, on_open=go.set)
        thread = threading.Thread(target=watch.run)
        thread.start()
        display.over.wait(120)
        watch.stop()
        thread.join()
    display.close()
    # The imaging process sees the peak passed when it has `past_peak` frames after it, and the least share of all.
    needed = max(
        int(np.ceil(plan.images.least_share * len(beamline.frames))), _peak(beamline.folder) + 1 + plan.images.past_peak
    )
    useful = next(when for when, n in display.collected if n >= needed)
    last_frame = next(when for when, n in display.collected if n == len(beamline.frames))
    times = [when for when, _ in display.images]
    return times[0] - useful, [b - a for a, b in pairwise(times) if a <= last_frame]


def _peak(folder: Path) -> int:
    import tifffile

    return int(np.argmax([tifffile.imread(path).max() for path in sorted(folder.glob("*.tif"))]))


def main() -> None:
    """Run the benchmark."""

    def more(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--rounds", type=int, default=None, help="turns of every setting")

    given = arguments(__doc__, more=more)
    rounds, seconds = given.rounds or (1 if given.quick else 5), 5.0 if given.quick else 30.0
    report = Report("live page: rate with and without it, provisional images", given.quick)
    rates: dict[str, list[float]] = {name: [] for name in SETTINGS}
    for _ in range(rounds):
        for name, n_viewers in SETTINGS.items():
            rates[name].append(rate_with(n_viewers, seconds))
    alone = float(np.median(rates["no page"]))
    for name, found in rates.items():
        less = 1 - float(np.median(found)) / alone
        bar = {} if name == "no page" else {"bar": f"< {DIFFERENCE:.0%} less", "met": less < DIFFERENCE}
        report.add(f"frames/s, {name}", f"{spread(found, 0)} ({-less:+.1%})", **bar)  # type: ignore[arg-type]
    firsts: list[float] = []
    between: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(1 if given.quick else 5):
            first, others = image_times(seed, Path(folder) / str(seed))
            firsts.append(first)
            between += others
    report.add("first image, s", spread(firsts, 2), bar=f"≤ {SECONDS:g}", met=max(firsts) <= SECONDS)
    longest = max(between, default=float("nan"))
    report.add("between images, s", spread(between, 2), bar=f"≤ {SECONDS:g}", met=longest <= SECONDS)
    report.finish()


if __name__ == "__main__":
    main()
