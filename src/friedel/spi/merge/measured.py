"""Which pixels each frame has: frames of several detectors, and masks that differ from frame to frame, as one run.

Several detectors become one that has all their pixels, of which each frame measured those of its own. So both cases are
frames with masks, of which `orient` takes a few dozen.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.observer import Note, Observer, silent
from friedel.spi.frames.dragonfly import DragonflyDetector

MOST_MASKS = 32
"""Masks that are told apart: each has its own sum over all views and angles, 3 % of an iteration over 1500 frames."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Measured:
    """Frames, and which pixels each of them has.

    Attributes
    ----------
    photons : (n_frames, n_pixels) csr_matrix of float32
        Photons; none where a frame's mask has no pixel.
    mask : (n_frames,) int64
        Number of each frame's mask.
    good : (n_masks, n_pixels) bool
        Which pixels were measured.
    """

    photons: sp.csr_matrix
    mask: NDArray[np.int64]
    good: NDArray[np.bool_]

    @property
    def alike(self) -> bool:
        """Whether all frames have all pixels."""
        return bool(self.good.all())


def unmasked(photons: sp.csr_matrix) -> Measured:
    """Return frames that have all pixels."""
    n_frames, n_pixels = photons.shape
    return Measured(photons=photons, mask=np.zeros(n_frames, np.int64), good=np.ones((1, n_pixels), bool))


def masked(photons: sp.csr_matrix, bad: sp.csr_matrix, *, observer: Observer = silent) -> Measured:
    """Return frames without the pixels that their masks call bad.

    The `MOST_MASKS` most frequent masks are exact. Under any other, pixels beyond the most frequent mask that it holds
    get the mean of the frames that measured them, at the frame's brightness: so they say nothing about the orientation,
    and a little less than nothing where they are many, which is told.

    Parameters
    ----------
    photons : (n_frames, n_pixels) csr_matrix
        Photons.
    bad : (n_frames, n_pixels) csr_matrix
        Anything but 0 where a pixel wasn't measured.
    observer : Observer
        Told how many masks there are, and what was filled.

    Raises
    ------
    InputError
        If frames and masks don't fit, or a mask leaves nothing.
    """
    if bad.shape != photons.shape:
        raise InputError(f"masks of shape {bad.shape} don't fit frames of {photons.shape}: one mask a frame is needed")
    bad = sp.csr_matrix(bad != 0)
    bad.sort_indices()
    rows = [bad.indices[bad.indptr[i] : bad.indptr[i + 1]].tobytes() for i in range(bad.shape[0])]
    _, first, which, counts = np.unique(
        np.array(rows, dtype=object), return_index=True, return_inverse=True, return_counts=True
    )
    if (np.diff(bad.indptr) >= bad.shape[1]).any():
        raise InputError("a mask calls every pixel of its frame bad: is its sense the other one (0 is good here)?")
    order = np.argsort(-counts, kind="stable")
    kept = order[: MOST_MASKS - 1] if len(order) > MOST_MASKS else order
    good = np.asarray(~bad[first[kept]].toarray().astype(bool))
    number = np.full(len(order), -1)
    number[kept] = np.arange(len(kept))
    mask = number[which]
    clean = sp.csr_matrix(photons - photons.multiply(bad))
    clean.eliminate_zeros()
    if (mask < 0).any():
        clean, mask, good = _filled(clean, bad, mask, good, observer)
    else:
        observer(Note("masks", f"frames have {len(good)} different masks"))
    return Measured(photons=clean, mask=mask.astype(np.int64), good=good)


def _filled(
    clean: sp.csr_matrix, bad: sp.csr_matrix, mask: NDArray[np.int64], good: NDArray[np.bool_], observer: Observer
) -> tuple[sp.csr_matrix, NDArray[np.int64], NDArray[np.bool_]]:
    """Give frames of rare masks the largest frequent mask inside their own, and fill what that leaves."""
    rare = np.flatnonzero(mask < 0)
    good = np.vstack([good, np.ones((1, good.shape[1]), bool)])
    sizes = (~good).sum(1)
    missed = sp.csr_matrix(bad[rare], dtype=np.float32) @ (~good).T.astype(np.float32)
    mask[rare] = np.where(missed >= sizes, sizes, -1).argmax(1)
    measured = bad.shape[0] - np.asarray(bad.sum(axis=0)).ravel()
    mean = np.asarray(clean.sum(axis=0)).ravel() / np.maximum(measured, 1)
    holes = sp.csr_matrix(bad[rare], dtype=np.float32).multiply(good[mask[rare]]).multiply(mean[None]).tocsr()
    expected = mean.sum() - np.asarray(sp.csr_matrix(bad[rare], dtype=np.float32) @ mean).ravel()
    bright = np.asarray(clean[rare].sum(axis=1)).ravel() / np.maximum(expected, 1e-12)
    spread = sp.lil_matrix((bad.shape[0], len(rare)), dtype=np.float32)
    spread[rare, np.arange(len(rare))] = bright
    filled = sp.csr_matrix(clean + spread.tocsr() @ holes, dtype=np.float32)
    share = holes.nnz / max(len(rare) * bad.shape[1], 1)
    observer(
        Note(
            "masks",
            f"frames have more than {MOST_MASKS} different masks: in {len(rare)} of {bad.shape[0]} frames {share:.1%} "
            "of the pixels were filled with the mean of the frames that measured them",
        )
    )
    return filled, mask, good


def of_several(sets: Sequence[Measured], detectors: Sequence[DragonflyDetector]) -> tuple[Measured, DragonflyDetector]:
    """Return sets of frames, each measured by its own detector, as frames of one detector that has all pixels.

    Parameters
    ----------
    sets : sequence of Measured
        The frames.
    detectors : sequence of DragonflyDetector
        Theirs, one each, with q in one unit.

    Raises
    ------
    InputError
        If their numbers, or a set's pixels and its detector's, don't fit.
    """
    if len(sets) != len(detectors):
        raise InputError(f"{len(sets)} sets of frames and {len(detectors)} detectors: give one detector, or one a set")
    for number, (one, detector) in enumerate(zip(sets, detectors, strict=True), start=1):
        if one.photons.shape[1] != len(detector.mask):
            raise InputError(
                f"set {number} has frames of {one.photons.shape[1]} pixels, its detector has {len(detector.mask)}; "
                "name the detectors in the order of the frames"
            )
    sizes = [len(detector.mask) for detector in detectors]
    ends, starts = np.cumsum(sizes), np.cumsum([0, *sizes[:-1]])
    offsets = np.cumsum([0, *(len(one.good) for one in sets[:-1])])
    good = np.zeros((sum(len(one.good) for one in sets), ends[-1]), bool)
    for one, start, end, offset in zip(sets, starts, ends, offsets, strict=True):
        good[offset : offset + len(one.good), start:end] = one.good
    together = Measured(
        photons=sp.csr_matrix(sp.block_diag([one.photons for one in sets], format="csr"), dtype=np.float32),
        mask=np.concatenate([one.mask + offset for one, offset in zip(sets, offsets, strict=True)]),
        good=good,
    )
    if len(good) > MOST_MASKS:
        raise InputError(f"{len(good)} detectors and masks; at most {MOST_MASKS} can be told apart")
    joined = replace(
        detectors[0],
        q=np.concatenate([detector.q for detector in detectors]),
        correction=np.concatenate([detector.correction for detector in detectors]),
        mask=np.concatenate([detector.mask for detector in detectors]),
    )
    return together, joined
