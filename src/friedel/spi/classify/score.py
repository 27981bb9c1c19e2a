"""From the frames of one file to their scores in a journal: read ahead, score, write down, batch by batch."""

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.machine.threads import in_threads, reading_ahead
from friedel.core.observer import Note, Observer, Warned
from friedel.spi.frames.files import FrameFiles
from friedel.spi.frames.mask import require_fit
from friedel.spi.frames.source import Batch, FrameSource, batch_length, open_frames, read_batch
from friedel.spi.records import FrameStatus, HitScores
from friedel.spi.scores.journal import ScoreJournal, open_journal
from friedel.spi.scores.scored_run import ScoredFile, pack_scores

# What a run is measured on: so many frames, or as many large ones as this memory holds.
_SAMPLE = 256
_SAMPLE_BYTES = 128 << 20


class Scorer(Protocol):
    """What scores frames: `friedel.spi.hits.model.HitModel`, or anything alike."""

    @property
    def name(self) -> str:
        """Name and hash of the weights."""

    def measure(self, frames: NDArray[Any], mask: NDArray[np.bool_] | None) -> Any:
        """Measure what a run's frames have in common, from a sample ``(n, y, x)`` of them."""

    def score(self, frames: NDArray[Any], mask: NDArray[np.bool_] | None, *, run: Any) -> HitScores:
        """Score frames ``(n, y, x)`` of any number type; ``mask`` is True where the detector measures."""


@dataclass(frozen=True, eq=False, kw_only=True)
class FileTask:
    """One file to score.

    Attributes
    ----------
    path : Path
        The file or run.
    files : FrameFiles
        How to read it.
    mask : (y, x) bool or None
        The mask given for all files.
    journal : Path
        Where its scores are kept as they come in.
    fresh : bool
        Don't continue an earlier journal.
    """

    path: Path
    files: FrameFiles
    mask: NDArray[np.bool_] | None
    journal: Path
    fresh: bool = False


@dataclass(frozen=True, eq=False, kw_only=True)
class Outcome:
    """What scoring one file gave.

    Attributes
    ----------
    file : ScoredFile
        All its scores.
    model : str
        Name and hash of the weights.
    n_new : int
        Frames scored now, not by an earlier run.
    """

    file: ScoredFile
    model: str
    n_new: int


def score_file(
    task: FileTask, model: Scorer, *, observer: Observer, tell: Callable[[int, int], None] | None = None
) -> Outcome:
    """Score the frames of one file that its journal doesn't hold yet; return all its scores.

    Parameters
    ----------
    task : FileTask
        The file.
    model : Scorer
        Scores the frames.
    observer : Observer
        Hears what is odd about the file.
    tell : function, optional
        Called with the number of frames scored, and how many of them are good, before the first and after each batch.

    Raises
    ------
    InputError
        If the file can't be read at all, the mask doesn't fit, or the scores can't be written.
    """
    with open_source(task.path, task.files) as source:
        for note in source.notes:
            observer(Warned(task.path.name, note))
        mask = joined_mask(source, task)
        journal = _journal(task, source, mask, model)
        try:
            n_before = journal.n_scored
            _greet(journal, task.path, observer)
            _score_rest(source, mask, model, journal, tell or _nobody)
        except BaseException:
            journal.close()
            if not journal.n_scored:
                task.journal.unlink()
            raise
        journal.close()
        return Outcome(file=_scored(source, mask, journal), model=model.name, n_new=journal.n_scored - n_before)


@contextmanager
def open_source(path: Path, files: FrameFiles) -> Iterator[FrameSource]:
    """Open one file of a run as its options say."""
    with open_frames(path, dataset=files.dataset, geometry=files.geometry) as source:
        yield source


def joined_mask(source: FrameSource, task: FileTask) -> NDArray[np.bool_] | None:
    """Return where both the file's own mask and the one given for all files let the detector measure.

    Raises
    ------
    InputError
        If the one given doesn't have the frames' shape.
    """
    if task.mask is None:
        return source.mask
    require_fit(task.mask, source.shape, mask_path=task.files.mask or task.path, frames_path=task.path)
    return task.mask if source.mask is None else task.mask & source.mask


def _journal(task: FileTask, source: FrameSource, mask: NDArray[np.bool_] | None, model: Scorer) -> ScoreJournal:
    """Open the file's journal, which knows by what must be the same whether its scores can be continued."""
    first = read_batch(source, 0, min(1, source.shape[0])).frames
    identity = {
        "file": f"{source.path.resolve()} {source.dataset}".strip(),
        "kind of frames": [*source.shape[1:], source.dtype.str],
        "first frame": zlib.crc32(first.tobytes()),
        "mask": 0 if mask is None else zlib.crc32(np.packbits(mask).tobytes()),
        "model": model.name,
    }
    # A file may grow: the sample its constants are measured on stays the one it was begun with.
    return open_journal(task.journal, identity, kept={"frames": source.shape[0]}, fresh=task.fresh)


def sample_frames(source: FrameSource, n_frames: int) -> NDArray[Any]:
    """Return frames evenly along the first ``n_frames``, without those that can't be read."""
    frame_bytes = source.shape[1] * source.shape[2] * source.dtype.itemsize
    count = min(n_frames, _SAMPLE, max(_SAMPLE_BYTES // frame_bytes, 1))
    numbers = np.unique(np.linspace(0, max(n_frames - 1, 0), count).round().astype(int)).tolist()
    batches = [read_batch(source, number, number + 1) for number in numbers]
    found = [batch.frames for batch in batches if not batch.unreadable.any()]
    return np.concatenate([np.zeros((0, *source.shape[1:]), source.dtype), *found])


def _greet(journal: ScoreJournal, path: Path, observer: Observer) -> None:
    if journal.restarted:
        observer(Note(path.name, f"an earlier run's scores are not continued: {journal.restarted}"))
    elif journal.n_scored:
        observer(Note(path.name, f"goes on after the {journal.n_scored} frames that are scored already"))


def _score_rest(
    source: FrameSource,
    mask: NDArray[np.bool_] | None,
    model: Scorer,
    journal: ScoreJournal,
    tell: Callable[[int, int], None],
) -> None:
    n_frames, length = source.shape[0], batch_length(source)
    n_good = int(journal.scores()["good"].sum())
    tell(journal.n_scored, n_good)
    firsts = range(journal.n_scored, n_frames, length)
    if not firsts:
        return
    (run,) = in_threads(
        lambda sample: model.measure(sample, mask), [sample_frames(source, int(journal.kept["frames"]))]
    )
    with reading_ahead(read_batch(source, first, min(first + length, n_frames)) for first in firsts) as batches:
        for first, scores in in_threads(lambda batch: _score_batch(model, batch, mask, run), batches):
            journal.append(first, scores)
            n_good += int(scores["good"].sum())
            tell(journal.n_scored, n_good)


def _score_batch(model: Scorer, batch: Batch, mask: NDArray[np.bool_] | None, run: Any) -> tuple[int, NDArray[Any]]:
    packed = pack_scores(model.score(batch.frames, mask, run=run))
    if len(packed) != len(batch.frames):
        raise InputError(f"the model gave {len(packed)} scores for {len(batch.frames)} frames; install it again")
    if batch.unreadable.any():
        packed[batch.unreadable] = np.zeros((), packed.dtype)
        packed["status"][batch.unreadable] = FrameStatus.UNREADABLE
    return batch.first, packed


def _scored(source: FrameSource, mask: NDArray[np.bool_] | None, journal: ScoreJournal) -> ScoredFile:
    return ScoredFile(
        path=source.path,
        dataset=source.dataset,
        shape=source.shape,
        dtype=source.dtype.str,
        scores=journal.scores(),
        mask=mask,
        linkable=source.linkable,
    )


def _nobody(n_scored: int, n_good: int) -> None:
    """Tell nobody."""
