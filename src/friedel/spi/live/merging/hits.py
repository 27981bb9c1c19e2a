"""The hits that a watch has written so far, as photons, and the detector that they were measured with."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.spi.classify.photons import hot_pixels, write_detector_file
from friedel.spi.frames.emc import to_photons
from friedel.spi.live.calibration import load_constants, unpack_constants
from friedel.spi.live.growing import DATA, open_growing, parts, read_mask
from friedel.spi.live.writer import STEM

DETECTOR = f"{STEM}_detector.h5"
"""Where Dragonfly's programs and `friedel merge` look for the detector of ``hits.emc``."""
_SAMPLE = 64  # hits that show which pixels are hot


@dataclass
class WrittenHits:
    """Reads a watch's growing files from where it last was; it writes nothing and the writer never waits for it.

    Parameters
    ----------
    folder : Path
        Of the watch.
    adu_per_photon : float or None
        Detector units a photon makes; None: frames of whole numbers hold photons.
    """

    folder: Path
    adu_per_photon: float | None = None
    _read: dict[str, int] = field(default_factory=dict)

    def new(self, most: int) -> sp.csr_matrix | None:
        """Return up to ``most`` hits that were written since the last call, ``(n, n_pixels)``; None if there are none.

        Raises
        ------
        InputError
            If their values aren't photons and nobody said what a photon makes.
        """
        for path in parts(self.folder, STEM):
            before = self._read.get(path.name, 0)
            try:
                with open_growing(path) as file:
                    data = file[f"{DATA}/data"]
                    frames = data[before : before + most]
                    mask = read_mask(file)
            except (OSError, KeyError):  # just begun, or being put in order: again at the next call
                continue
            if len(frames):
                self._read[path.name] = before + len(frames)
                return self._photons(frames, mask)
        return None

    def _photons(self, frames: NDArray[np.generic], mask: NDArray[np.bool_] | None) -> sp.csr_matrix:
        if self.adu_per_photon is None and frames.dtype.kind not in "iu":
            raise InputError(
                "the frames hold no whole photons; say how many detector units a photon makes, with "
                "--set keep.emc.adu_per_photon=…"
            )
        photons = [to_photons(frame, mask, adu_per_photon=self.adu_per_photon or 1.0).ravel() for frame in frames]
        return sp.vstack([sp.csr_matrix(frame.astype(np.float32)) for frame in photons], format="csr")


def leave_detector(folder: Path) -> Path | None:
    """Write the detector of a watch's hits beside them: flat, about the run's centre, without masked and hot pixels.

    Returns
    -------
    Path or None
        The file; None while no hits are written.

    Raises
    ------
    OSError
        If it can't be written.
    """
    for path in parts(folder, STEM):
        try:
            with open_growing(path) as file:
                frames = file[f"{DATA}/data"][:_SAMPLE]
                mask = read_mask(file)
        except (OSError, KeyError):
            continue
        if len(frames):
            bad = np.zeros(frames.shape[1:], bool) if mask is None else ~mask
            if len(frames) > 1:
                bad |= hot_pixels(np.nan_to_num(frames.astype(np.float64)).sum(0), ~bad)
            write_detector_file(folder / DETECTOR, bad, _centre(folder, bad.shape))
            return folder / DETECTOR
    return None


def _centre(folder: Path, shape: tuple[int, ...]) -> tuple[float, float]:
    constants = load_constants(folder)
    if constants is None:  # a scorer of another kind measured none
        return shape[0] // 2, shape[1] // 2
    run = unpack_constants(constants)
    return run.centre[0] * run.binning, run.centre[1] * run.binning
