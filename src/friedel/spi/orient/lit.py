"""Which frames can be oriented: those with photons enough on the pixels used, and no mere copies of each other."""

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.observer import Observer, Warned
from friedel.spi.orient.rings import Pixels

LEAST_PHOTONS = 10
"""Frames of fewer photons than this say nothing about an orientation and are set aside as empty."""
LEAST_FRAMES = 40  # 20 in each half: below it nothing is tried; a result takes some hundreds


def photons_on(photons: sp.csr_matrix, pixels: Pixels) -> NDArray[np.float32]:
    """Return each frame's photons on the pixels used, ``(n_frames,)``.

    Raises
    ------
    InputError
        If frames and detector don't fit.
    """
    if photons.shape[1] != len(pixels.weight):
        raise InputError(
            f"frames of {photons.shape[1]} pixels don't fit a detector of {len(pixels.weight)}; "
            "give the detector file that belongs to these frames"
        )
    return np.asarray(photons @ pixels.used.astype(np.float32)).ravel()


def lit_frames(photons: sp.csr_matrix, pixels: Pixels, observer: Observer) -> NDArray[np.int64]:
    """Return the numbers of frames with photons enough to be oriented.

    Raises
    ------
    InputError
        If frames and detector don't fit, or too few frames have photons, or too few differ.
    """
    counts = photons_on(photons, pixels)
    lit = np.flatnonzero(counts >= LEAST_PHOTONS)
    if len(lit) < LEAST_FRAMES:
        raise InputError(
            f"{len(lit)} of {photons.shape[0]} frames have {LEAST_PHOTONS} photons or more on the pixels used; "
            f"at least {LEAST_FRAMES} are needed, and some hundreds for a result"
        )
    copies = len(lit) - _distinct(photons[lit])
    if len(lit) - copies < LEAST_FRAMES:
        raise InputError(f"{len(lit)} frames, but only {len(lit) - copies} different ones: nothing to merge")
    if copies:
        observer(Warned("frames", f"{copies} frames are exact copies of others; they make the halves agree too well"))
    if len(lit) < len(counts):
        observer(
            Warned("frames", f"{len(counts) - len(lit)} frames with fewer than {LEAST_PHOTONS} photons are set aside")
        )
    return lit


def _distinct(photons: sp.csr_matrix) -> int:
    """Return how many frames differ, by two random projections of each."""
    rng = np.random.default_rng(0)
    marks = photons @ rng.normal(size=(photons.shape[1], 2))
    return len(np.unique(np.round(marks, 6), axis=0))
