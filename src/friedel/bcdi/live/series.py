"""One rocking scan from its first frame to its final image: when to make a provisional image, in which box.

The final image is made by the batch chain from the complete scan, with the plan's own settings and seed: whatever the
provisional ones showed, it is what `friedel reconstruct` gives for the same frames.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from friedel.bcdi.live.plan import LiveCrystalOptions
from friedel.bcdi.live.provisional import Imager
from friedel.bcdi.live.scan import GrowingScan, ScanSetting
from friedel.bcdi.live.view import CrystalView, History, picture, provisional_view, view_of, waiting_view
from friedel.bcdi.plan import ReconstructionPlan
from friedel.bcdi.prepare.counts import Counts
from friedel.bcdi.prepare.crop import Triple, choose_shape, find_peak
from friedel.bcdi.prepare.options import PrepareOptions
from friedel.bcdi.run import RunResult, run_scan
from friedel.core.errors import InputError
from friedel.core.observer import Event, Observer, Progress

REPORT = "report.html"
_LARGEST_BOX = 96  # voxels a side of the provisional images' box: of a larger one only the centre would be used
# Share of the box by which the found peak may shift before the box is centred anew, and the images with it.
_WANDER = 1 / 16
# Correlation of the members below which they have no common object: the next image begins from new ones.
_LOST = 0.6


class LiveCrystal:
    """A scan and its images.

    Parameters
    ----------
    setting : ScanSetting
        What is known of the scan.
    imager : Imager
        Makes the images; it is begun anew.
    plan : ReconstructionPlan
        How the final image is made; its ``prepare`` section holds for the provisional ones too.
    """

    def __init__(self, setting: ScanSetting, imager: Imager, plan: ReconstructionPlan | None = None) -> None:
        self.scan = GrowingScan(setting)
        self.plan = plan or ReconstructionPlan()
        self.view = waiting_view(0, setting.n_frames or 0, "No frame has come yet.")
        self.result: RunResult | None = None
        self._imager, self._history = imager, History()
        self._box: PrepareOptions | None = None
        self._tried = 0
        imager.begin_anew()

    @property
    def options(self) -> LiveCrystalOptions:
        """How the provisional images are made."""
        return self._imager.options

    def add(self, index: int, frame: NDArray[Any], *, readings: Mapping[str, float] | None = None) -> bool:
        """Take a frame, as `GrowingScan.add`."""
        return self.scan.add(index, frame, readings=readings)

    @property
    def due(self) -> bool:
        """Whether there are new frames, and enough of them, for another image."""
        n, planned = self.scan.n_measured, self.scan.setting.n_frames or 0
        enough = max(self.options.least_frames, self.options.least_share * planned)
        return self.result is None and n >= enough and n > self._tried

    def update(self) -> CrystalView:
        """Make an image of the frames so far, or say why there is none yet."""
        self._tried = self.scan.n_measured
        expected = self.scan.setting.n_frames or 0
        try:
            counts = self.scan.counts(self.plan.prepare)
            peak = find_peak(counts)
            missing = self._missing(peak)
            if missing:
                self.view = waiting_view(self._tried, expected, missing)
                return self.view
            pattern = self.scan.pattern(self._options(counts, peak), counts=counts)
        except InputError as error:
            self.view = waiting_view(self._tried, expected, f"No image yet: {error}.")
            return self.view
        image = self._imager.image(pattern, n_measured=self._tried, n_frames=self.scan.n_frames)
        if image.agreement is not None and image.agreement < _LOST:
            self._imager.begin_anew()
        same, enough = image.same, self.options
        self._history = self._history.and_then(self._tried, same, enough=enough.same, in_a_row=enough.same_updates)
        first = (_sentence(self._imager.beginning),) if same is None else ()
        self.view = provisional_view(image, self._history, expected, first)
        return self.view

    def finish(
        self, folder: Path, *, tell: Callable[[CrystalView], None] | None = None, observer: Observer | None = None
    ) -> CrystalView:
        """Make the final image and its report from the whole scan, by the batch chain.

        Parameters
        ----------
        folder : Path
            For the results.
        tell : callable, optional
            Gets the last view again as the work goes on, with words that say how far it is.
        observer : Observer, optional
            Hears what the batch chain tells.

        Raises
        ------
        InputError
            If the scan can't be used, or nothing can be written.
        """

        def watching(event: Event) -> None:
            if observer is not None:
                observer(event)
            if tell is not None and isinstance(event, Progress):
                tell(replace(self.view, label=f"{self._collected()}, final image: {event.task}", report=""))

        self.result = run_scan(self.scan.scan(), self.plan, folder, observer=watching)
        quality = self.result.reconstruction.quality
        figures = {"chi": quality.chi, "agreement": quality.agreement, "free deviance": quality.free_deviance}
        self.view = view_of(
            picture(self.result.reconstruction, self.result.crystal),
            self._history,
            collected=self.scan.n_measured,
            expected=self.scan.setting.n_frames or self.scan.n_frames,
            label=f"{self._collected()}, final",
            notes=("The checks passed.",) if quality.trusted else ("A check failed: read the report.",),
            figures={name: value for name, value in figures.items() if value is not None},
            report=str(self.result.files["report"].name),
        )
        return self.view

    def _collected(self) -> str:
        return f"{self.scan.n_measured} of {self.scan.n_frames} frames"

    def _missing(self, peak: Triple) -> str:
        """Return why the frames so far show no peak to phase; nothing if they do."""
        known, margin = np.flatnonzero(self.scan.measured), self.options.past_peak
        before, after = int((known < peak[0]).sum()), int((known > peak[0]).sum())
        if min(before, after) >= margin:
            return ""
        return f"The Bragg peak isn't passed yet: frame {peak[0]} is the brightest, {after} frames have come after it."

    def _options(self, counts: Counts, peak: Triple) -> PrepareOptions:
        """Return the box of the provisional images: it stays where it is while the peak does."""
        given = self.plan.prepare
        if self._box is not None and self._box.shape is not None and self._box.centre is not None:
            moved = [abs(p - c) / n for p, c, n in zip(peak, self._box.centre, self._box.shape, strict=True)]
            if max(moved) <= _WANDER:
                return self._box
            self._imager.begin_anew()
        n, rows, columns = counts.values.shape
        recorded = (max(n, 2 * peak[0]), rows, columns)
        chosen = given.shape or choose_shape(recorded, peak, bin_by=given.bin, pad_fraction=given.pad_fraction)
        z, y, x = (min(size, _LARGEST_BOX) for size in chosen)
        self._box = given.model_copy(update={"shape": (z, y, x), "centre": given.centre or peak})
        return self._box


def folder_for_scan(results: Path, name: str, taken: Collection[Path], *, again: bool) -> Path:
    """Return the folder of a scan's results, numbered in the order of the scans, also over several watches.

    Parameters
    ----------
    results : Path
        Of the watch.
    name : str
        The scan's; what no folder may be called is replaced.
    taken : collection of Path
        Folders of scans whose results may not be there yet.
    again : bool
        A scan of this name is the same scan, seen again: its results are replaced.
    """
    plain = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name).strip("._")[:100]
    plain = plain or "scan"
    there = {path for path in results.glob("[0-9][0-9][0-9]*_*") if path.is_dir()} | set(taken)
    numbers = {path: int(path.name.partition("_")[0]) for path in there if path.name.partition("_")[0].isdigit()}
    for path in sorted(numbers):
        if again and path not in taken and path.name.partition("_")[2] == plain:
            return path
    return results / f"{max(numbers.values(), default=0) + 1:03d}_{plain}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."
