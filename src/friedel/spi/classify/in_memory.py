"""Scores of an open run, batch by batch, without files: what `friedel.classify` does with a run."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from friedel.spi.classify.score import Scorer, sample_frames
from friedel.spi.frames.source import FrameSource, batch_length, read_batch
from friedel.spi.records import FrameStatus, HitScores, joined_scores


def score_run(source: FrameSource, model: Scorer, mask: NDArray[np.bool_] | None = None) -> HitScores:
    """Score all frames of an open run; nothing is written.

    Parameters
    ----------
    source : FrameSource
        The run; its own mask narrows the one given.
    model : Scorer
        Scores the frames.
    mask : (y, x) bool, optional
        True where the detector measures.

    Raises
    ------
    InputError
        If the frames can't be used, or the mask doesn't fit them.
    """
    measured = source.mask if mask is None else mask if source.mask is None else mask & source.mask
    n_frames, length = source.shape[0], batch_length(source)
    run = model.measure(sample_frames(source, n_frames), measured)
    batches = (read_batch(source, first, min(first + length, n_frames)) for first in range(0, n_frames, length))
    parts = [_with_unreadable(model.score(batch.frames, measured, run=run), batch.unreadable) for batch in batches]
    return joined_scores(parts)


def _with_unreadable(scores: HitScores, unreadable: NDArray[np.bool_]) -> HitScores:
    if not unreadable.any():
        return scores
    columns = {item.name: getattr(scores, item.name) for item in fields(scores)}
    changed: dict[str, Any] = {
        name: np.where(unreadable, np.zeros((), column.dtype), column)
        for name, column in columns.items()
        if isinstance(column, np.ndarray)
    }
    changed["status"] = np.where(unreadable, FrameStatus.UNREADABLE, scores.status).astype(np.uint8)
    return replace(scores, **changed)
