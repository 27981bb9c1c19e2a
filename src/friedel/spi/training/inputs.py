"""The inputs of all training frames, made once and kept on disk as float16, ready to be sliced into batches."""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor

from friedel._version import __version__
from friedel.core.errors import InputError
from friedel.core.observer import Note, Observer, Progress, silent
from friedel.core.training.examples import Examples
from friedel.core.training.libraries import first_process, wait_until
from friedel.spi.frames.source import FrameSource, batch_length, open_frames, read_batch
from friedel.spi.records import Frames
from friedel.spi.training.preprocessing import PREPROCESSING, ForRun, Preprocessing
from friedel.spi.training.runs import LabelledRun

TASK = "preparing frames"
_SAMPLE = 256  # frames of a run by which its preprocessing is calibrated: as `SAMPLE` where runs are classified
_INPUTS, _STATISTICS, _DONE = "inputs.npy", "statistics.safetensors", "done.json"
_HALF_LARGEST = float(np.finfo(np.float16).max)


@dataclass(frozen=True, eq=False, kw_only=True)
class PreparedInputs:
    """What a training takes.

    Attributes
    ----------
    training, validation : Examples
        Sharing one memory map of inputs.
    statistics : dict of str to Tensor
        The preprocessing's arrays, to keep beside the weights.
    """

    training: Examples
    validation: Examples
    statistics: dict[str, Tensor]


def prepare_inputs(
    runs: Sequence[LabelledRun],
    held: NDArray[np.bool_],
    preprocessing: str,
    folder: Path,
    *,
    observer: Observer = silent,
) -> PreparedInputs:
    """Return the inputs of all runs, made now or by an earlier, equal training in this folder.

    Parameters
    ----------
    runs : sequence of LabelledRun
        What to learn from and to measure on.
    held : (n,) bool
        Which of all chosen frames, run after run, are for validation; preprocessing learns from the others only.
    preprocessing : str
        Its name, a known one.
    folder : Path
        Where the inputs are kept; they appear whole or not at all.
    observer : Observer
        Hears progress.

    Raises
    ------
    InputError
        If frames can't be read, or the disk has no room.
    """
    fingerprint = _fingerprint(runs, held, preprocessing)
    if _finished(folder) == fingerprint:
        observer(Note("training data", "the inputs prepared before are used again"))
    elif first_process():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _DONE).unlink(missing_ok=True)
        made = PREPROCESSING[preprocessing](_stretches(runs, held, observer))
        _write(runs, made, folder, observer)
        (folder / _DONE).write_text(json.dumps({"fingerprint": fingerprint}))
    else:
        wait_until(lambda: _finished(folder) == fingerprint, f"the inputs in {folder}")
    inputs = np.load(folder / _INPUTS, mmap_mode="r")
    labels = np.concatenate([run.single for run in runs]).astype(np.uint8)
    whole = Examples(inputs=inputs, labels=labels)
    return PreparedInputs(
        training=whole.select(np.flatnonzero(~held)),
        validation=whole.select(np.flatnonzero(held)),
        statistics=load_file(folder / _STATISTICS),
    )


def _write(runs: Sequence[LabelledRun], made: Preprocessing, folder: Path, observer: Observer) -> None:
    total = sum(len(run.rows) for run in runs)
    shape, unfinished = (total, *made.shape), folder / ("." + _INPUTS)
    inputs = np.lib.format.open_memmap(unfinished, mode="w+", dtype=np.float16, shape=shape)
    _reserve(unfinished)
    done = 0
    for run in runs:
        if not len(run.rows):
            continue
        with open_frames(run.file.path, dataset=run.file.dataset) as source:
            inputs_of = made.for_run(_sample(source), run.mask)
            for frames in _chosen_frames(source, run.rows):
                inputs[done : done + len(frames)] = _half(inputs_of, frames)
                done += len(frames)
                observer(Progress(TASK, done, total))
    inputs.flush()
    del inputs
    os.replace(unfinished, folder / _INPUTS)
    save_file({name: tensor.contiguous() for name, tensor in made.statistics().items()}, folder / _STATISTICS)


def _half(inputs_of: ForRun, frames: NDArray[Any]) -> NDArray[np.float16]:
    return np.clip(inputs_of(frames), -_HALF_LARGEST, _HALF_LARGEST).astype(np.float16)


def _reserve(path: Path) -> None:
    # A memory map on a full disk ends the process without a word; taking the room first ends in an error.
    if not hasattr(os, "posix_fallocate"):
        return
    with path.open("r+b") as file:
        size = path.stat().st_size
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            path.unlink(missing_ok=True)
            raise InputError(f"{path.parent}: no room for {size / 1e9:.1f} GB of inputs ({error.strerror})") from error


def _stretches(runs: Sequence[LabelledRun], held: NDArray[np.bool_], observer: Observer) -> Iterator[Frames]:
    """Yield the training frames, stretch by stretch, each with its mask."""
    first = 0
    for run in runs:
        rows = run.rows[~held[first : first + len(run.rows)]]
        first += len(run.rows)
        with open_frames(run.file.path, dataset=run.file.dataset) as source:
            mask = np.ones(source.shape[1:], dtype=bool) if run.mask is None else run.mask
            for frames in _chosen_frames(source, rows):
                yield Frames(intensities=frames, mask=mask)
        observer(Progress("measuring pixels", first, len(held)))


def _chosen_frames(source: FrameSource, rows: NDArray[np.intp]) -> Iterator[NDArray[Any]]:
    length = batch_length(source)
    for start in range(0, source.shape[0], length):
        low, high = np.searchsorted(rows, (start, start + length))
        if low == high:
            continue
        batch = read_batch(source, start, min(start + length, source.shape[0]))
        wanted = rows[low:high] - start
        if batch.unreadable[wanted].any():
            bad = start + int(wanted[batch.unreadable[wanted]][0])
            raise InputError(f"{source.path}: frame {bad} can't be read; leave this file out or copy it again")
        yield batch.frames[wanted]


def _sample(source: FrameSource) -> NDArray[Any]:
    n_frames = source.shape[0]
    if n_frames <= _SAMPLE:
        return source.read(0, n_frames)
    places = np.linspace(0, n_frames - 1, _SAMPLE).astype(int)
    return np.concatenate([source.read(place, place + 1) for place in places])


def _finished(folder: Path) -> str | None:
    try:
        return str(json.loads((folder / _DONE).read_text())["fingerprint"])
    except (OSError, ValueError, KeyError):
        return None


def _fingerprint(runs: Sequence[LabelledRun], held: NDArray[np.bool_], preprocessing: str) -> str:
    digest = hashlib.sha256(f"{__version__} {preprocessing}".encode())
    for run in runs:
        state = run.file.path.stat()
        digest.update(f"{run.file.path.resolve()} {run.file.dataset} {state.st_size} {state.st_mtime_ns}".encode())
        digest.update(run.rows.tobytes() + run.single.tobytes() + (b"" if run.mask is None else run.mask.tobytes()))
    return digest.hexdigest() + hashlib.sha256(held.tobytes()).hexdigest()[:8]
