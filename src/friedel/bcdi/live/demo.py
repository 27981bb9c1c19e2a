"""A simulated beamline to watch: a rocking scan written frame by frame as 34-ID-C writes.

What is written is found by the ordinary sources; the watch doesn't know that it is simulated.
"""

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from friedel.bcdi.forward.scan import simulate_demo_scan
from friedel.bcdi.live.plan import CrystalWatchPlan
from friedel.bcdi.prepare.options import PrepareOptions
from friedel.bcdi.scans.source import ScanSource
from friedel.bcdi.scans.write import write_aps34idc_scan
from friedel.core.observer import Note, Observer, silent

FRAMES_PER_S = 10.0  # the scan of 64 frames takes 6 s, in which several images can be seen
_SHAPE = (64, 64, 64)  # (n_rocking, y, x)


@dataclass(frozen=True, eq=False)
class RockingBeamline:
    """A scan that is ready to be written into a folder, frame after frame.

    Attributes
    ----------
    plan : CrystalWatchPlan
        That watches the folder.
    frames : tuple of Path
        The finished frames, to be moved to where they are awaited.
    folder : Path
        Where they are awaited.
    spec : Path
        The SPEC file there.
    lines : tuple of str
        Its lines; the last ``len(frames)`` are the points.
    """

    plan: CrystalWatchPlan
    frames: tuple[Path, ...]
    folder: Path
    spec: Path
    lines: tuple[str, ...]

    @contextmanager
    def running(self, frames_per_s: float = FRAMES_PER_S) -> Iterator[threading.Event]:
        """Write frames at this rate, from another thread, once the yielded event is set; stop when the block ends."""
        go, stop = threading.Event(), threading.Event()
        writer = threading.Thread(target=self._write, args=(go, stop, 1 / frames_per_s), daemon=True)
        writer.start()
        try:
            yield go
        finally:
            stop.set()
            go.set()
            writer.join()

    def _write(self, go: threading.Event, stop: threading.Event, step_s: float) -> None:
        n = len(self.frames)
        self.spec.write_text("\n".join(self.lines[:-n]) + "\n", encoding="ascii")
        go.wait()
        begun = time.monotonic()
        for index, frame in enumerate(self.frames):
            if stop.wait(max(0.0, begun + index * step_s - time.monotonic())):
                return
            with self.spec.open("a", encoding="ascii") as spec:
                spec.write(self.lines[index - n] + "\n")
            frame.replace(self.folder / frame.name)


def rocking_beamline(
    output: Path, *, seed: int = 0, shape: tuple[int, int, int] = _SHAPE, observer: Observer = silent
) -> RockingBeamline:
    """Simulate a rocking scan of a strained gold crystal, to be written as it is watched.

    Parameters
    ----------
    output : Path
        Folder for data (``beamline``) and results; the data of an earlier call are replaced.
    seed : int
        Seed of crystal and noise.
    shape : (int, int, int)
        ``(n_rocking, y, x)`` of the scan, at least 48 each.
    observer : Observer
        Hears what was made.
    """
    base = output / "beamline"
    shutil.rmtree(base, ignore_errors=True)
    simulated = simulate_demo_scan(seed=seed, shape=shape)
    source = write_aps34idc_scan(base / "finished", simulated.scan, sample="Demo")
    assert source.spec is not None  # this writer writes one
    folder, spec = base / source.path.name, base / source.spec.name
    folder.mkdir()
    lines = tuple(source.spec.read_text(encoding="ascii").rstrip("\n").split("\n"))
    frames = tuple(sorted(source.path.glob("*.tif")))
    uri = f"tiff+dir://{folder.resolve()}?spec={spec.resolve()}&scan=54&frames={len(frames)}"
    plan = CrystalWatchPlan(
        source=uri,
        scan=ScanSource.model_validate(source.model_dump() | {"path": folder, "spec": spec}),
        prepare=PrepareOptions(shape=shape),
        seed=seed,
        output=output,
    )
    observer(Note("beamline", f"{shape[0]} frames of a gold crystal will be written to {folder}"))
    return RockingBeamline(plan=plan, frames=frames, folder=folder, spec=spec, lines=lines)
