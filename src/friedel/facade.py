"""What a notebook calls: one function a step, in the field's words. Joins the rooms; computes nothing itself.

Crystals: `read_scan` → `prepare` → `friedel.reconstruct` → `analyse` → ``result.save`` and `load`. Single particles:
`open_frames` → `classify`. Both, while the data still come: `watch`.
"""

import queue
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from friedel.core.observer import Observer, silent

if TYPE_CHECKING:
    import torch

    from friedel.bcdi.prepare.options import PrepareOptions
    from friedel.bcdi.records import BraggScan, CrystalImage, Diffraction, Reconstruction
    from friedel.bcdi.scans.source import ScanSource
    from friedel.bcdi.strain.options import StrainOptions
    from friedel.spi.frames.run import Run
    from friedel.spi.records import HitScores
    from friedel.stream.display import Control
    from friedel.stream.snapshot import Snapshot

_LATEST = 8  # snapshots kept for a loop that is slower than they come; then the oldest is dropped


def read_scan(
    path: "str | Path | ScanSource",
    *,
    beamline: str | Path | None = None,
    scan: int | None = None,
    dataset: str | None = None,
    observer: Observer = silent,
) -> "BraggScan":
    """Read a rocking scan, or a plain volume of intensities.

    Parameters
    ----------
    path : path or ScanSource
        HDF5 file, folder of frames, or volume; a `ScanSource` says everything that a plan's ``scan`` section can.
    beamline : str or path, optional
        Name of a shipped beamline, or a beamline's YAML; None: a volume of unknown geometry.
    scan : int, optional
        Scan number; needed where the files hold several.
    dataset : str, optional
        Path inside HDF5, or an array's name in ``.npz``; None: the only candidate.
    observer : callable
        Hears what was found and repaired.

    Returns
    -------
    BraggScan
        Its ``repr`` says what was read.

    Raises
    ------
    InputError
        If anything is missing, damaged or contradicts itself.
    """
    from friedel.bcdi.scans import read
    from friedel.bcdi.scans.source import ScanSource

    if isinstance(path, ScanSource):
        return read.read_scan(path, observer=observer)
    name = None if beamline is None else str(beamline)
    return read.read_scan(ScanSource(path=Path(path), beamline=name, scan=scan, dataset=dataset), observer=observer)


def prepare(
    scan: "BraggScan", options: "PrepareOptions | Mapping[str, Any] | None" = None, *, observer: Observer = silent
) -> "Diffraction":
    """Make a raw rocking scan a clean, centred 3D pattern.

    Parameters
    ----------
    scan : BraggScan
        From `read_scan`.
    options : PrepareOptions or mapping, optional
        What a plan's ``prepare`` section may say.
    observer : callable
        Hears what each step did.

    Raises
    ------
    InputError
        If the scan holds no usable peak.
    PlanError
        If an option is unknown or wrong.
    """
    from friedel.bcdi.prepare.options import PrepareOptions
    from friedel.bcdi.prepare.prepare import prepare as prepare_scan

    chosen = PrepareOptions.read(options) if isinstance(options, Mapping) else options or PrepareOptions()
    return prepare_scan(scan, chosen, observer=observer)


def analyse(
    result: "Reconstruction", options: "StrainOptions | Mapping[str, Any] | None" = None, *, observer: Observer = silent
) -> "CrystalImage":
    """Return the crystal in the laboratory, with displacement, strain and lattice spacing where the geometry is known.

    Parameters
    ----------
    result : Reconstruction
        From `friedel.reconstruct` or `load`.
    options : StrainOptions or mapping, optional
        What a plan's ``strain`` section may say.
    observer : callable
        Hears what each step did.

    Raises
    ------
    InputError
        If the object has no surface to speak of.
    PlanError
        If an option is unknown or wrong.
    """
    from friedel.bcdi.strain.analysis import analyse as analyse_strain
    from friedel.bcdi.strain.options import StrainOptions

    chosen = StrainOptions.read(options) if isinstance(options, Mapping) else options or StrainOptions()
    return analyse_strain(result, chosen, observer=observer)


def load(path: str | Path) -> "Reconstruction":
    """Read a reconstruction that ``result.save`` wrote (``.cxi`` or ``.npz``).

    Raises
    ------
    InputError
        If the file is missing, damaged or no reconstruction.
    """
    from friedel.bcdi.results.save import load_reconstruction

    return load_reconstruction(path)


def open_frames(
    path: str | Path,
    *,
    dataset: str | None = None,
    geometry: str | Path | None = None,
    dark: str | Path | None = None,
) -> "Run":
    """Open a run of single-particle frames; nothing is read before it is asked for.

    Parameters
    ----------
    path : path
        ``.cxi .h5 .hdf5 .nxs .npy .npz``, or the folder of a European XFEL run.
    dataset : str, optional
        Where in it the frames are; None: the only candidate.
    geometry : path, optional
        CrystFEL geometry file, for a detector of many modules.
    dark : path, optional
        Dark image ``(y, x)``, or dark frames, taken off every frame.

    Returns
    -------
    Run
        With ``len``, slices ``(n, y, x)``, ``.mask`` and ``.source``; also a context manager.

    Raises
    ------
    InputError
        If there is no such file, it is damaged, or holds no or several candidates.
    """
    from friedel.spi.frames.run import Run

    given = {name: None if value is None else Path(value) for name, value in (("geometry", geometry), ("dark", dark))}
    return Run(Path(path), dataset=dataset, **given)


def classify(
    frames: "Run | ArrayLike | str | Path",
    *,
    mask: "NDArray[Any] | None" = None,
    mask_marks: 'Literal["bad", "good"] | None' = None,
    centre: tuple[float, float] | None = None,
    dark: "ArrayLike | None" = None,
    model: str | Path = "default",
    device: "str | torch.device | None" = None,
) -> "HitScores":
    """Tell which frames are single hits.

    Parameters
    ----------
    frames : Run, (n, y, x) array of any real dtype, or path
        Photons or detector units, at least 64², the beam near the middle; NaN, or masked in a `numpy.ma` array, where
        unknown. A path is opened as `open_frames` does.
    mask : (y, x), optional
        Of numbers, anything but 0 is bad, as in files; a boolean one is taken to leave most pixels. A run's own mask
        narrows it.
    mask_marks : {"bad", "good"}, optional
        What True, or anything but 0, means in the mask; needed only where that can't be told.
    centre : (float, float), optional
        Pixel (y, x) that the direct beam hits; None looks for it.
    dark : (y, x), optional
        Value of each pixel without light, taken off the frames.
    model : str or path
        Name of a shipped model, or the file or folder of one you trained or adapted. It stays loaded.
    device : str or torch.device, optional
        "cpu" or "cuda"; None takes a GPU if there is one.

    Returns
    -------
    HitScores
        An entry a frame.

    Raises
    ------
    InputError
        If the frames can't be used, or the mask doesn't fit them.
    WeightsError
        If there is no such model, or its files are damaged.
    """
    from friedel.spi.classify.in_memory import measured_pixels, score_run, unmasked
    from friedel.spi.frames.detector_images import WithoutDark, without_dark
    from friedel.spi.frames.run import Run
    from friedel.spi.hits.model import kept_model

    if isinstance(frames, (str, Path)):
        with open_frames(frames) as run:
            return classify(run, mask=mask, mask_marks=mask_marks, centre=centre, dark=dark, model=model, device=device)
    measured = measured_pixels(None if mask is None else np.asarray(mask), mask_marks)
    scorer = kept_model(model, device=device)
    if isinstance(frames, Run):
        source = frames.source if dark is None else WithoutDark(frames.source, np.asarray(dark, np.float32))
        return score_run(source, scorer, measured, centre=centre)
    plain = unmasked(frames) if dark is None else without_dark(unmasked(frames), np.asarray(dark, np.float32))
    return scorer.score(plain, measured, run=scorer.measure(plain, measured, centre=centre))


def watch(
    source: str, *, crystals: bool = False, plan: str | Path | None = None, output: str | Path | None = None
) -> "Iterator[Snapshot]":
    """Watch a stream, and yield what a display would show a few times a second, until the stream ends.

    Leaving the loop ends the watch and closes its files. In a script it must stand under
    ``if __name__ == "__main__":``, because the processes that score import the script.

    Parameters
    ----------
    source : str
        Address of the stream ("pva://…", "karabo://…", "simplon://…", "file://…" and others), or a path.
    crystals : bool
        Rocking scans, rather than single hits.
    plan : path, optional
        A watch's plan; needed for crystals, where it describes the beamline.
    output : path, optional
        Folder for the results; single hits are only shown without one.

    Yields
    ------
    Snapshot
        ``.ledger`` says what became of every frame; ``.view`` is the science's own part.

    Raises
    ------
    InputError, PlanError
        If the source, the plan or the folder can't be used.
    """
    import friedel.bcdi.live.watch as bcdi_watch
    import friedel.spi.live.watch as spi_watch
    from friedel.bcdi.live.plan import CrystalWatchPlan
    from friedel.core.plan import Plan
    from friedel.spi.live.plan import WatchPlan

    kind: type[Plan] = CrystalWatchPlan if crystals else WatchPlan
    given = {"source": source, "output": None if output is None else Path(output).absolute()}
    chosen: Any = (kind.load(plan) if plan is not None else kind()).with_settings(given=given)
    shown: Any = _Shown()
    job: Any = (bcdi_watch.CrystalWatch if crystals else spi_watch.HitsWatch)(chosen, display=shown)
    yield from shown.until_done(job)


class _Shown:
    """A display that hands its snapshots to a loop; the watch never waits for it."""

    def __init__(self) -> None:
        self._snapshots: queue.Queue[Snapshot | None] = queue.Queue(_LATEST)
        self._error: BaseException | None = None

    def show(self, snapshot: "Snapshot") -> bool:
        """Keep a snapshot; where `_LATEST` wait already, the oldest is dropped."""
        if self._snapshots.full():
            self._snapshots.get_nowait()
        self._snapshots.put(snapshot)
        return True

    def control(self) -> "Control":
        """Return what is asked of the watch: nothing."""
        from friedel.stream.display import Control

        return Control()

    def until_done(self, job: Any) -> "Iterator[Snapshot]":
        """Run a watch in a thread and yield its snapshots; an error in it is raised here."""
        thread = threading.Thread(target=self._run, args=(job,), name="watch", daemon=True)
        thread.start()
        try:
            while (snapshot := self._snapshots.get()) is not None:
                yield snapshot
            if self._error is not None:
                raise self._error
        finally:
            job.stop()
            thread.join()

    def _run(self, job: Any) -> None:
        try:
            job.run()
        except BaseException as error:  # carried to the loop that waits for snapshots
            self._error = error
        self.show(None)  # type: ignore[arg-type]  # the end
