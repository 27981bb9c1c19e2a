"""Read chosen frames of a scored run again: for the report's pictures, and for the files of selected frames."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from friedel.spi.frames.files import FrameFiles
from friedel.spi.frames.source import FrameSource, batch_length, open_source, read_batch
from friedel.spi.scores.scored_run import ScoredRun

# Frame by frame is quicker than reading a stretch whole and dropping the rest, unless this share of it is wanted or
# several frames are stored, and unpacked, together.
_WORTH_READING_WHOLE = 0.8


def read_chosen(
    run: ScoredRun, files: FrameFiles, picked: Sequence[tuple[int, NDArray[np.intp]]]
) -> Iterator[tuple[int, NDArray[np.intp], NDArray[Any]]]:
    """Yield chosen frames in blocks: the file's number, the frames' numbers in it, and the frames ``(k, y, x)``.

    Parameters
    ----------
    run : ScoredRun
        The run the numbers refer to.
    files : FrameFiles
        How to read its files.
    picked : sequence of (int, (k,) int)
        File's number, and numbers of frames in it, ascending.
    """
    for index, frames in picked:
        file = run.files[index]
        dataset = file.dataset or files.dataset
        # As they were scored, less the dark: what is written and shown of them is the same.
        with closing(open_source(file.path, replace(files.options, dataset=dataset))) as source:
            length = batch_length(source)
            edges = np.searchsorted(frames, np.arange(length, source.shape[0] + length, length))
            for wanted in np.split(frames, edges):
                if wanted.size:
                    yield index, wanted, _read(source, wanted)


def _read(source: FrameSource, wanted: NDArray[np.intp]) -> NDArray[Any]:
    first, last = int(wanted[0]), int(wanted[-1])
    if source.block > 1 or len(wanted) >= _WORTH_READING_WHOLE * (last + 1 - first):
        stretch = read_batch(source, first, last + 1).frames
        return stretch if len(stretch) == len(wanted) else stretch[wanted - first]
    return np.concatenate([read_batch(source, int(number), int(number) + 1).frames for number in wanted])


def places(run: ScoredRun, numbers: NDArray[np.intp]) -> list[tuple[int, NDArray[np.intp]]]:
    """Return, for frames numbered over the whole run (ascending), each file's number and the numbers in it."""
    wanted = np.zeros(run.n_frames, bool)
    wanted[numbers] = True
    return list(run.chosen(wanted))
