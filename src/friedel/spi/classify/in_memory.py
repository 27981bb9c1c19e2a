"""Scores of an open run, batch by batch, without files: what `friedel.classify` does with a run."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.files.cxi_mask import good_pixels
from friedel.core.files.masks import LEAST_LEFT, Marks
from friedel.spi.classify.score import Scorer, sample_frames
from friedel.spi.frames.source import FrameSource, batch_length, read_batch
from friedel.spi.records import FrameStatus, HitScores, joined_scores
from friedel.spi.scores.scored_run import pack_scores, unpack_scores, without_score


def measured_pixels(mask: NDArray[Any] | None, marks: Marks | None = None) -> NDArray[np.bool_] | None:
    """Return a mask given in Python as True where the detector measures.

    Parameters
    ----------
    mask : (y, x), bool or numbers, or None
        Of numbers, anything but 0 is bad (whole ones are CXI's bits), as in files. A boolean one may be either, and is
        taken to leave most pixels.
    marks : {"bad", "good"}, optional
        What True, or anything but 0, means.

    Raises
    ------
    InputError
        If it isn't said and can't be told.
    """
    if mask is None:
        return None
    if mask.dtype.kind not in "buif":
        raise InputError(f"the mask is {mask.dtype}; give True and False, or 0 for good pixels")
    marked = np.asarray(mask != 0)
    if marks is not None:
        return marked if marks == "good" else ~marked
    share = float(marked.mean()) if marked.size else 0.0
    if mask.dtype.kind == "b" and share > 1 - LEAST_LEFT:
        return marked
    good = good_pixels(mask) if mask.dtype.kind in "iu" else ~marked
    if good.mean() < LEAST_LEFT or (mask.dtype.kind == "b" and share > LEAST_LEFT):
        raise InputError(
            f"the mask marks {share:.1%} of the pixels, which may be the good or the bad ones; say mask_marks='good' "
            "or mask_marks='bad'"
        )
    return good


def unmasked(frames: Any) -> NDArray[Any]:
    """Return frames as a plain array, those pixels NaN that a `numpy.ma` array masks."""
    if not np.ma.isMaskedArray(frames):
        return np.asarray(frames)
    return np.asarray(np.ma.filled(frames.astype(np.float32), np.nan))


def score_run(
    source: FrameSource,
    model: Scorer,
    mask: NDArray[np.bool_] | None = None,
    *,
    centre: tuple[float, float] | None = None,
) -> HitScores:
    """Score all frames of an open run; nothing is written.

    Parameters
    ----------
    source : FrameSource
        The run; its own mask narrows the one given.
    model : Scorer
        Scores the frames.
    mask : (y, x) bool, optional
        True where the detector measures.
    centre : (float, float), optional
        Pixel (y, x) that the beam hits; None: the geometry's, else it is found.

    Raises
    ------
    InputError
        If the frames can't be used, or the mask doesn't fit them.
    """
    given = {} if (centre or source.centre) is None else {"centre": centre or source.centre}
    measured = source.mask if mask is None else mask if source.mask is None else mask & source.mask
    n_frames, length = source.shape[0], batch_length(source)
    run = model.measure(sample_frames(source, n_frames), measured, **given)
    batches = (read_batch(source, first, min(first + length, n_frames)) for first in range(0, n_frames, length))
    parts = [_with_unreadable(model.score(batch.frames, measured, run=run), batch.unreadable) for batch in batches]
    return joined_scores(parts)


def _with_unreadable(scores: HitScores, unreadable: NDArray[np.bool_]) -> HitScores:
    if not unreadable.any():
        return scores
    packed = pack_scores(scores)
    without_score(packed, unreadable, FrameStatus.UNREADABLE)
    return unpack_scores(packed, scores.model)
