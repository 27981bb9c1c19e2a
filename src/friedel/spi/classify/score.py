"""From the frames of one file to their scores in a journal: read ahead, score, write down, batch by batch."""

import base64
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.machine.threads import in_threads, reading_ahead
from friedel.core.observer import Note, Observer, Warned
from friedel.spi.classify.what_was_read import unit_of, what_was_read
from friedel.spi.frames.detector_images import read_dark, require_fit
from friedel.spi.frames.files import FrameFiles
from friedel.spi.frames.series import Series
from friedel.spi.frames.source import Batch, FrameSource, batch_length, read_batch
from friedel.spi.records import FrameStatus, HitScores
from friedel.spi.scores.journal import ScoreJournal, frame_checks, looks_of, open_journal
from friedel.spi.scores.scored_run import ScoredFile, pack_scores, without_score

# What a run is measured on: so many frames, or as many large ones as this memory holds.
_SAMPLE = 256
_SAMPLE_BYTES = 128 << 20
# Share of the scored frames that may have changed on disk (a frame was half written) and are scored again; if more
# have, the file is taken to hold another run, and all are.
_MOST_CHANGED = 0.5
# A run whose constants were measured on fewer frames than this is measured again once it has so many times more.
_FEW, _MORE = 32, 2


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
    """One series of frames to score.

    Attributes
    ----------
    series : Series
        Its files.
    files : FrameFiles
        How to read them.
    mask : (y, x) bool or None
        The mask given for all files.
    journal : Path
        Where its scores are kept as they come in.
    fresh : bool
        Don't continue an earlier journal.
    """

    series: Series
    files: FrameFiles
    mask: NDArray[np.bool_] | None
    journal: Path
    fresh: bool = False

    @property
    def path(self) -> Path:
        """The first file."""
        return self.series.path


@dataclass(frozen=True, eq=False, kw_only=True)
class Outcome:
    """What scoring one series gave.

    Attributes
    ----------
    files : tuple of ScoredFile
        All its scores, file by file.
    model : str
        Name and hash of the weights.
    n_new : int
        Frames scored now, not by an earlier run.
    """

    files: tuple[ScoredFile, ...]
    model: str
    n_new: int

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return sum(len(file.scores) for file in self.files)

    @property
    def n_good(self) -> int:
        """Number of those in the default selection."""
        return sum(int(file.scores["good"].sum()) for file in self.files)


def score_file(
    task: FileTask, model: Scorer, *, observer: Observer, tell: Callable[[int, int], None] | None = None
) -> Outcome:
    """Score the frames of one series that its journal doesn't hold yet; return all its scores.

    Frames whose scores are kept are compared with those that were scored, by checksums, if a file looks changed.

    Parameters
    ----------
    task : FileTask
        The series.
    model : Scorer
        Scores the frames.
    observer : Observer
        Hears what was read, and what is odd about it.
    tell : function, optional
        Called with the number of frames scored, and how many of them are good, before the first and after each batch.

    Raises
    ------
    InputError
        If the file can't be read at all, the mask doesn't fit, or the scores can't be written.
    """
    noted = time.time_ns()
    source = task.series.open()
    try:
        for note in source.notes:
            observer(Warned(task.path.name, note))
        run = _Run(task, source, model, observer)
        try:
            n_new = run.score(tell or _nobody)
            run.journal.note_files(run.looks, noted)
        except BaseException:
            run.journal.close()
            if not run.journal.n_scored:
                task.journal.unlink()
            raise
        run.journal.close()
        return Outcome(files=run.scored(), model=model.name, n_new=n_new)
    finally:
        source.close()


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


class _Run:
    """One open series, its mask, and its journal."""

    def __init__(self, task: FileTask, source: FrameSource, model: Scorer, observer: Observer) -> None:
        self.task, self.source, self.model, self.observer = task, source, model, observer
        self.mask = joined_mask(source, task)
        self.centre = task.files.centre or source.centre
        self.looks = looks_of(source.files)
        self._measured: Any = None
        self.journal = self._open("that was asked for" if task.fresh else "")
        self._again: NDArray[np.intp] = np.zeros(0, np.intp)
        if self.journal.n_scored:
            self._compare()
        if self.journal.restarted:
            observer(Note(task.path.name, f"an earlier run's scores are not continued: {self.journal.restarted}"))
        elif self.journal.n_scored:
            again = f"; {len(self._again)} of them are looked at again" if len(self._again) else ""
            text = f"goes on after the {self.journal.n_scored} frames that are scored already{again}"
            observer(Note(task.path.name, text))

    def score(self, tell: Callable[[int, int], None]) -> int:
        """Score what isn't yet, or must be again; return how many frames."""
        journal, length = self.journal, batch_length(self.source)
        n_before = journal.n_scored
        tell(n_before, int(journal.scores()["good"].sum()))
        rest = range(n_before, self.source.shape[0], length)
        pieces = [*_stretches(self._again, length), *((k, min(k + length, self.source.shape[0])) for k in rest)]
        if not pieces:
            return 0
        run = self._constants()
        n_new = 0
        with reading_ahead(read_batch(self.source, *piece) for piece in pieces) as batches:
            for batch, scores, checks in in_threads(
                lambda batch: _score_batch(self.model, batch, self.mask, run), batches
            ):
                journal.append(batch, scores, checks)
                n_new += len(scores)
                tell(journal.n_scored, int(journal.scores()["good"].sum()))
        return n_new

    def scored(self) -> tuple[ScoredFile, ...]:
        """Return the scores, file by file, with what was read."""
        scores = self.journal.scores()[: self.source.shape[0]].copy()
        unit = unit_of(self._constants() if len(scores) else None)
        read = what_was_read(self.source, self.mask, self.task.files, scores["status"], self._constants())
        for line in read.warnings:
            self.observer(Warned(self.task.path.name, line))
        self.observer(Note("read", read.sentence))
        files, first = [], 0
        parts = self.task.series.parts
        for part in parts:
            n = part.n_frames if len(parts) > 1 else len(scores)
            files.append(
                ScoredFile(
                    path=part.path,
                    dataset=self.source.dataset if len(parts) == 1 else part.dataset or "",
                    shape=(n, *self.source.shape[1:]),
                    dtype=self.source.dtype.str,
                    scores=scores[first : first + n],
                    mask=self.mask,
                    linkable=self.source.linkable,
                    unit=unit,
                    read=read.record if first == 0 else {},
                )
            )
            first += n
        return tuple(files)

    def _open(self, fresh: str) -> ScoreJournal:
        """Open the series' journal, which knows by what must be the same whether its scores can be continued."""
        source, parts = self.source, self.task.series.parts
        names = "\n".join(f"{part.path.resolve()} {part.dataset or ''}" for part in parts)
        identity = {
            "file": f"{source.path.resolve()} {source.dataset}".strip(),
            "list of files": zlib.crc32(names.encode()),
            "kind of frames": [*source.shape[1:], source.dtype.str],
            "mask": 0 if self.mask is None else zlib.crc32(np.packbits(self.mask).tobytes()),
            "centre": None if self.centre is None else list(self.centre),
            "model": self.model.name,
            "dark": 0 if self.task.files.dark is None else zlib.crc32(read_dark(self.task.files.dark).tobytes()),
            "way of measuring a run": 5,
        }
        return open_journal(self.task.journal, identity, kept=self._to_keep, fresh=fresh)

    def _to_keep(self) -> dict[str, Any]:
        # A file may grow: what its frames have in common stays what it was begun with.
        sample = sample_frames(self.source, self.source.shape[0])
        self._measured = self._measure(sample)
        packed = self._measured.to_bytes() if hasattr(self._measured, "to_bytes") and len(sample) else b""
        return {
            "frames": self.source.shape[0],
            "measured on": int(sum(bool((frame != frame.flat[0]).any()) for frame in sample)),
            "constants": base64.b64encode(packed).decode(),
        }

    def _constants(self) -> Any:
        if self._measured is None:
            packed = base64.b64decode(self.journal.kept.get("constants", ""))
            if packed:
                from friedel.spi.hits.preparation.prepare import RunConstants

                self._measured = RunConstants.from_bytes(packed)
            else:
                self._measured = self._measure(sample_frames(self.source, int(self.journal.kept["frames"])))
        return self._measured

    def _measure(self, sample: NDArray[Any]) -> Any:
        given = {} if self.centre is None else {"centre": self.centre}
        (run,) = in_threads(lambda frames: self.model.measure(frames, self.mask, **given), [sample])
        return run

    def _compare(self) -> None:
        """Find the frames to look at again; begin anew if the file holds other frames than were scored."""
        journal, n = self.journal, min(self.journal.n_scored, self.source.shape[0])
        status = journal.scores()["status"]
        again = status[:n] == FrameStatus.UNREADABLE
        reason = ""
        if journal.n_scored > self.source.shape[0]:
            reason = f"{journal.n_scored} frames were scored, {n} are there now"
        elif not journal.unchanged(list(self.source.files)):
            changed = self._checks(n) != journal.checks()[:n]
            scored = status[:n] == FrameStatus.SCORED
            n_changed = int((changed & scored).sum())
            if n_changed > _MOST_CHANGED * max(int(scored.sum()), 1) or not scored.any():
                reason = (
                    f"{n_changed} of its {n} frames are others now" if n_changed else "none of its frames had a score"
                )
            again |= changed
        few = int(journal.kept.get("measured on", _SAMPLE))
        if not reason and few < _FEW and self.source.shape[0] - int(again.sum() == 0) * n >= _MORE * max(few, 1):
            reason = f"it was measured on {few} frames, and there are many more now"
        if reason:
            journal.close()
            self.journal = self._open(reason)
            return
        self._again = np.flatnonzero(again)

    def _checks(self, n: int) -> NDArray[np.uint32]:
        length = batch_length(self.source)
        checks = [np.zeros(0, np.uint32)]
        for first in range(0, n, length):
            batch = read_batch(self.source, first, min(first + length, n))
            checks.append(np.where(batch.unreadable, np.uint32(0), frame_checks(batch.frames)))
        return np.concatenate(checks)


def sample_frames(source: FrameSource, n_frames: int) -> NDArray[Any]:
    """Return frames evenly along the first ``n_frames``, without those that can't be read."""
    frame_bytes = source.shape[1] * source.shape[2] * source.dtype.itemsize
    count = min(n_frames, _SAMPLE, max(_SAMPLE_BYTES // frame_bytes, 1))
    numbers = np.unique(np.linspace(0, max(n_frames - 1, 0), count).round().astype(int)).tolist()
    batches = [read_batch(source, number, number + 1) for number in numbers]
    found = [batch.frames for batch in batches if not batch.unreadable.any()]
    return np.concatenate([np.zeros((0, *source.shape[1:]), source.dtype), *found])


def _stretches(numbers: NDArray[np.intp], length: int) -> list[tuple[int, int]]:
    """Return first and last + 1 of the unbroken stretches of numbers, none longer than ``length``."""
    stretches: list[tuple[int, int]] = []
    for number in numbers.tolist():
        if stretches and stretches[-1][1] == number and number - stretches[-1][0] < length:
            stretches[-1] = (stretches[-1][0], number + 1)
        else:
            stretches.append((number, number + 1))
    return stretches


def _score_batch(
    model: Scorer, batch: Batch, mask: NDArray[np.bool_] | None, run: Any
) -> tuple[int, NDArray[Any], NDArray[np.uint32]]:
    packed = pack_scores(model.score(batch.frames, mask, run=run))
    if len(packed) != len(batch.frames):
        raise InputError(f"the model gave {len(packed)} scores for {len(batch.frames)} frames; install it again")
    checks = frame_checks(batch.frames)
    if batch.unreadable.any():
        without_score(packed, batch.unreadable, FrameStatus.UNREADABLE)
        checks[batch.unreadable] = 0
    return batch.first, packed, checks


def _nobody(n_scored: int, n_good: int) -> None:
    """Ignore the progress: the default of ``tell``."""
